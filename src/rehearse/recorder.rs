//! Load and watch on one clock, with the phases in which things happened.

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use super::Phase;
use super::load::{Aim, Load, Request, Tally};
use super::watch::Watch;
use crate::engine::Traffic;

/// Records from its start until [`Recorder::finish`].
#[derive(Debug)]
pub struct Recorder {
    started: Instant,
    load: Load,
    watch: Watch,
    phases: Mutex<Vec<(Phase, Duration)>>,
}

/// What was recorded. Times count from the start of the load.
#[derive(Debug, Clone, Default)]
pub struct Recorded {
    /// What became of each request, in the order in which they were due.
    pub requests: Vec<Request>,
    /// The phases in order, and when each began.
    pub phases: Vec<(Phase, Duration)>,
    /// When the load ended.
    pub ended: Duration,
    /// When requests of the load arrived at this host.
    pub arrivals: Vec<Duration>,
    /// How many requests were in flight at this host, whenever that changed.
    pub in_flight: Vec<(Duration, u64)>,
    /// Why this host's connections could not be seen.
    pub blind: Option<String>,
}

impl Recorder {
    /// Starts to send `rate` requests a second, and to watch `ports` of this host.
    #[must_use]
    pub fn start(aim: Aim, rate: u32, ports: BTreeSet<u16>) -> Self {
        let started = Instant::now();
        tracing::debug!("now: {}", Phase::Before);
        Self {
            started,
            watch: Watch::start(ports, started),
            load: Load::start(aim, rate, started),
            phases: Mutex::new(vec![(Phase::Before, Duration::ZERO)]),
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
        self.phases().push((phase, now));
        now
    }

    /// The phase that it is in.
    #[must_use]
    pub fn phase(&self) -> Phase {
        self.phases().last().map_or(Phase::Before, |(phase, _)| *phase)
    }

    /// Where the load stands.
    #[must_use]
    pub fn tally(&self) -> Tally {
        self.load.tally()
    }

    /// The requests that have ended so far.
    #[must_use]
    pub fn done(&self) -> Vec<Request> {
        self.load.done()
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

    /// Sends no more, waits for the answers that are to come, and returns the record.
    pub async fn finish(self) -> Recorded {
        let ended = self.now();
        let requests = self.load.stop().await;
        let seen = self.watch.seen().clone();
        Recorded {
            requests,
            phases: self.phases.into_inner().unwrap_or_else(PoisonError::into_inner),
            ended,
            arrivals: seen.arrivals,
            in_flight: seen.in_flight,
            blind: seen.blind,
        }
    }

    fn phases(&self) -> std::sync::MutexGuard<'_, Vec<(Phase, Duration)>> {
        // A panic while the lock was held leaves plain values behind.
        self.phases.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
