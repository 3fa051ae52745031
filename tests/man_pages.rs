//! The man pages in `docs/man` are what the command line says.

use std::fs;
use std::path::Path;

use clap::CommandFactory;
use lb_drain::cli::Cli;

#[test]
fn the_man_pages_are_up_to_date() {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/man");
    let update = std::env::var_os("UPDATE_MAN").is_some();
    let mut command = Cli::command();
    command.build();
    let mut pages = vec![("lb-drain".to_owned(), command.clone())];
    pages.extend(
        command
            .get_subcommands()
            .filter(|sub| sub.get_name() != "help")
            .map(|sub| (format!("lb-drain-{}", sub.get_name()), sub.clone())),
    );
    for (name, command) in pages {
        let mut page = Vec::new();
        let named = command.name(Box::leak(name.clone().into_boxed_str()) as &'static str);
        // A date would change the page from day to day.
        clap_mangen::Man::new(named)
            .date("")
            .render(&mut page)
            .expect("rendered");
        let path = directory.join(format!("{name}.1"));
        if update {
            fs::create_dir_all(&directory).expect("a directory");
            fs::write(&path, &page).expect("written");
        }
        let kept = fs::read(&path).unwrap_or_default();
        assert!(
            kept == page,
            "{} is out of date; run UPDATE_MAN=1 cargo test --test man_pages",
            path.display()
        );
    }
}
