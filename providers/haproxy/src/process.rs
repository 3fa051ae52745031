//! The process that answers, and how far its count is to be believed.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

use crate::answer::Answer;
use crate::entry::Count;
use crate::succession::is_first;

/// So long after a reload hardly a request of before it can still be served. What lives longer is a tunnel, and
/// no stop has the time to wait for one.
const OLD_ENOUGH: Duration = Duration::from_secs(60 * 60);

/// The process that answers.
///
/// After a reload the socket belongs to a new one, which counts nothing of what the old one is still serving: its
/// zero would be no proof of anything.
#[derive(Debug, Default)]
pub(crate) struct Process {
    first: AtomicU32,
    replaced: AtomicBool,
    /// Whether it is known to have taken over from nobody.
    is_first: OnceLock<bool>,
}

impl Process {
    /// How far its numbers are to be believed.
    pub(crate) fn count(&self, answer: &Answer<'_>) -> Count {
        if let Some(pid) = answer.pid {
            let first = self
                .first
                .compare_exchange(0, pid, Ordering::Relaxed, Ordering::Relaxed);
            if first.is_err_and(|first| first != pid) {
                self.replaced.store(true, Ordering::Relaxed);
            }
        }
        match answer.old_workers {
            Some(true) => Count::Unknown,
            Some(false) => Count::Whole,
            None if self.replaced.load(Ordering::Relaxed) => Count::Unknown,
            None if answer.uptime.is_some_and(|uptime| uptime >= OLD_ENOUGH) => Count::Whole,
            None if self.is_first(answer) => Count::Whole,
            None => Count::Partial,
        }
    }

    /// What HAProxy says of itself has to be the process that sent it: behind a relay it is one of another host, and in
    /// a container its pid is another one here.
    fn is_first(&self, answer: &Answer<'_>) -> bool {
        let local = answer.pid.filter(|&pid| answer.sender == Some(pid));
        local.is_some_and(|pid| *self.is_first.get_or_init(|| is_first(pid)))
    }
}
