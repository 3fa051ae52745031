//! What arrives at this host, and what is in flight here, from the first moment to the last.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use super::load::MARKED;
use crate::engine::Traffic;
use crate::evidence::{self, Arrivals, Effort};

/// The shortest time between two looks.
const NEAR: Duration = Duration::from_millis(10);
/// A look may take one part in this many of the time. While a rehearsal runs, to see counts for more than to
/// be frugal.
const SHARE: u32 = 10;

/// What has been seen so far. Times count from the start of the load.
#[derive(Debug, Clone, Default)]
pub(super) struct Seen {
    /// When requests of the load arrived.
    pub(super) arrivals: Vec<Duration>,
    /// How many requests were in flight, whenever that changed.
    pub(super) in_flight: Vec<(Duration, u64)>,
    /// Why nothing can be seen.
    pub(super) blind: Option<String>,
}

/// A watch on this host's ports, until it is dropped.
#[derive(Debug)]
pub(super) struct Watch {
    seen: Arc<Mutex<Seen>>,
    traffic: Traffic,
    watching: tokio::task::JoinHandle<()>,
}

impl Watch {
    /// Watches `ports`, on the clock that starts at `started`.
    pub(super) fn start(ports: BTreeSet<u16>, started: Instant) -> Self {
        let seen = Arc::new(Mutex::new(Seen::default()));
        let (traffic, looking) = Traffic::new(ports.clone(), evidence::open(None));
        let watching = {
            let (seen, traffic) = (Arc::clone(&seen), traffic.clone());
            tokio::spawn(async move {
                tokio::join!(looking, look(&seen, traffic, ports, started));
            })
        };
        Self {
            seen,
            traffic,
            watching,
        }
    }

    /// The engine's view of the same ports.
    pub(super) fn traffic(&self) -> &Traffic {
        &self.traffic
    }

    /// What has been seen so far.
    pub(super) fn seen(&self) -> MutexGuard<'_, Seen> {
        lock(&self.seen)
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.watching.abort();
    }
}

async fn look(seen: &Mutex<Seen>, traffic: Traffic, ports: BTreeSet<u16>, started: Instant) {
    let mut arrivals = match Arrivals::new(MARKED) {
        Ok(arrivals) => arrivals,
        Err(error) => {
            lock(seen).blind = Some(error.to_string());
            return;
        }
    };
    let mut next_look = started;
    loop {
        let looked = if Instant::now() >= next_look {
            let effort = Effort::begin();
            let looked = arrivals.look(&ports);
            next_look = Instant::now() + effort.spent() * SHARE;
            looked
        } else {
            arrivals.glance(&ports)
        };
        let now = started.elapsed();
        let in_flight = traffic.in_flight(&ports);
        {
            let mut seen = lock(seen);
            match looked {
                Ok(ago) => seen
                    .arrivals
                    .extend(ago.into_iter().map(|ago| now.saturating_sub(ago))),
                Err(error) => seen.blind = Some(error.to_string()),
            }
            if let Some(number) = in_flight
                && seen.in_flight.last().is_none_or(|(_, last)| *last != number)
            {
                seen.in_flight.push((now, number));
            }
        }
        tokio::time::sleep(NEAR).await;
    }
}

fn lock(seen: &Mutex<Seen>) -> MutexGuard<'_, Seen> {
    // A panic while the lock was held leaves plain values behind.
    seen.lock().unwrap_or_else(PoisonError::into_inner)
}
