//! Sends at the rate that was asked for.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{OnceCell, Semaphore};
use tokio::task::JoinHandle;
use tokio::time::{Instant, interval, timeout};

use super::connection::{Connection, Sent};
use super::{Aim, Failure, Request};

/// The most connections at once, with room below the 1024 files that a process may have open where nobody says
/// otherwise. A request that finds all taken waits for one, and its client with it.
pub const CONNECTIONS: usize = 980;

/// How long a client waits for an answer: longer than load balancers do before they give up on a server.
pub const PATIENCE: Duration = Duration::from_secs(65);

/// How often to look whether all is answered.
const LOOK: Duration = Duration::from_millis(5);

/// A request that would be sent later than this is not sent at all: after a pause (Ctrl-Z, a host that stood still) all
/// that were due meanwhile would come at once, and be a load that nobody asked for.
const TOO_LATE: Duration = Duration::from_secs(1);

/// A load that runs until it is stopped or dropped.
#[derive(Debug)]
pub struct Load {
    shared: Arc<Shared>,
    sending: JoinHandle<()>,
}

/// Where a load stands.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Tally {
    /// Requests that were due so far.
    pub sent: usize,
    /// Of these, those that are answered or have failed.
    pub ended: usize,
    /// Of these, those that have failed.
    pub failed: usize,
    /// Requests that were due when this process stood still, and were not sent.
    pub unsent: usize,
}

struct Shared {
    started: Instant,
    aim: Aim,
    /// Looked up once: a thousand lookups a second would measure a name server.
    addresses: OnceCell<Vec<SocketAddr>>,
    connections: Arc<Semaphore>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    tally: Tally,
    done: Vec<Request>,
    idle: Vec<Connection>,
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Shared")
            .field("aim", &self.aim)
            .finish_non_exhaustive()
    }
}

impl Load {
    /// Starts to send `rate` requests a second, on the clock that starts at `started`.
    #[must_use]
    pub fn start(aim: Aim, rate: u32, started: Instant) -> Self {
        let shared = Arc::new(Shared {
            started,
            aim,
            addresses: OnceCell::new(),
            connections: Arc::new(Semaphore::new(CONNECTIONS)),
            state: Mutex::default(),
        });
        let sending = tokio::spawn(send(Arc::clone(&shared), rate));
        Self { shared, sending }
    }

    /// Where it stands.
    #[must_use]
    pub fn tally(&self) -> Tally {
        self.shared.state().tally
    }

    /// Where it stands, and what became of each request that has ended, in the order in which they were due.
    #[must_use]
    pub fn done(&self) -> (Tally, Vec<Request>) {
        let (tally, mut done) = {
            let state = self.shared.state();
            (state.tally, state.done.clone())
        };
        done.sort_by_key(|request| request.due);
        (tally, done)
    }

    /// Sends no more.
    pub fn stop(&self) {
        self.sending.abort();
    }

    /// Waits until all that was sent is answered or has failed, and at the latest until no client would wait any
    /// more.
    pub async fn answered(&self) {
        let all = async {
            while {
                let tally = self.tally();
                tally.ended < tally.sent
            } {
                tokio::time::sleep(LOOK).await;
            }
        };
        // What is missing then is counted as unanswered.
        drop(timeout(PATIENCE + TOO_LATE, all).await);
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        self.sending.abort();
    }
}

async fn send(shared: Arc<Shared>, rate: u32) {
    // A tick that comes late is followed at once by the next (tokio's default): the rate holds on a busy host.
    let mut pace = interval(Duration::from_secs(1) / rate.max(1));
    for number in 0.. {
        let due = pace.tick().await;
        if due.elapsed() > TOO_LATE {
            shared.state().tally.unsent += 1;
            continue;
        }
        shared.state().tally.sent += 1;
        tokio::spawn(one(Arc::clone(&shared), number, due));
    }
}

