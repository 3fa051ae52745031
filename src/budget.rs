//! The one deadline of a run, and what is kept back from it.

use std::fmt;
use std::time::Duration;

use tokio::time::Instant;

/// The shortest budget that leaves time to ask anything at all.
pub const SHORTEST: Duration = Duration::from_millis(100);

/// The budget where nothing says otherwise: long enough for ordinary requests, and a third of systemd's
/// default `TimeoutStopSec=`.
pub const DEFAULT: Duration = Duration::from_secs(30);

/// Where a budget comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// `--budget`.
    Flag,
    /// `LB_DRAIN_BUDGET`.
    Env,
    /// `budget` in the configuration file.
    Config,
    /// [`DEFAULT`].
    Default,
}

impl Source {
    /// The word for it in `--output json`.
    #[must_use]
    pub fn word(&self) -> &'static str {
        match self {
            Self::Flag => "flag",
            Self::Env => "env",
            Self::Config => "config",
            Self::Default => "default",
        }
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Flag => "--budget",
            Self::Env => "LB_DRAIN_BUDGET",
            Self::Config => "budget in the configuration",
            Self::Default => "the default",
        })
    }
}

/// A budget and where it comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Budget {
    /// How long the run may take in all, from the start of its process.
    pub total: Duration,
    /// Where that comes from.
    pub source: Source,
}

/// The instants that a budget stands for. All of a run shares one.
#[derive(Debug, Clone, Copy)]
pub struct Deadline {
    start: Instant,
    total: Duration,
}

impl Deadline {
    /// The deadline of a process that has already run for `age`.
    #[must_use]
    pub fn new(total: Duration, age: Duration) -> Self {
        let now = Instant::now();
        Self {
            start: now.checked_sub(age).unwrap_or(now),
            total,
        }
    }

    /// When the process started.
    #[must_use]
    pub fn start(&self) -> Instant {
        self.start
    }

    /// What is kept back for reporting and exiting: a twentieth of the budget, 50 ms to 500 ms. Exiting
    /// takes a millisecond; the rest is for a host so busy that it does not get to run.
    fn reserve(&self) -> Duration {
        (self.total / 20).clamp(Duration::from_millis(50), Duration::from_millis(500))
    }

    /// When waiting ends and the report begins.
    #[must_use]
    pub fn finish(&self) -> Instant {
        self.start + self.total.saturating_sub(self.reserve())
    }

    /// When the guard ends the process, should it not have ended by itself.
    #[must_use]
    pub fn guard(&self) -> Instant {
        self.start + self.total.saturating_sub(self.reserve() / 2)
    }

    /// When to cut what is left, where that is wanted: early enough to see what came of it.
    #[must_use]
    pub fn cut(&self) -> Instant {
        self.finish() - self.reserve()
    }

    /// What is left until [`Deadline::finish`].
    #[must_use]
    pub fn left(&self) -> Duration {
        self.finish().saturating_duration_since(Instant::now())
    }

    /// What has been used since the start.
    #[must_use]
    pub fn used(&self) -> Duration {
        self.start.elapsed()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn finish_then_guard_then_deadline() {
        for total in [
            SHORTEST,
            Duration::from_secs(2),
            DEFAULT,
            Duration::from_secs(3600),
        ] {
            let deadline = Deadline::new(total, Duration::ZERO);
            assert!(deadline.cut() < deadline.finish());
            assert!(deadline.finish() < deadline.guard());
            assert!(deadline.guard() < deadline.start() + total);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn what_passed_before_main_counts() {
        let deadline = Deadline::new(DEFAULT, Duration::from_secs(3));
        assert_eq!(deadline.used(), Duration::from_secs(3));
        assert_eq!(deadline.left(), Duration::from_millis(26_500));
    }
}
