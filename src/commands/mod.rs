//! One file for each command: what it does, in the order in which it does it.

mod check;
mod deregister;
mod preview;
mod register;
#[cfg(feature = "rehearse")]
mod rehearse;
mod session;
mod status;
mod unit;

use tracing::Level;

use crate::cli::{Command, Common, Output, Parsed};
use crate::config::{self, Settings};
use crate::exit::Exit;
use crate::report;

/// Runs a command to its exit code.
#[must_use]
pub fn run(parsed: &Parsed) -> Exit {
    let settings = match config::settings(parsed, parsed.cli.command.common()) {
        Ok(settings) => settings,
        Err(error) => {
            report::stderr::line(format!("error: {error}"));
            return Exit::Usage;
        }
    };
    // One thread: the work is waiting.
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            report::stderr::line(format!("error: no async runtime: {error}"));
            return Exit::Failed;
        }
    };
    let exit = runtime.block_on(dispatch(parsed, settings));
    // Without waiting for a lookup that a resolver thread may still be stuck in.
    runtime.shutdown_background();
    report::log::flush(std::time::Duration::from_millis(20));
    exit
}

async fn dispatch(parsed: &Parsed, settings: Settings) -> Exit {
    match &parsed.cli.command {
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
