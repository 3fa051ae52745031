//! Watches this host's ports side by side with the load balancers.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Notify, watch};
use tokio::time::Instant;

use crate::evidence::{self, Effort, Evidence};

/// The shortest time between two looks while an answer is missing.
const NEAR: Duration = Duration::from_millis(10);
/// The same where all that is left are answers that came since the look before: a second look has to show that nothing
/// moves any more.
const SOON: Duration = Duration::from_millis(5);
/// What a look may take at that pace: without any connection the kernel goes through an empty table, which on a host
/// with much memory takes half a millisecond, and up to twice that where the processor has other things in its cache.
const CHEAP: Duration = Duration::from_millis(1);
/// What the cheaper of two looks takes beyond that may be one part in this many of the time: with the dearer ones among
/// 100 000 connections, which cost up to twice as much, all of them together take less than a hundredth.
const SHARE: u32 = 200;

/// What is known of the ports at one moment.
#[derive(Debug, Clone, Default)]
struct Sight {
    ports: BTreeMap<u16, Port>,
    looked_at: Option<Instant>,
    blind: Option<String>,
}

#[derive(Debug, Clone, Copy)]
struct Port {
    in_flight: u64,
    undecidable: u64,
    /// The first of the looks since the last busy one: what came between the two is not known.
    quiet_since: Instant,
    listening: bool,
}

/// A view on the watched ports. All clones are the same watch.
#[derive(Debug, Clone)]
pub struct Traffic {
    wanted: watch::Sender<BTreeSet<u16>>,
    sight: watch::Receiver<Sight>,
    hurry: Arc<Notify>,
}

impl Traffic {
    /// A watch on `ports`, and the future that does the watching: it runs until dropped.
    pub fn new(ports: BTreeSet<u16>, evidence: Box<dyn Evidence>) -> (Self, impl Future<Output = ()> + Send) {
        let (wanted, changed) = watch::channel(ports);
        let (sights, sight) = watch::channel(Sight::default());
        let hurry = Arc::<Notify>::default();
        let watching = run(evidence, changed, sights, Arc::clone(&hurry));
        (Self { wanted, sight, hurry }, watching)
    }

    /// Watches these ports too.
    pub fn watch(&self, ports: &BTreeSet<u16>) {
        self.wanted.send_if_modified(|wanted| {
            let before = wanted.len();
            wanted.extend(ports);
            wanted.len() > before
        });
    }

    /// Requests in flight on these ports; `None` while that is not known.
    #[must_use]
    pub fn in_flight(&self, ports: &BTreeSet<u16>) -> Option<u64> {
        let sight = self.sight.borrow();
        if ports.is_empty() || sight.blind.is_some() {
            return None;
        }
        ports
            .iter()
            .map(|port| sight.ports.get(port).map(|port| port.in_flight))
            .sum()
    }

    /// Whether a look no older than `since` has seen nothing in flight on these ports, but for connections of which it
    /// cannot be told any more.
    #[must_use]
    pub fn nothing_certain(&self, ports: &BTreeSet<u16>, since: Instant) -> bool {
        let sight = self.sight.borrow();
        let none = |port: &u16| {
            let port = sight.ports.get(port);
            port.is_some_and(|port| port.in_flight <= port.undecidable)
        };
        sight.looked_at >= Some(since) && ports.iter().all(none)
    }

    /// Since when nothing has been in flight on these ports; `None` while something is, or that is not
    /// known.
    #[must_use]
    pub fn quiet_since(&self, ports: &BTreeSet<u16>) -> Option<Instant> {
        if self.in_flight(ports) != Some(0) {
            return None;
        }
        let sight = self.sight.borrow();
        ports
            .iter()
            .filter_map(|port| sight.ports.get(port))
            .map(|port| port.quiet_since)
            .max()
    }

    /// When the last look was.
    #[must_use]
    pub fn looked_at(&self) -> Option<Instant> {
        self.sight.borrow().looked_at
    }

    /// Has a look made now. Many connections are looked through rarely, and the last look may be old when
    /// something is to be decided by it.
    pub fn hurry(&self) {
        self.hurry.notify_one();
    }

    /// Those of these ports on which nothing listens, or that have not been looked at yet.
    #[must_use]
    pub fn not_listening(&self, ports: &BTreeSet<u16>) -> Vec<u16> {
        let sight = self.sight.borrow();
        let listens = |port: &u16| sight.ports.get(port).is_some_and(|port| port.listening);
        ports.iter().copied().filter(|port| !listens(port)).collect()
    }

    /// Why nothing can be seen, where that is so.
    #[must_use]
    pub fn blind(&self) -> Option<String> {
        self.sight.borrow().blind.clone()
    }

