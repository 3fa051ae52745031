//! What a record amounts to.

use std::collections::BTreeMap;
use std::time::Duration;

use lb_drain_api::duration::human;

use super::load::{Failure, Request};
use super::{Deeds, Phase, Recorded};

/// A request that arrives so shortly after this host has left was on its way already.
pub(super) const AT_ONCE: Duration = Duration::from_millis(100);

/// The last request is taken for the last when nothing came for so many times as long as it used to take from one
/// to the next: chance alone keeps that from one in a hundred.
const GAPS: u32 = 5;

/// The figures of one rehearsal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Figures {
    /// Phase by phase.
    pub spells: Vec<Spell>,
    /// Requests sent in all.
    pub sent: usize,
    /// How many of them failed, by kind.
    pub failures: BTreeMap<Failure, usize>,
    /// Of all that were answered.
    pub latency: Latency,
    /// When the last new request arrived here after this host had left.
    pub last_arrival: LastArrival,
    /// What else came here from then on, while that was watched; `None` where nothing could be seen.
    pub came: Option<Came>,
    /// From the beginning to being out of rotation.
    pub leaving: Option<Duration>,
    /// From the beginning to being drained.
    pub drain: Option<Duration>,
    /// From the beginning of coming back to the first request here.
    pub back: Option<Duration>,
}

/// One phase.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Spell {
    /// Which.
    pub phase: Phase,
    /// When it began.
    pub from: Duration,
    /// When it ended.
    pub to: Duration,
    /// Requests that were due in it.
    pub sent: usize,
    /// How many of these failed, by kind.
    pub failures: BTreeMap<Failure, usize>,
    /// Of those that were answered.
    pub latency: Latency,
}

/// How long clients waited for answers.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Latency {
    /// Half of them not longer than this.
    pub p50: Duration,
    /// All but one in a hundred not longer than this.
    pub p99: Duration,
    /// None longer than this.
    pub max: Duration,
}

/// What came to this host's ports.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Came {
    /// Requests of the load.
    pub requests: usize,
    /// New connections, whoever opened them: health checks are among them.
    pub connections: usize,
}

/// When the last new request arrived after this host had left.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LastArrival {
    /// This long after.
    After(Duration),
    /// They still arrived when the watch ended, which was so shortly after that one this long after leaving need not
    /// have been the last.
    StillComing(Duration),
    /// Not known, for this reason.
    Unknown(String),
}

impl Figures {
    /// Counts.
    #[must_use]
    pub fn new(recorded: &Recorded, deeds: &Deeds) -> Self {
        let ends = recorded.phases.iter().skip(1).map(|(_, from)| *from);
        let spells = recorded
            .phases
            .iter()
            .zip(ends.chain([recorded.ended]))
            .map(|(&(phase, from), to)| spell(&recorded.requests, phase, from, to))
            .collect();
        let since = |from: Option<Duration>, to: Option<Duration>| Some(to?.saturating_sub(from?));
        Self {
            spells,
            sent: recorded.requests.len() + recorded.unanswered,
            failures: failures(&recorded.requests.iter().collect::<Vec<_>>()),
            latency: latency(recorded.requests.iter()),
            last_arrival: last_arrival(recorded, deeds),
            came: came(recorded, deeds),
            leaving: since(deeds.leaving, deeds.out),
            drain: since(deeds.leaving, deeds.drained),
            back: since(deeds.returning, deeds.back),
        }
    }

    /// How many requests failed.
    #[must_use]
    pub fn failed(&self) -> usize {
        self.failures.values().sum()
    }
}

fn spell(requests: &[Request], phase: Phase, from: Duration, to: Duration) -> Spell {
    let these: Vec<&Request> = requests
        .iter()
        .filter(|request| from <= request.due && request.due < to)
        .collect();
    Spell {
        phase,
        from,
        to,
        sent: these.len(),
        failures: failures(&these),
        latency: latency(these.into_iter()),
    }
}

fn failures(requests: &[&Request]) -> BTreeMap<Failure, usize> {
    let mut failures = BTreeMap::new();
    for failure in requests.iter().filter_map(|request| request.failure.clone()) {
        *failures.entry(failure).or_default() += 1;
    }
    failures
}

fn latency<'a>(requests: impl Iterator<Item = &'a Request>) -> Latency {
    let mut took: Vec<Duration> = requests
        .filter(|request| request.failure.is_none())
        .map(Request::took)
        .collect();
    took.sort_unstable();
    let part = |percent: usize| {
        let at = (took.len() * percent).div_ceil(100).saturating_sub(1);
        took.get(at).copied().unwrap_or_default()
    };
    Latency {
        p50: part(50),
        p99: part(99),
        max: part(100),
    }
}

/// From when to when it is watched what still arrives. A restart ends it: what comes then comes to a service that its
/// unit may have brought back already.
fn watched(recorded: &Recorded, deeds: &Deeds) -> Option<(Duration, Duration)> {
    let restarting = recorded
        .phases
        .iter()
        .find(|(phase, _)| *phase == Phase::Restarting);
    let end = restarting.map(|(_, from)| *from).or(deeds.returning);
    let out = deeds.out?;
    Some((out, end.unwrap_or(recorded.ended).max(out)))
}

