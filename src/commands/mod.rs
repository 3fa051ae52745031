//! One file for each command: what it does, in the order in which it does it.

mod check;
mod deregister;
mod preview;
mod register;
#[cfg(feature = "rehearse")]
mod rehearse;
mod session;
mod settling;
mod signals;
mod status;
mod unit;

use serde_json::json;
use tracing::Level;

use crate::cli::{Command, Common, Output, Parsed};
use crate::config::Settings;
use crate::exit::Exit;
use crate::report;

/// Runs a command to its exit code.
#[must_use]
pub fn run(parsed: &Parsed) -> Exit {
    let common = parsed.cli.command.common();
    report::log::concerns(common.service.as_deref());
    // One thread: the work is waiting.
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            refuse(common, &format!("no async runtime: {error}"));
            return Exit::Failed;
        }
    };
    let exit = runtime.block_on(work(parsed));
    // Without waiting for a lookup that a resolver thread may still be stuck in.
    runtime.shutdown_background();
    report::log::flush(report::log::LAST_CHANCE);
    exit
}

async fn work(parsed: &Parsed) -> Exit {
    let command = &parsed.cli.command;
    let changes = match command {
        Command::Deregister(options) if !options.dry_run => Some("deregister"),
        Command::Register(_) => Some("register"),
        // The others end by a signal as any program does; a rehearsal hears them once it has something to undo.
        _ => None,
    };
    if changes.is_some() {
        signals::hear().await;
    }
    let mut settings = match settling::settings(parsed) {
        Ok(settings) => settings,
        Err(error) => {
            refuse(command.common(), &error.to_string());
            return Exit::Usage;
        }
    };
    if let Some(name) = changes {
        let room = async {
            // What came meanwhile is heard in the runtime's next turn.
            tokio::task::yield_now().await;
            settings.make_room().await;
        };
        tokio::select! {
            biased;
            exit = signals::interruption() => {
                interrupted(command.common(), name);
                return exit;
            }
            () = room => {}
        }
    }
    dispatch(command, settings).await
}

async fn dispatch(command: &Command, settings: Settings) -> Exit {
    match command {
        Command::Deregister(options) if options.dry_run => preview::preview(settings, options).await,
        Command::Deregister(options) => deregister::deregister(settings, options).await,
        Command::Register(options) => register::register(settings, options).await,
        Command::Status(options) => status::status(settings, options).await,
        Command::Check(options) => check::check(settings, options).await,
        Command::Unit(options) => unit::unit(settings, options).await,
        #[cfg(feature = "rehearse")]
        Command::Rehearse(options) => rehearse::rehearse(settings, options).await,
    }
}

/// Says why nothing is done.
fn refuse(common: &Common, why: &str) {
    report::log::init(level(common), common.log_format, None);
    tracing::error!("{why}");
}

/// Reports a run that a signal ended before it had begun.
fn interrupted(common: &Common, command: &str) {
    begin(common, &[]);
    tracing::warn!("interrupted; nothing was touched");
    if wants_json(common) {
        report::json::print(&json!({ "command": command, "outcome": "interrupted", "load_balancers": [] }));
    }
}

/// Begins the report of a command that looks and changes nothing, with what there is to know of its settings.
fn begin(common: &Common, remarks: &[String]) {
    report::log::init(level(common), common.log_format, None);
    for remark in remarks {
        tracing::warn!("{remark}");
    }
}

/// What to say: everything, what matters, or what went wrong.
fn level(common: &Common) -> Level {
    match (common.verbose, common.quiet) {
        (true, _) => Level::DEBUG,
        (false, true) => Level::WARN,
        (false, false) => Level::INFO,
    }
}

fn wants_json(common: &Common) -> bool {
    common.output == Output::Json
}
