//! How long each step of a stop may take.
//!
//! systemd counts `TimeoutStopSec=` anew for each `ExecStop=` line, and once more between SIGTERM and SIGKILL.
//! Kubernetes counts once, from the stop to SIGKILL; such a total is split here.

use std::time::Duration;

/// The least that any step gets: less could not be kept by a host that is in use.
const LEAST: Duration = Duration::from_secs(1);
/// What the application gets of a total at most, when a companion leaves the rest to us: once nothing is in flight
/// it has little left to do.
const ENOUGH_TO_EXIT: Duration = Duration::from_secs(10);

/// Where our lines are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Share {
    /// In the application's unit, under its one `TimeoutStopSec=`.
    DropIn,
    /// In a unit of their own.
    Companion,
}

/// What is decided.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Times {
    /// For leaving: `TimeoutStopSec=` of the unit that has our line.
    pub ours: Duration,
    /// For each step of the application: its `TimeoutStopSec=`. `None` where that is `infinity` and stays so.
    pub each: Option<Duration>,
    /// The application's own steps: its `ExecStop=` lines, and SIGTERM.
    pub steps: u32,
}

impl Times {
    /// The times that leave `need` for leaving, or that keep within a total of `grace`.
    ///
    /// `own_stops` is the number of `ExecStop=` lines of the application, `own_timeout` its `TimeoutStopSec=`.
    ///
    /// # Errors
    ///
    /// Where `grace` is too short for so many steps.
    pub fn new(
        share: Share,
        need: Duration,
        own_stops: u32,
        own_timeout: Option<Duration>,
        grace: Option<Duration>,
    ) -> Result<Self, String> {
        let steps = own_stops + 1;
        let need = need.max(LEAST);
        let (ours, each) = match (share, grace) {
            (Share::Companion, None) => (need, own_timeout),
            // One value for all: it must be enough for whoever needs the most.
            (Share::DropIn, None) => match own_timeout.map(|own| own.max(need)) {
                Some(each) => (each, Some(each)),
                None => (need, None),
            },
            (Share::Companion, Some(grace)) => {
                let theirs = (grace / 3).min(ENOUGH_TO_EXIT);
                let each = tenths(theirs / steps);
                (tenths(grace.saturating_sub(each * steps)), Some(each))
            }
            (Share::DropIn, Some(grace)) => {
                let each = tenths(grace / (steps + 1));
                (each, Some(each))
            }
        };
        if ours.min(each.unwrap_or(ours)) < LEAST && grace.is_some() {
            let parts = match share {
                Share::DropIn => steps + 1,
                Share::Companion => steps * 3,
            };
            return Err(format!(
                "a total of less than {parts} s leaves some step less than 1 s; write --grace {parts}s at least"
            ));
        }
        Ok(Self { ours, each, steps })
    }

    /// From the stop to SIGKILL, at the most.
    #[must_use]
    pub fn total(&self) -> Option<Duration> {
        Some(self.ours + self.each? * self.steps)
    }
}

/// Tenths of a second, rounded down: as exact as anybody writes it.
fn tenths(duration: Duration) -> Duration {
    Duration::from_millis(u64::try_from(duration.as_millis() / 100 * 100).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn times(share: Share, need: u32, stops: u32, own: Option<u32>, grace: Option<u32>) -> Times {
        let seconds = |n: u32| SECOND * n;
        Times::new(share, seconds(need), stops, own.map(seconds), grace.map(seconds)).expect("long enough")
    }

    #[test]
    fn a_drop_in_shares_one_timeout_and_a_companion_has_its_own() {
        let drop_in = times(Share::DropIn, 35, 1, Some(5), None);
        assert_eq!((drop_in.ours, drop_in.each), (35 * SECOND, Some(35 * SECOND)));
        assert_eq!(drop_in.total(), Some(105 * SECOND));
        assert_eq!(times(Share::DropIn, 35, 0, Some(90), None).ours, 90 * SECOND);
        let companion = times(Share::Companion, 35, 1, Some(5), None);
        assert_eq!((companion.ours, companion.each), (35 * SECOND, Some(5 * SECOND)));
        assert_eq!(companion.total(), Some(45 * SECOND));
        assert_eq!(times(Share::Companion, 35, 0, None, None).total(), None);
        let endless = times(Share::DropIn, 35, 0, None, None);
        assert_eq!(
            (endless.ours, endless.each),
            (35 * SECOND, None),
            "infinity stays"
        );
    }

    #[test]
    fn a_total_is_never_passed_and_a_companion_gets_the_larger_part() {
        for (share, stops, ours) in [
            (Share::DropIn, 0, 15_000),
            (Share::DropIn, 1, 10_000),
            (Share::DropIn, 6, 3_700),
            (Share::Companion, 0, 20_000),
            (Share::Companion, 2, 20_100),
        ] {
            let times = times(share, 300, stops, Some(90), Some(30));
            assert_eq!(times.ours.as_millis(), ours, "{share:?} {stops}");
            assert!(times.total() <= Some(30 * SECOND));
        }
    }

    #[test]
    fn a_total_too_short_for_its_steps_is_refused() {
        let error = Times::new(Share::DropIn, SECOND, 2, None, Some(3 * SECOND)).expect_err("too short");
        assert!(error.contains("--grace 4s"), "{error}");
        assert!(Times::new(Share::Companion, SECOND, 0, None, Some(3 * SECOND)).is_ok());
    }
}