async fn one(shared: Arc<Shared>, number: usize, due: Instant) {
    let failure = timeout(PATIENCE, shared.ask(number))
        .await
        .unwrap_or(Err(Failure::NoAnswer))
        .err();
    let request = Request {
        due: due.saturating_duration_since(shared.started),
        ended: shared.started.elapsed(),
        failure,
    };
    let mut state = shared.state();
    state.tally.ended += 1;
    state.tally.failed += usize::from(request.failure.is_some());
    state.done.push(request);
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        // A panic while the lock was held leaves plain values behind.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Half of the requests are on connections of their own, the rest on connections that are kept: by twos, so
    /// that neither kind keeps step with the turns of a load balancer.
    async fn ask(&self, number: usize) -> Result<(), Failure> {
        let fresh = (number / 2).is_multiple_of(2);
        while let Some(mut kept) = if fresh { None } else { self.kept() } {
            match kept.send(self.aim.request(number, false)).await {
                Sent::Unsent => {}
                sent => return self.ended(sent, Some(kept)),
            }
        }
        let permit = match Arc::clone(&self.connections).try_acquire_owned() {
            Ok(permit) => permit,
            Err(_) => {
                drop(self.state().idle.pop());
                let permit = Arc::clone(&self.connections).acquire_owned().await;
                // The semaphore is never closed.
                permit.map_err(|error| Failure::NotConnected(error.to_string()))?
            }
        };
        let addresses = self.addresses(number).await?;
        let mut connection = Connection::open(&self.aim, &addresses, permit).await?;
        let sent = connection.send(self.aim.request(number, fresh)).await;
        self.ended(sent, (!fresh).then_some(connection))
    }

    /// Where to connect, each time beginning with another address.
    async fn addresses(&self, number: usize) -> Result<Vec<SocketAddr>, Failure> {
        let lookup = || async {
            let found = tokio::net::lookup_host((self.aim.host.as_str(), self.aim.port)).await;
            let found: Vec<SocketAddr> = found
                .map_err(|error| Failure::NotConnected(error.to_string()))?
                .collect();
            (!found.is_empty())
                .then_some(found)
                .ok_or_else(|| Failure::NotConnected("its name has no address".to_owned()))
        };
        let mut addresses = self.addresses.get_or_try_init(lookup).await?.clone();
        let first = number % addresses.len();
        addresses.rotate_left(first);
        Ok(addresses)
    }

    /// The connection that was used last, so that those which are too many grow old.
    fn kept(&self) -> Option<Connection> {
        let mut state = self.state();
        while let Some(connection) = state.idle.pop() {
            if connection.is_fit() {
                return Some(connection);
            }
        }
        None
    }

    /// What became of a request. Its connection, where that is for more than one, is kept unless it broke.
    fn ended(&self, sent: Sent, connection: Option<Connection>) -> Result<(), Failure> {
        let whole = matches!(sent, Sent::Answered | Sent::Failed(Failure::Status(_)));
        if let Some(connection) = connection
            && whole
            && connection.is_open()
        {
            self.state().idle.push(connection);
        }
        match sent {
            Sent::Answered => Ok(()),
            Sent::Failed(failure) => Err(failure),
            // It was new, and closed before anything could be sent.
            Sent::Unsent => Err(Failure::Cut),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

    use super::*;

    /// A server that accepts and never answers, and how many connections it has accepted.
    fn silent() -> (String, Arc<AtomicUsize>) {
        let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a free port");
        let url = format!("http://{}/", listener.local_addr().expect("it is bound"));
        let accepted = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&accepted);
        std::thread::spawn(move || {
            let mut kept = Vec::new();
            for stream in listener.incoming().flatten() {
                kept.push(stream);
                count.fetch_add(1, Ordering::SeqCst);
            }
        });
        (url, accepted)
    }

    #[tokio::test(start_paused = true)]
    async fn a_pause_of_the_process_is_not_made_up_for_at_once() {
        let aim = Aim::new(&["http://127.0.0.1:9/".to_owned()], &[]).expect("an aim");
        let load = Load::start(aim, 100, Instant::now());
        tokio::time::sleep(Duration::from_millis(500)).await;
        let before = load.tally().sent;
        tokio::time::advance(Duration::from_secs(60)).await;
        tokio::time::sleep(Duration::from_millis(1)).await;
        let tally = load.tally();
        let at_once = tally.sent - before;
        assert!(at_once <= 101, "what is late by a second at most: {at_once}");
        assert!((5800..=6000).contains(&tally.unsent), "{tally:?}");
    }

    #[tokio::test]
    async fn a_stall_does_not_slow_the_rate_and_connections_are_bounded() {
        // Both ends are in this process.
        let limits = getrlimit(Resource::Nofile);
        let enough = Rlimit {
            current: limits.maximum,
            ..limits
        };
        setrlimit(Resource::Nofile, enough).expect("up to the hard limit anybody may");
        let (url, accepted) = silent();
        let aim = Aim::new(&[url], &[]).expect("an aim");
        let started = Instant::now();
        let load = Load::start(aim, 1000, started);
        while load.tally().sent < 1200 {
            tokio::time::sleep(LOOK).await;
        }
        let took = started.elapsed();
        assert!(
            took >= Duration::from_millis(1190),
            "never faster than asked for: {took:?}"
        );
        tokio::time::sleep(Duration::from_millis(200)).await;
        assert_eq!(load.tally().ended, 0, "nobody answers");
        assert_eq!(accepted.load(Ordering::SeqCst), CONNECTIONS);
    }
}
