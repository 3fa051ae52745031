//! The one deadline of a run, and what is kept back from it.

use std::fmt;
use std::time::Duration;

use lb_drain_api::duration::human;
use tokio::time::Instant;

use crate::service_manager::Hook;

/// The shortest budget that leaves time to ask anything at all.
pub const SHORTEST: Duration = Duration::from_millis(100);

/// The budget where nothing says otherwise: long enough for ordinary requests, and a third of systemd's
/// default `TimeoutStopSec=`.
pub const DEFAULT: Duration = Duration::from_secs(30);

/// On top of a wait: time for leaving before it and for reporting after it.
pub const AROUND_A_WAIT: Duration = Duration::from_secs(5);

/// The least that is kept back for reporting and exiting.
const LEAST_RESERVE: Duration = Duration::from_millis(50);

/// Where a budget comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// `--budget`.
    Flag,
    /// `LB_DRAIN_BUDGET`.
    Env,
    /// `budget` in the configuration file.
    Config,
    /// The unit that runs us.
    Systemd(Box<Hook>),
    /// The longest wait of a load balancer, for which the unit's timeout is extended.
    Extended(Box<Hook>),
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
            Self::Systemd(_) | Self::Extended(_) => "systemd",
            Self::Default => "default",
        }
    }
}

impl Source {
    /// What gives a run more time, as advice.
    #[must_use]
    pub fn more_time(&self) -> String {
        match self {
            Self::Flag => "give a larger --budget".to_owned(),
            Self::Env => "set a larger LB_DRAIN_BUDGET".to_owned(),
            Self::Config => "write a larger budget".to_owned(),
            Self::Systemd(hook) | Self::Extended(hook) => format!("raise {}= of {}", hook.setting, hook.unit),
            Self::Default => "give a --budget".to_owned(),
        }
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Flag => f.write_str("--budget"),
            Self::Env => f.write_str("LB_DRAIN_BUDGET"),
            Self::Config => f.write_str("budget in the configuration"),
            Self::Systemd(hook) => f.write_str(&setting(hook)),
            Self::Extended(hook) => write!(f, "{}, extended", setting(hook)),
            Self::Default => f.write_str("the default"),
        }
    }
}

/// The line of the unit file: `TimeoutStopSec=30s of web.service`.
fn setting(hook: &Hook) -> String {
    if hook.restart_waits {
        return "it has ended, and its restart waits".to_owned();
    }
    let timeout = hook.timeout.map_or_else(
        || "infinity".to_owned(),
        // As it is written in a unit file: without the space.
        |timeout| human(timeout).replace(' ', ""),
    );
    format!("{}={timeout} of {}", hook.setting, hook.unit)
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
    reserve: Duration,
}

impl Deadline {
    /// The deadline of a process that has already run for `age`.
    #[must_use]
    pub fn new(total: Duration, age: Duration) -> Self {
        let now = Instant::now();
        Self {
            start: now.checked_sub(age).unwrap_or(now),
            total,
            reserve: Self::margin(total),
        }
    }

    /// The deadline of a budget. What comes from a unit's timeout has had a reserve kept back already (see
    /// [`Hook::budget`]): here only the time to report is.
    #[must_use]
    pub fn of(budget: &Budget, age: Duration) -> Self {
        let mut deadline = Self::new(budget.total, age);
        if matches!(budget.source, Source::Systemd(_) | Source::Extended(_)) {
            deadline.reserve = LEAST_RESERVE;
        }
        deadline
    }

    /// A twentieth of the budget, 50 ms to 500 ms. To report and exit takes a millisecond; the rest is for a
    /// host so busy that it does not get to run.
    fn margin(total: Duration) -> Duration {
        (total / 20).clamp(LEAST_RESERVE, Duration::from_millis(500))
    }

    /// When the process started.
    #[must_use]
    pub fn start(&self) -> Instant {
        self.start
    }

    /// When waiting ends and the report begins.
    #[must_use]
    pub fn finish(&self) -> Instant {
        self.start + self.total.saturating_sub(self.reserve)
    }

    /// When the guard ends the process, should it not have ended by itself.
    #[must_use]
    pub fn guard(&self) -> Instant {
        self.start + self.total.saturating_sub(self.reserve / 2)
    }

    /// When to cut what is left, where that is wanted: early enough to see what came of it.
    #[must_use]
    pub fn cut(&self) -> Instant {
        self.finish() - Self::margin(self.total)
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

    #[tokio::test(start_paused = true)]
    async fn of_a_units_timeout_a_reserve_is_kept_only_once() {
        let hook = Hook {
            unit: "web.service".to_owned(),
            setting: crate::service_manager::Setting::TimeoutStop,
            timeout: Some(DEFAULT),
            head_start: Duration::ZERO,
            reason: None,
            application: crate::service_manager::Application::Unknown,
            restart_waits: false,
            restart_pause: Duration::ZERO,
            may_extend: false,
        };
        let total = hook.budget().expect("a budget");
        let source = Source::Systemd(Box::new(hook));
        assert_eq!(source.to_string(), "TimeoutStopSec=30s of web.service");
        let deadline = Deadline::of(&Budget { total, source }, Duration::ZERO);
        assert_eq!(deadline.left(), Duration::from_millis(28_950));
        assert!(deadline.finish() < deadline.guard());
        assert!(deadline.guard() < deadline.start() + total);
    }
}

#[cfg(test)]
#[path = "budget_properties.rs"]
mod properties;
