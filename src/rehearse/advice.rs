//! The lines to write, each with its place and its reason.

use std::time::Duration;

use lb_drain_api::duration::human;

use super::figures::{AT_ONCE, Figures, LastArrival};

/// What is known of waiting besides the figures.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Ground {
    /// Each load balancer's floor now, by name: configured, or what it needs by its own account.
    pub floors: Vec<(String, Duration)>,
    /// How long nothing may be in flight before that counts, where this host's connections were the evidence.
    pub quiet: Duration,
    /// The configuration file; `None` where options stand for it.
    pub file: Option<String>,
    /// The unit that runs `lb-drain deregister`, in words.
    pub unit: String,
}

/// One line to write.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// As it is written.
    pub text: String,
    /// Where.
    pub place: String,
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
pub fn advice(figures: &Figures, ground: &Ground) -> Vec<Line> {
    let Some(leaving) = figures.leaving else {
        return Vec::new();
    };
    let now = ground.longest();
    let (floor, mut lines) = match &figures.last_arrival {
        LastArrival::After(last) => (needed(*last).max(now), ground.floors(*last)),
        // Nothing is known that would be right to write.
        LastArrival::StillComing(_) => return Vec::new(),
        LastArrival::Unknown(_) => (now, Vec::new()),
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
    let (text, place) = match &ground.file {
        Some(file) => (
            format!(r#"budget = "{}s""#, budget.as_secs()),
            format!("at the top of {file}"),
        ),
        None => (format!("--budget {}s", budget.as_secs()), option()),
    };
    lines.push(Line {
        text,
        place,
        reason: format!("{}, {last}", parts.join(", ")),
    });
    lines.push(Line {
        text: format!("TimeoutStopSec={}s", (budget + KEPT_BACK).as_secs()),
        place: format!("in [Service] of {}", ground.unit),
        reason: format!(
            "the budget and {} that lb-drain leaves systemd; it is counted anew for SIGTERM",
            human(KEPT_BACK)
        ),
    });
    lines
}

impl Ground {
    fn longest(&self) -> Duration {
        let floors = self.floors.iter().map(|(_, floor)| *floor);
        floors.max().unwrap_or_default()
    }

    /// A line for each load balancer's own floor, and one for all where they agree.
    fn floors(&self, last: Duration) -> Vec<Line> {
        if self.file.is_none() {
            let (floor, reason) = floor(last, self.longest());
            return vec![Line {
                text: format!("--min-wait {}s", floor.as_secs()),
                place: option(),
                reason,
            }];
        }
        let mut lines: Vec<Line> = Vec::new();
        for (name, now) in &self.floors {
            let (floor, reason) = floor(last, *now);
            let text = format!(r#"min_wait = "{}s""#, floor.as_secs());
            match lines
                .iter_mut()
                .find(|line| line.text == text && line.reason == reason)
            {
                Some(line) => line.place.push_str(&format!(r#" and "{name}""#)),
                None => lines.push(Line {
                    text,
                    place: format!(r#"under [[load_balancer]] "{name}""#),
                    reason,
                }),
            }
        }
        lines
    }
}

fn option() -> String {
    "an option of lb-drain deregister".to_owned()
}

/// What a measurement asks for.
fn needed(last: Duration) -> Duration {
    if last <= AT_ONCE {
        Duration::ZERO
    } else {
        whole_seconds(last.mul_f64(1.5))
    }
}

/// The floor to write, and why.
fn floor(last: Duration, now: Duration) -> (Duration, String) {
    let came = if last.is_zero() {
        "no new request came after leaving".to_owned()
    } else {
        format!("the last new request came {} after leaving", human(last))
    };
    let needed = needed(last);
    if needed > now {
        (needed, format!("{came}; half as long again, for a slower moment"))
    } else if now.is_zero() {
        (now, format!("{came}: its changes take effect at once"))
    } else {
        // One quiet moment does not prove that the load balancer's maker is wrong.
        (whole_seconds(now), format!("{came}, within what is waited now"))
    }
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
            came: None,
            leaving: Some(Duration::from_millis(10)),
            drain: Some(Duration::from_secs(2)),
            back: None,
        }
    }

    fn lines(last_arrival: LastArrival, floors: &[(&str, u64)], quiet: u64) -> Vec<Line> {
        let floors = floors.iter();
        let ground = Ground {
            floors: floors
                .map(|(name, floor)| ((*name).to_owned(), Duration::from_secs(*floor)))
                .collect(),
            quiet: Duration::from_secs(quiet),
            file: Some("web.toml".to_owned()),
            unit: "web.service".to_owned(),
        };
        advice(&figures(last_arrival), &ground)
    }

    fn texts(last_arrival: LastArrival, floor: u64, quiet: u64) -> Vec<String> {
        let lines = lines(last_arrival, &[("edge", floor)], quiet);
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
    fn each_line_has_its_place_and_each_load_balancer_its_own_floor() {
        let after = || LastArrival::After(Duration::from_millis(4100));
        let places = |floors: &[(&str, u64)]| {
            let lines = lines(after(), floors, 0);
            let told = lines
                .into_iter()
                .map(|line| format!("{} {}", line.text, line.place));
            told.collect::<Vec<_>>()
        };
        let floors = [("edge", 0), ("public", 15), ("inner", 0)];
        assert_eq!(
            places(&floors),
            [
                r#"min_wait = "7s" under [[load_balancer]] "edge" and "inner""#,
                r#"min_wait = "15s" under [[load_balancer]] "public""#,
                r#"budget = "19s" at the top of web.toml"#,
                "TimeoutStopSec=20s in [Service] of web.service",
            ]
        );
        let ground = Ground {
            floors: vec![("haproxy".to_owned(), Duration::ZERO)],
            ..Ground::default()
        };
        let lines = advice(&figures(after()), &ground);
        assert_eq!(lines[0].text, "--min-wait 7s");
        assert_eq!(lines[1].text, "--budget 11s");
    }

    #[test]
    fn what_was_not_seen_is_not_guessed() {
        assert!(texts(LastArrival::StillComing(Duration::from_secs(9)), 0, 0).is_empty());
        let blind = texts(LastArrival::Unknown("no".to_owned()), 0, 0);
        assert_eq!(blind, [r#"budget = "5s""#, "TimeoutStopSec=6s"]);
    }
}
