//! The lines to write, each with its reason.

use std::time::Duration;

use lb_drain_api::duration::human;

use super::figures::{AT_ONCE, Figures, LastArrival};

/// What is known of waiting besides the figures.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ground {
    /// The longest floor of the load balancers now: configured, or what they need by their own account.
    pub floor: Duration,
    /// How long nothing may be in flight before that counts, where this host's connections were the evidence.
    pub quiet: Duration,
}

/// One line to write.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// As it is written.
    pub text: String,
    /// Why.
    pub reason: String,
}

/// systemd gets its answer before its own timeout: `lb-drain` keeps so much back of it.
const KEPT_BACK: Duration = Duration::from_secs(1);

/// A budget below this saves nothing: what is not needed is not used.
const LEAST: Duration = Duration::from_secs(5);

/// For asking, reporting and ending.
const AROUND: Duration = Duration::from_millis(500);

/// What to write. Empty where this host has not left.
///
/// What was measured once is taken half as much again: the next stop may meet a slower moment.
#[must_use]
pub fn advice(figures: &Figures, ground: Ground) -> Vec<Line> {
    let Some(leaving) = figures.leaving else {
        return Vec::new();
    };
    let (floor, mut lines) = match &figures.last_arrival {
        LastArrival::After(last) => {
            let (floor, line) = floor(*last, ground.floor);
            (floor, vec![line])
        }
        // Nothing is known that would be right to write.
        LastArrival::StillComing(_) => return Vec::new(),
        LastArrival::Unknown(_) => (ground.floor, Vec::new()),
    };
    let longest = figures.latency.max;
    let slow = longest.mul_f64(1.5);
    let budget = whole_seconds(leaving + floor + slow + ground.quiet + AROUND).max(LEAST);
    let mut parts = vec![format!("{} to leave", human(leaving))];
    if !floor.is_zero() {
        parts.push(format!("{} of min_wait", human(floor)));
    }
    parts.push(format!(
        "the longest request of {} half as long again",
        human(longest)
    ));
    if !ground.quiet.is_zero() {
        parts.push(format!("{} of quiet", human(ground.quiet)));
    }
    let mut last = format!("{} to report", human(AROUND));
    if budget == LEAST {
        last.push_str(&format!("; {} at least", human(LEAST)));
    }
    lines.push(Line {
        text: format!(r#"budget = "{}s""#, budget.as_secs()),
        reason: format!("{}, {last}", parts.join(", ")),
    });
    lines.push(Line {
        text: format!("TimeoutStopSec={}s", (budget + KEPT_BACK).as_secs()),
        reason: format!(
            "the budget and {} that lb-drain leaves systemd; it is counted anew for SIGTERM",
            human(KEPT_BACK)
        ),
    });
    lines
}

/// The floor to write, and its line.
fn floor(last: Duration, now: Duration) -> (Duration, Line) {
    let came = if last.is_zero() {
        "no new request came after leaving".to_owned()
    } else {
        format!("the last new request came {} after leaving", human(last))
    };
    let needed = if last <= AT_ONCE {
        Duration::ZERO
    } else {
        whole_seconds(last.mul_f64(1.5))
    };
    let (floor, reason) = if needed > now {
        (needed, format!("{came}; half as long again, for a slower moment"))
    } else if now.is_zero() {
        (now, format!("{came}: its changes take effect at once"))
    } else {
        // One quiet moment does not prove that the load balancer's maker is wrong.
        (now, format!("{came}, within what is waited now"))
    };
    let line = Line {
        text: format!(r#"min_wait = "{}s""#, whole_seconds(floor).as_secs()),
        reason,
    };
    (floor, line)
}

fn whole_seconds(time: Duration) -> Duration {
    Duration::from_secs(time.as_secs() + u64::from(time.subsec_nanos() > 0))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::rehearse::Latency;

    fn figures(last_arrival: LastArrival) -> Figures {
        Figures {
            spells: Vec::new(),
            sent: 100,
            failures: BTreeMap::new(),
            latency: Latency {
                max: Duration::from_secs(2),
                ..Latency::default()
            },
            last_arrival,
            leaving: Some(Duration::from_millis(10)),
            drain: Some(Duration::from_secs(2)),
            back: None,
        }
    }

    fn texts(last_arrival: LastArrival, floor: u64, quiet: u64) -> Vec<String> {
        let ground = Ground {
            floor: Duration::from_secs(floor),
            quiet: Duration::from_secs(quiet),
        };
        let lines = advice(&figures(last_arrival), ground);
        lines.into_iter().map(|line| line.text).collect()
    }

    #[test]
    fn a_load_balancer_that_is_quick_needs_no_floor() {
        let after = LastArrival::After(Duration::from_millis(4));
        let expected = [r#"min_wait = "0s""#, r#"budget = "5s""#, "TimeoutStopSec=6s"];
        assert_eq!(texts(after, 0, 0), expected);
    }

    #[test]
    fn one_that_is_slow_gets_half_as_much_again_and_room_for_it() {
        let after = LastArrival::After(Duration::from_millis(4100));
        let expected = [r#"min_wait = "7s""#, r#"budget = "12s""#, "TimeoutStopSec=13s"];
        assert_eq!(texts(after, 0, 1), expected);
    }

    #[test]
    fn a_floor_that_suffices_stays() {
        let after = LastArrival::After(Duration::from_millis(4100));
        assert_eq!(texts(after, 15, 1)[0], r#"min_wait = "15s""#);
    }

    #[test]
    fn what_was_not_seen_is_not_guessed() {
        assert!(texts(LastArrival::StillComing(Duration::from_secs(9)), 0, 0).is_empty());
        let blind = texts(LastArrival::Unknown("no".to_owned()), 0, 0);
        assert_eq!(blind, [r#"budget = "5s""#, "TimeoutStopSec=6s"]);
    }
}
