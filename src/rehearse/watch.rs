//! What arrives at this host, and what is in flight here, from the first moment to the last.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
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

/// How often what is in flight is counted: as fine as it is drawn.
const PLOTTED: Duration = Duration::from_millis(50);

/// What has been seen so far. Times count from the start of the load.
#[derive(Debug, Clone, Default)]
pub(super) struct Seen {
    /// When requests of the load arrived.
    pub(super) arrivals: Vec<Duration>,
    /// When connections were opened, each to a look.
    pub(super) connections: Vec<Duration>,
    /// How many requests were in flight, whenever that changed.
    pub(super) in_flight: Vec<(Duration, u64)>,
    /// Why nothing can be seen.
    pub(super) blind: Option<String>,
    /// Why connections of a moment are missed, where they are.
    pub(super) deaf: Option<String>,
}

/// A watch on this host's ports, until it is dropped.
#[derive(Debug)]
pub(super) struct Watch {
    seen: Arc<Mutex<Seen>>,
    traffic: Traffic,
    watching: tokio::task::JoinHandle<()>,
}

impl Watch {
    /// Watches `ports`, on the clock that starts at `started`. `main_pid` is the service's process, whose network is
    /// meant.
    pub(super) fn start(ports: BTreeSet<u16>, main_pid: Option<u32>, started: Instant) -> Self {
        let seen = Arc::new(Mutex::new(Seen::default()));
        let (traffic, looking) = Traffic::new(ports.clone(), evidence::open(main_pid));
        {
            let (seen, ports) = (Arc::downgrade(&seen), ports.clone());
            std::thread::spawn(move || count(&seen, &ports, main_pid, started));
        }
        let watching = {
            let seen = Arc::clone(&seen);
            tokio::spawn(async move {
                tokio::join!(looking, look(&seen, ports, main_pid, started));
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

async fn look(seen: &Mutex<Seen>, ports: BTreeSet<u16>, main_pid: Option<u32>, started: Instant) {
    let mut arrivals = match Arrivals::new(MARKED, main_pid) {
        Ok(arrivals) => arrivals,
        Err(error) => {
            lock(seen).blind = Some(error.to_string());
            return;
        }
    };
    lock(seen).deaf = arrivals.deaf().map(str::to_owned);
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
        lock(seen).take(now, looked);
        tokio::time::sleep(NEAR).await;
    }
}

impl Seen {
    /// Takes in one look. What one of them could not read the next one sees.
    fn take(&mut self, now: Duration, looked: std::io::Result<evidence::Came>) {
        match looked {
            Ok(came) => {
                let ago = came.requests.into_iter();
                self.arrivals.extend(ago.map(|ago| now.saturating_sub(ago)));
                self.connections.extend(vec![now; came.connections]);
                self.blind = None;
            }
            Err(error) => self.blind = Some(error.to_string()),
        }
    }
}

/// Counts what is in flight, on a thread of its own, until nobody wants to know any more. The engine's own view is more
/// frugal and would be seconds late where a look costs much; and a look here would hold up the load.
fn count(seen: &Weak<Mutex<Seen>>, ports: &BTreeSet<u16>, main_pid: Option<u32>, started: Instant) {
    let mut evidence = evidence::open(main_pid);
    while let Some(seen) = seen.upgrade() {
        let effort = Effort::begin();
        let looked = evidence.look(ports);
        let now = started.elapsed();
        if let Ok(traffic) = looked {
            let number = traffic.values().map(|port| port.in_flight).sum();
            let in_flight = &mut lock(&seen).in_flight;
            if in_flight.last().is_none_or(|(_, last)| *last != number) {
                in_flight.push((now, number));
            }
        }
        drop(seen);
        std::thread::sleep(PLOTTED.max(effort.spent() * SHARE));
    }
}

fn lock(seen: &Mutex<Seen>) -> MutexGuard<'_, Seen> {
    // A panic while the lock was held leaves plain values behind.
    seen.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::*;
    use crate::evidence::Came;

    #[test]
    fn one_look_that_fails_does_not_make_it_blind_for_good() {
        let (mut seen, now) = (Seen::default(), Duration::from_secs(1));
        seen.take(now, Err(io::Error::other("interrupted")));
        assert_eq!(seen.blind.as_deref(), Some("interrupted"));
        let came = Came {
            requests: vec![Duration::from_millis(4)],
            connections: 2,
        };
        seen.take(now, Ok(came));
        assert_eq!((seen.blind, seen.connections.len()), (None, 2));
        assert_eq!(seen.arrivals, [Duration::from_millis(996)]);
    }
}
