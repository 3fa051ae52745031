//! Load and watch on one clock, with the phases in which things happened.

use std::collections::BTreeSet;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use super::Phase;
use super::load::{Aim, Load, Request, Tally};
use super::watch::Watch;
use crate::engine::Traffic;

/// Records from its start until it is dropped.
#[derive(Debug)]
pub struct Recorder {
    started: Instant,
    load: Load,
    watch: Watch,
    marks: Mutex<Marks>,
}

#[derive(Debug)]
struct Marks {
    phases: Vec<(Phase, Duration)>,
    /// When all was done but for the last answers.
    ended: Option<Duration>,
}

/// What was recorded. Times count from the start of the load.
#[derive(Debug, Clone, Default)]
pub struct Recorded {
    /// What became of each request, in the order in which they were due.
    pub requests: Vec<Request>,
    /// Requests of which nothing is known yet.
    pub unanswered: usize,
    /// Requests that were not sent when they were due, nor at any time after.
    pub unsent: usize,
    /// The phases in order, and when each began.
    pub phases: Vec<(Phase, Duration)>,
    /// When the last phase ended.
    pub ended: Duration,
    /// When requests of the load arrived at this host.
    pub arrivals: Vec<Duration>,
    /// When connections to this host were opened.
    pub connections: Vec<Duration>,
    /// How many requests were in flight at this host, whenever that changed.
    pub in_flight: Vec<(Duration, u64)>,
    /// Why this host's connections could not be seen.
    pub blind: Option<String>,
    /// Why those could not that were open for a moment only.
    pub deaf: Option<String>,
}

impl Recorder {
    /// Starts to send `rate` requests a second, and to watch `ports` of this host: of its own network, or of that of
    /// the service's process `main_pid`.
    #[must_use]
    pub fn start(aim: Aim, rate: u32, ports: BTreeSet<u16>, main_pid: Option<u32>) -> Self {
        let started = Instant::now();
        tracing::debug!("now: {}", Phase::Before);
        Self {
            started,
            watch: Watch::start(ports, main_pid, started),
            load: Load::start(aim, rate, started),
            marks: Mutex::new(Marks {
                phases: vec![(Phase::Before, Duration::ZERO)],
                ended: None,
            }),
        }
    }

    /// The time on its clock.
    #[must_use]
    pub fn now(&self) -> Duration {
        self.started.elapsed()
    }

    /// A moment on its clock.
    #[must_use]
    pub fn at(&self, moment: Instant) -> Duration {
        moment.saturating_duration_since(self.started)
    }

    /// Another phase begins. Returns when.
    pub fn enter(&self, phase: Phase) -> Duration {
        let now = self.now();
        tracing::debug!("now: {phase}");
        self.marks().phases.push((phase, now));
        now
    }

    /// The phase that it is in.
    #[must_use]
    pub fn phase(&self) -> Phase {
        self.marks()
            .phases
            .last()
            .map_or(Phase::Before, |(phase, _)| *phase)
    }

    /// Where the load stands.
    #[must_use]
    pub fn tally(&self) -> Tally {
        self.load.tally()
    }

    /// The engine's view of this host's ports.
    #[must_use]
    pub fn traffic(&self) -> &Traffic {
        self.watch.traffic()
    }

    /// When the first request arrived here since that moment, or why that cannot be known.
    ///
    /// # Errors
    ///
    /// Why this host's connections cannot be seen.
    pub fn arrived_since(&self, since: Duration) -> Result<Option<Duration>, String> {
        let seen = self.watch.seen();
        match &seen.blind {
            Some(why) => Err(why.clone()),
            None => Ok(seen.arrivals.iter().copied().filter(|at| *at >= since).min()),
        }
    }

    /// Sends no more.
    pub fn stop_sending(&self) {
        self.load.stop();
    }

    /// Sends no more, and waits for the answers that are to come.
    pub async fn finish(&self) {
        let now = self.now();
        self.stop_sending();
        self.marks().ended.get_or_insert(now);
        tracing::debug!("now: waiting for the last answers");
        self.load.answered().await;
    }

    /// What has been recorded so far.
    #[must_use]
    pub fn recorded(&self) -> Recorded {
        let (tally, requests) = self.load.done();
        let seen = self.watch.seen().clone();
        let marks = self.marks();
        Recorded {
            requests,
            unanswered: tally.sent - tally.ended,
            unsent: tally.unsent,
            phases: marks.phases.clone(),
            ended: marks.ended.unwrap_or_else(|| self.now()),
            arrivals: seen.arrivals,
            connections: seen.connections,
            in_flight: seen.in_flight,
            blind: seen.blind,
            deaf: seen.deaf,
        }
    }

    fn marks(&self) -> MutexGuard<'_, Marks> {
        // A panic while the lock was held leaves plain values behind.
        self.marks.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
