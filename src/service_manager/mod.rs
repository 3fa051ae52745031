//! The service manager: which unit runs us, how long it gives us, and why it does.
//!
//! The unit file is the truth about the budget. systemd tells none of it by environment, so it is asked
//! over D-Bus ([`ask`]), where there is a sign that it runs us ([`Surroundings`]). It may be absent, refuse,
//! or hang while the machine shuts down: it gets [`PATIENCE`] and is never depended on.

mod ask;
pub mod dbus;
mod notify;
mod surroundings;
mod unit;

use std::fmt;
use std::time::Duration;

pub use ask::{Reader, ask, unit_name};
pub use notify::Notifier;
pub use surroundings::{Surroundings, process_age};
pub use unit::{Families, Unit};

/// How long systemd may take to answer, in all. Two or three milliseconds are usual; at a shutdown it may be
/// busy, and a bus whose daemon has been stopped accepts the connection and stays silent.
pub const PATIENCE: Duration = Duration::from_secs(1);

/// What came of asking.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Asked {
    /// No line of a unit runs us: a person does, or a script. How the application stands is known where its unit was
    /// named.
    NotInUnit(Application),
    /// A unit's line runs us, but systemd did not tell about it, for this reason.
    Silent(String),
    /// A unit's line runs us.
    Hook(Box<Hook>),
}

impl Asked {
    /// What is known of the line that runs us.
    #[must_use]
    pub fn hook(&self) -> Option<&Hook> {
        match self {
            Self::Hook(hook) => Some(hook),
            _ => None,
        }
    }
}

/// The line of a unit that runs us.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hook {
    /// The unit's name, such as `web.service`.
    pub unit: String,
    /// The setting that limits the line.
    pub setting: Setting,
    /// Its value; `None` for `infinity`.
    pub timeout: Option<Duration>,
    /// How long the line had been running when our process started.
    pub head_start: Duration,
    /// Why the unit runs the line, where that is known.
    pub reason: Option<Reason>,
    /// The application that stops.
    pub application: Application,
    /// Whether the application has ended by itself and its next start waits for us.
    pub restart_waits: bool,
    /// How long systemd waits before that next start while we are at work: time that holds nothing up.
    pub restart_pause: Duration,
    /// Whether systemd accepts `EXTEND_TIMEOUT_USEC=` from this process.
    pub may_extend: bool,
}

/// The settings that limit a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Setting {
    /// `TimeoutStartSec=`, of `ExecStart=` of a oneshot, `ExecStartPost=` and the like.
    TimeoutStart,
    /// `TimeoutStopSec=`, of each `ExecStop=` and `ExecStopPost=`.
    TimeoutStop,
}

impl fmt::Display for Setting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::TimeoutStart => "TimeoutStartSec",
            Self::TimeoutStop => "TimeoutStopSec",
        })
    }
}

/// Why the unit stops.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reason {
    /// Somebody stops it, or something that it needs stops.
    Stop,
    /// It will start again at once.
    Restart,
    /// The machine (or the user's session) goes down.
    Shutdown,
    /// Its main process ended without having been told to.
    Ended,
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Stop => "stop",
            Self::Restart => "restart",
            Self::Shutdown => "shutdown",
            Self::Ended => "the main process ended by itself",
        })
    }
}

/// The application behind the load balancers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Application {
    /// It runs, with this main process.
    Runs(u32),
    /// It is gone: nobody is left to wait for.
    Gone,
    /// Nothing is known of it.
    Unknown,
}

/// The least that is kept of a timeout, and the most: what systemd needs to fork us and to see that we have
/// ended, on a host that is busy because much stops at once.
const RESERVE: std::ops::RangeInclusive<Duration> = Duration::from_millis(200)..=Duration::from_secs(1);

/// How long the next start of an application that has ended is held up at most: it is gone, so nothing can be lost any more
/// but time. A load balancer that has not been told by then learns of the crash by its health checks, as without us.
const WHILE_A_RESTART_WAITS: Duration = Duration::from_millis(800);

impl Hook {
    /// How long we may take, from the start of our process; `None` for ever.
    #[must_use]
    pub fn budget(&self) -> Option<Duration> {
        let at_most = self
            .restart_waits
            .then_some(self.restart_pause + WHILE_A_RESTART_WAITS);
        [self.allowed(), at_most].into_iter().flatten().min()
    }

    /// What the unit's timeout allows.
    fn allowed(&self) -> Option<Duration> {
        let timeout = self.timeout?;
        // Of timeouts below a second, a fifth: less could not be kept by any host that is in use.
        let reserve = (timeout / 20)
            .clamp(*RESERVE.start(), *RESERVE.end())
            .min(timeout / 5);
        Some(timeout.saturating_sub(reserve + self.head_start))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hook(timeout: Option<Duration>, head_start: Duration) -> Hook {
        Hook {
            unit: "web.service".to_owned(),
            setting: Setting::TimeoutStop,
            timeout,
            head_start,
            reason: None,
            application: Application::Unknown,
            restart_waits: false,
            restart_pause: Duration::ZERO,
            may_extend: false,
        }
    }

    #[test]
    fn a_second_is_kept_of_long_timeouts_and_less_of_short_ones() {
        let budget = |timeout: f64| {
            hook(Some(Duration::from_secs_f64(timeout)), Duration::ZERO)
                .budget()
                .map(|budget| budget.as_millis())
        };
        assert_eq!(budget(300.0), Some(299_000));
        assert_eq!(budget(30.0), Some(29_000));
        assert_eq!(budget(20.0), Some(19_000));
        assert_eq!(budget(10.0), Some(9500));
        assert_eq!(budget(2.0), Some(1800));
        assert_eq!(budget(0.5), Some(400));
    }

    #[test]
    fn what_ran_before_us_in_the_same_line_counts() {
        let late = hook(Some(Duration::from_secs(30)), Duration::from_secs(3));
        assert_eq!(late.budget(), Some(Duration::from_secs(26)));
        let too_late = hook(Some(Duration::from_secs(5)), Duration::from_secs(9));
        assert_eq!(too_late.budget(), Some(Duration::ZERO));
    }

    #[test]
    fn a_restart_that_waits_is_not_held_up_by_what_a_stop_may_take() {
        for timeout in [None, Some(Duration::from_secs(90))] {
            let crashed = Hook {
                restart_waits: true,
                ..hook(timeout, Duration::ZERO)
            };
            assert_eq!(crashed.budget(), Some(WHILE_A_RESTART_WAITS));
            let pause = Duration::from_secs(5);
            let paused = Hook {
                restart_pause: pause,
                ..crashed
            };
            assert_eq!(
                paused.budget(),
                Some(pause + WHILE_A_RESTART_WAITS),
                "it waits anyway"
            );
        }
    }

    #[test]
    fn infinity_is_no_budget() {
        assert_eq!(hook(None, Duration::ZERO).budget(), None);
    }
}
