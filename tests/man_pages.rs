//! The man pages in `docs/man` and the completions in `docs/completions` are what the command line says.

use std::fs;
use std::path::Path;

use clap::CommandFactory;
use clap_complete::Shell;
use lb_drain::cli::Cli;

#[test]
fn the_man_pages_are_up_to_date() {
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
        assert_kept(&format!("docs/man/{name}.1"), &page);
    }
}

#[test]
fn the_completions_are_up_to_date() {
    for (shell, file) in [
        (Shell::Bash, "lb-drain.bash"),
        (Shell::Fish, "lb-drain.fish"),
        (Shell::Zsh, "_lb-drain"),
    ] {
        let mut script = Vec::new();
        clap_complete::generate(shell, &mut Cli::command(), "lb-drain", &mut script);
        assert_kept(&format!("docs/completions/{file}"), &script);
    }
}

/// Asserts that the file holds this, once it is written where `UPDATE_MAN` asks for that.
fn assert_kept(path: &str, content: &[u8]) {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
    if std::env::var_os("UPDATE_MAN").is_some() {
        fs::create_dir_all(file.parent().expect("a directory")).expect("a directory");
        fs::write(&file, content).expect("written");
    }
    let kept = fs::read(&file).unwrap_or_default();
    assert!(
        kept == content,
        "{path} is out of date; run UPDATE_MAN=1 cargo test --test man_pages"
    );
}