    /// Returns after the next look.
    pub async fn next_look(&mut self) {
        if self.sight.changed().await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}

async fn run(
    mut evidence: Box<dyn Evidence>,
    mut wanted: watch::Receiver<BTreeSet<u16>>,
    sights: watch::Sender<Sight>,
    hurry: Arc<Notify>,
) {
    // The load balancers first: a look through many connections takes its time.
    tokio::task::yield_now().await;
    let mut before = Duration::ZERO;
    let mut near = NEAR;
    loop {
        let ports = wanted.borrow_and_update().clone();
        let effort = Effort::begin();
        if !ports.is_empty() {
            let seen = evidence.look(&ports);
            let now = Instant::now();
            sights.send_modify(|sight| match seen {
                Ok(traffic) => {
                    sight.blind = None;
                    sight.looked_at = Some(now);
                    near = if all_are_ending(&traffic) { SOON } else { NEAR };
                    for (port, traffic) in traffic {
                        let entry = sight.ports.entry(port).or_insert(Port {
                            in_flight: 0,
                            undecidable: 0,
                            quiet_since: now,
                            listening: false,
                        });
                        entry.listening = traffic.listening;
                        if entry.in_flight > 0 {
                            entry.quiet_since = now;
                        }
                        entry.in_flight = traffic.in_flight;
                        entry.undecidable = traffic.undecidable;
                    }
                }
                Err(error) => sight.blind = Some(error.to_string()),
            });
        }
        // Now and then a look does more, at a pace of its own. That is not what looks cost.
        let spent = effort.spent();
        let pause = near.max(spent.min(before).saturating_sub(CHEAP) * SHARE);
        before = spent;
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            () = hurry.notified() => {}
            changed = wanted.changed() => if changed.is_err() {
                tokio::time::sleep(pause).await;
            }
        }
    }
}

fn all_are_ending(traffic: &BTreeMap<u16, evidence::Traffic>) -> bool {
    let sum = |number: fn(&evidence::Traffic) -> u64| traffic.values().map(number).sum::<u64>();
    let moving = sum(|port| port.moving);
    moving > 0 && moving == sum(|port| port.in_flight)
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::*;

    /// Works hard at each look of a script, by milliseconds.
    struct Work(Vec<u64>);

    impl Evidence for Work {
        fn look(&mut self, _: &BTreeSet<u16>) -> io::Result<BTreeMap<u16, evidence::Traffic>> {
            let effort = Effort::begin();
            let work = Duration::from_millis(self.0.pop().unwrap_or_default());
            while effort.spent() < work {}
            Ok(BTreeMap::new())
        }
    }

    /// Sees so many in flight, and of them so many that only move, at each look.
    struct InFlight(u64, u64);

    impl Evidence for InFlight {
        fn look(&mut self, ports: &BTreeSet<u16>) -> io::Result<BTreeMap<u16, evidence::Traffic>> {
            let on_port = evidence::Traffic {
                in_flight: self.0,
                moving: self.1,
                ..evidence::Traffic::default()
            };
            Ok(ports.iter().map(|&port| (port, on_port)).collect())
        }
    }

    /// The time to the look after all of these.
    async fn after(mut work: Vec<u64>) -> Duration {
        let looks = work.len();
        work.reverse();
        until_look(looks, Box::new(Work(work))).await
    }

    /// The time to the look after so many.
    async fn until_look(looks: usize, evidence: Box<dyn Evidence>) -> Duration {
        let (mut traffic, looking) = Traffic::new(BTreeSet::from([80]), evidence);
        let began = Instant::now();
        tokio::select! {
            () = looking => {}
            () = async {
                for _ in 0..=looks {
                    traffic.next_look().await;
                }
            } => {}
        }
        began.elapsed()
    }

    #[tokio::test(start_paused = true)]
    async fn one_look_that_costs_more_does_not_delay_the_next_and_looks_that_all_do_are_rare() {
        assert!(after(vec![0, 0, 20, 0, 20, 0]).await <= Duration::from_millis(200));
        assert!(after(vec![0, 20, 20]).await >= (Duration::from_millis(20) - CHEAP) * SHARE);
    }

    #[tokio::test(start_paused = true)]
    async fn once_all_is_answered_the_next_look_comes_sooner() {
        for (in_flight, moving, between) in [(0, 0, NEAR), (2, 0, NEAR), (2, 1, NEAR), (2, 2, SOON)] {
            let took = until_look(4, Box::new(InFlight(in_flight, moving))).await;
            assert_eq!(took, between * 4, "{moving} of {in_flight}");
        }
    }
}
