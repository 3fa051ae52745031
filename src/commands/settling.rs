//! The settings, within a budget that is given: a file system that hangs must not hold up a stop.

use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;

use tokio::time::Instant;

use crate::budget::Deadline;
use crate::cli::{BudgetFlag, Parsed};
use crate::config::{self, ConfigError, Settings};
use crate::exit::Exit;
use crate::report::log;
use crate::service_manager::process_age;

/// Settings from options, environment and file. Ends the process where that takes longer than the given budget; from
/// then on the guard of the run keeps it.
pub(super) fn settings(parsed: &Parsed) -> Result<Settings, ConfigError> {
    let common = parsed.cli.command.common();
    let (_settled, unsettled) = mpsc::channel::<()>();
    // Where options say it all there is nothing to read.
    if let Some(BudgetFlag::Fixed(total)) = common.budget
        && !common.balancers.any()
    {
        let age = process_age(std::process::id()).unwrap_or_default();
        let end = Deadline::new(total, age).guard();
        let watch = thread::Builder::new().stack_size(64 * 1024).spawn(move || {
            let left = end.saturating_duration_since(Instant::now());
            if unsettled.recv_timeout(left) == Err(RecvTimeoutError::Timeout) {
                log::last_words(
                    "the budget is used up before the configuration could be read; nothing was touched",
                );
                std::process::exit(Exit::Failed.code().into());
            }
        });
        // Without a thread left on the host the settings are found out as well.
        drop(watch);
    }
    config::settings(parsed, common)
}
