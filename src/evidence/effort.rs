//! What a look costs: processor time of this thread, not time by the clock.
//!
//! On a busy host most of the time that a look takes is spent waiting for a processor, and a pause that is a
//! multiple of that would leave the watch blind for seconds just then.

use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

/// Processor time since its beginning.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Effort(Duration);

impl Effort {
    /// Begins.
    pub(crate) fn begin() -> Self {
        Self(spent())
    }

    /// What was spent since then.
    pub(crate) fn spent(self) -> Duration {
        spent().saturating_sub(self.0)
    }
}

fn spent() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::try_from(time).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waiting_is_no_effort_and_work_is() {
        let effort = Effort::begin();
        std::thread::sleep(Duration::from_millis(100));
        assert!(effort.spent() < Duration::from_millis(50));
        while effort.spent() < Duration::from_millis(60) {}
    }
}