fn came(recorded: &Recorded, deeds: &Deeds) -> Option<Came> {
    let (from, to) = watched(recorded, deeds).filter(|_| recorded.blind.is_none())?;
    let count = |moments: &[Duration]| moments.iter().filter(|at| (from..to).contains(*at)).count();
    Some(Came {
        requests: count(&recorded.arrivals),
        connections: count(&recorded.connections),
    })
}

fn last_arrival(recorded: &Recorded, deeds: &Deeds) -> LastArrival {
    if let Some(why) = &recorded.blind {
        return LastArrival::Unknown(why.clone());
    }
    let Some((out, end)) = watched(recorded, deeds) else {
        return LastArrival::Unknown(
            "this host was not taken out of rotation by its load balancer".to_owned(),
        );
    };
    let late = recorded.arrivals.iter().filter(|at| (out..end).contains(*at));
    let last = late.max().map_or(Duration::ZERO, |last| *last - out);
    let before = deeds.leaving.unwrap_or(out);
    let came = recorded.arrivals.iter().filter(|at| **at < before).count();
    let quiet = before / u32::try_from(came).unwrap_or(u32::MAX).max(1) * GAPS;
    if end - out - last >= quiet {
        return LastArrival::After(last);
    }
    if last > AT_ONCE {
        return LastArrival::StillComing(last);
    }
    LastArrival::Unknown(format!(
        "it was watched for {} only, and requests used to come less often than that shows",
        human(end - out)
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn millis(number: u64) -> Duration {
        Duration::from_millis(number)
    }

    fn request(due: u64, ended: u64, failure: Option<Failure>) -> Request {
        Request {
            due: millis(due),
            ended: millis(ended),
            failure,
        }
    }

    fn recorded(arrivals: &[u64]) -> Recorded {
        Recorded {
            requests: (0..100)
                .map(|n| request(n * 100, n * 100 + n, None))
                .chain([request(9999, 9999, Some(Failure::Cut))])
                .collect(),
            phases: vec![(Phase::Before, millis(0)), (Phase::Leaving, millis(5000))],
            ended: millis(10_000),
            arrivals: arrivals.iter().copied().map(millis).collect(),
            ..Recorded::default()
        }
    }

    fn deeds() -> Deeds {
        Deeds {
            leaving: Some(millis(5000)),
            out: Some(millis(5010)),
            drained: Some(millis(6000)),
            returning: Some(millis(8000)),
            back: Some(millis(8300)),
            ..Deeds::default()
        }
    }

    #[test]
    fn requests_count_where_they_were_due_and_percentiles_are_of_the_answered() {
        let figures = Figures::new(&recorded(&[]), &deeds());
        assert_eq!((figures.sent, figures.failed()), (101, 1));
        let latency = Latency {
            p50: millis(49),
            p99: millis(98),
            max: millis(99),
        };
        assert_eq!(figures.latency, latency);
        let sent: Vec<_> = figures
            .spells
            .iter()
            .map(|spell| (spell.phase, spell.sent))
            .collect();
        assert_eq!(sent, [(Phase::Before, 50), (Phase::Leaving, 51)]);
        assert_eq!(figures.leaving, Some(millis(10)));
        assert_eq!(figures.drain, Some(millis(1000)));
        assert_eq!(figures.back, Some(millis(300)));
    }

    #[test]
    fn the_last_arrival_is_the_last_one_between_leaving_and_coming_back() {
        let last = |arrivals: &[u64]| Figures::new(&recorded(arrivals), &deeds()).last_arrival;
        // One each 100 ms before.
        let last = |late: &[u64]| last(&[(0..50).map(|n| n * 100).collect(), late.to_vec()].concat());
        assert_eq!(last(&[5005]), LastArrival::After(millis(0)));
        assert_eq!(last(&[6310, 5100, 8100]), LastArrival::After(millis(1300)));
        assert_eq!(last(&[5100, 7400]), LastArrival::After(millis(2390)));
        assert_eq!(last(&[5100, 7600]), LastArrival::StillComing(millis(2590)));
        // A restart brings this host back by itself, and what comes then comes late for another reason.
        let restarted = |arrivals: &[u64], restart: u64| {
            let mut recorded = recorded(&[(0..50).map(|n| n * 100).collect(), arrivals.to_vec()].concat());
            recorded.phases.push((Phase::Restarting, millis(restart)));
            Figures::new(&recorded, &deeds())
        };
        let figures = restarted(&[5005, 6500, 6600, 6700], 6000);
        assert_eq!(figures.last_arrival, LastArrival::After(millis(0)));
        assert_eq!(figures.came.map(|came| came.requests), Some(0));
        assert_eq!(
            restarted(&[5300, 5900], 6000).last_arrival,
            LastArrival::StillComing(millis(890))
        );
        // And where it follows at once, nothing has been seen that would show that nothing comes.
        let at_once = restarted(&[6500], 5300).last_arrival;
        assert!(matches!(at_once, LastArrival::Unknown(_)), "{at_once:?}");
        let blind = Recorded {
            blind: Some("no".to_owned()),
            ..recorded(&[])
        };
        assert_eq!(
            Figures::new(&blind, &deeds()).last_arrival,
            LastArrival::Unknown("no".to_owned())
        );
    }
}
