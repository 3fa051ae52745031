//! Ends the process in time even if everything else is stuck: a resolver, a blocked thread, a full pipe.

use crate::budget::Deadline;
use crate::engine::{Ledger, Member};
use crate::exit::Exit;
use crate::report::log;

/// Starts the guard: a thread of its own, outside the async runtime, that exits shortly before the
/// deadline with what the ledger says is true then. `words` puts that into a sentence.
pub fn start(
    deadline: Deadline,
    ledger: Ledger,
    strict: bool,
    words: impl Fn(&[Member]) -> String + Send + 'static,
) {
    let wait = deadline
        .guard()
        .saturating_duration_since(tokio::time::Instant::now());
    let guard = std::thread::Builder::new()
        .name("guard".to_owned())
        .stack_size(64 * 1024);
    let started = guard.spawn(move || {
        std::thread::sleep(wait);
        let exit = verdict(&ledger, strict);
        log::last_words(format!(
            "ended by the guard: the budget is used up and lb-drain is stuck; {}",
            words(&ledger.members())
        ));
        // Not through std's buffered stdout, which nothing here uses, so this cannot block.
        std::process::exit(exit.code().into());
    });
    if let Err(error) = started {
        // Without a thread left on the host the engine's own deadline still holds.
        tracing::warn!("no guard for the budget: {error}");
    }
}

/// The exit code for what the ledger says.
#[must_use]
pub fn verdict(ledger: &Ledger, strict: bool) -> Exit {
    if !ledger.all_out() {
        Exit::Failed
    } else if strict && !ledger.all_drained() {
        Exit::Undrained
    } else {
        Exit::Done
    }
}

#[cfg(test)]
#[path = "guard_properties.rs"]
mod properties;
