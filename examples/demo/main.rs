//! One copy of a service leaves its load balancer three ways, under the same load: `cargo run --release --example demo`.
//!
//! Nothing but Rust is needed: a load balancer is built in. Where HAProxy is installed, it is used instead.
//! The demo fails (exit code 1) when `lb-drain` lost a request, or when SIGTERM alone lost none: then it shows nothing.

mod balancer;
mod children;
mod clients;
mod http;
mod screen;
mod service;
mod table;
mod tool;
mod ways;

use std::error::Error;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Instant;

use clap::{Parser, Subcommand};
use lb_drain::rehearse::page::html;
use lb_drain::rehearse::{Rehearsal, text};
use tokio::signal::unix::{SignalKind, signal};

use balancer::Balancer;
use screen::Screen;
use service::Service;
use tool::LbDrain;
use ways::{Stage, Way};

/// What goes wrong here goes wrong for a reader, so a sentence is all an error needs to be.
type Result<T> = std::result::Result<T, Box<dyn Error + Send + Sync>>;

/// Stops a service behind a load balancer three ways, under the same load, and counts what each way loses.
#[derive(Parser)]
#[command(name = "demo", disable_help_subcommand = true)]
struct Options {
    /// Use the built-in load balancer even if HAProxy is installed
    #[arg(long)]
    embedded: bool,
    /// The lb-drain to show [default: the one of this tree, built first]
    #[arg(long, value_name = "PATH")]
    lb_drain: Option<PathBuf>,
    #[command(subcommand)]
    role: Option<Role>,
}

/// What the demo starts itself as.
#[derive(Subcommand)]
enum Role {
    /// One copy of the service
    #[command(hide = true)]
    Service { name: String, port: u16 },
    /// Another program, which must not outlive the demo
    #[command(hide = true)]
    Follow {
        program: PathBuf,
        arguments: Vec<String>,
    },
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let options = Options::parse();
    let outcome = match &options.role {
        None => until_interrupted(demo(&options)).await,
        Some(Role::Service { name, port }) => service::run(name, *port).await.map(|never| match never {}),
        Some(Role::Follow { program, arguments }) => {
            children::become_follower(program, arguments).map(|never| match never {})
        }
    };
    outcome.unwrap_or_else(|error| {
        eprintln!("demo: {error}");
        ExitCode::from(2)
    })
}

/// The demo itself, from top to bottom.
async fn demo(options: &Options) -> Result<ExitCode> {
    let screen = Screen::new();
    let lb_drain = match &options.lb_drain {
        Some(path) => path.clone(),
        None => tool::build().await?,
    };
    let lb_drain = LbDrain::new(lb_drain)?;

    let started = Instant::now();
    let [app1, app2] = [Service::start("app1").await?, Service::start("app2").await?];
    let balancer = Balancer::start(options.embedded, [&app1, &app2], &screen).await?;
    screen.introduce(&[
        ("load balancer", balancer.about.as_str()),
        ("service", service::ABOUT),
        ("clients", clients::ABOUT),
    ]);

    let mut stage = Stage {
        balancer,
        app1,
        lb_drain,
    };
    let mut stories = Vec::new();
    for way in Way::ALL {
        let story = ways::tell(way, &mut stage, &screen).await?;
        screen.print("");
        for line in text::lines(&story.rehearsal) {
            screen.print(&line);
        }
        stories.push(story);
    }

    let verdict = table::print(&stories, started.elapsed(), &screen);
    let page = tool::beside_the_demo("demo.html")?;
    let about = format!("{}; {}", stage.balancer.about, clients::ABOUT);
    let rehearsals: Vec<Rehearsal> = stories.into_iter().map(|story| story.rehearsal).collect();
    std::fs::write(&page, html("One service stopped three ways", &about, &rehearsals))?;
    screen.print(&format!("The same as a page, with timelines: {}", page.display()));
    drop((stage, app2));
    Ok(if verdict {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// Runs `demo` to its end or to the first SIGINT or SIGTERM. All that it started ends with it either way.
async fn until_interrupted(demo: impl Future<Output = Result<ExitCode>>) -> Result<ExitCode> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    // The shell's habit: 128 and the number of the signal.
    tokio::select! {
        outcome = demo => outcome,
        _ = interrupt.recv() => Ok(ExitCode::from(130)),
        _ = terminate.recv() => Ok(ExitCode::from(143)),
    }
}
