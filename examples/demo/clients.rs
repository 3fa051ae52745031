//! The load: keep-alive clients that send at a steady rate, whatever comes back (an open loop, so that a stall is
//! seen and not hidden).

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::io::{AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::time::{interval, timeout};

use crate::http::Message;
use crate::service::ANSWERED_BY;

/// What they are, in a line.
pub(crate) const ABOUT: &str =
    "100 requests a second on keep-alive connections, the same 1050 for each way, none sent twice";

/// How many requests each way of stopping meets.
const REQUESTS: usize = 1050;

/// The time between two of them.
const PACE: Duration = Duration::from_millis(10);

/// The slowest request, in milliseconds.
const SLOWEST_MS: u64 = 2000;

/// Far above the slowest request with HAProxy's three attempts to connect.
const PATIENCE: Duration = Duration::from_secs(10);

/// One request and what became of it. Times count from the start of the load.
pub(crate) struct Request {
    pub(crate) ended: Duration,
    pub(crate) outcome: Outcome,
}

/// What became of a request.
pub(crate) enum Outcome {
    /// The whole answer came, from this copy.
    Answered(String),
    /// It did not.
    Failed(Failure),
}

/// Why a request failed, as a client sees it.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Failure {
    /// The load balancer's own answer: status and reason.
    Status(String),
    /// The connection was closed before the whole answer was there.
    Cut,
    /// The load balancer refused the connection.
    Refused,
    /// No answer within [`PATIENCE`].
    NoAnswer,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Status(status) => f.write_str(status),
            Self::Cut => f.write_str("connection cut"),
            Self::Refused => f.write_str("connection refused"),
            Self::NoAnswer => write!(f, "no answer in {} s", PATIENCE.as_secs()),
        }
    }
}

/// A load that runs.
pub(crate) struct Load(Arc<Shared>);

struct Shared {
    started: Instant,
    front: SocketAddr,
    progress: Mutex<Progress>,
}

#[derive(Default)]
struct Progress {
    sent: usize,
    failed: usize,
    done: Vec<Request>,
    idle: Vec<BufReader<TcpStream>>,
}

impl Load {
    /// Starts sending to `front`.
    pub(crate) fn start(front: SocketAddr) -> Self {
        let shared = Arc::new(Shared {
            started: Instant::now(),
            front,
            progress: Mutex::default(),
        });
        tokio::spawn(send_all(Arc::clone(&shared)));
        Self(shared)
    }

    /// How long it has been running.
    pub(crate) fn elapsed(&self) -> Duration {
        self.0.started.elapsed()
    }

    /// Where it stands, in a line.
    pub(crate) fn status(&self) -> String {
        let Progress {
            sent, failed, done, ..
        } = &*self.0.progress();
        let in_flight = sent - done.len();
        format!("{sent} requests sent, {failed} failed, {in_flight} in flight")
    }

    /// Waits until all is sent.
    pub(crate) async fn sent(&self) {
        self.0.until(|progress| progress.sent == REQUESTS).await;
    }

    /// Waits until all that was sent is answered or has failed.
    pub(crate) async fn finished(&self) {
        self.0.until(|progress| progress.done.len() == REQUESTS).await;
    }

    /// All requests, and what became of each.
    pub(crate) fn into_requests(self) -> Vec<Request> {
        std::mem::take(&mut self.0.progress().done)
    }
}

impl Shared {
    fn progress(&self) -> MutexGuard<'_, Progress> {
        self.progress.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn until(&self, reached: impl Fn(&Progress) -> bool) {
        while !reached(&self.progress()) {
            tokio::time::sleep(PACE).await;
        }
    }
}

async fn send_all(shared: Arc<Shared>) {
    // A tick that comes late is followed at once by the next (tokio's default): the rate holds on a busy machine.
    let mut pace = interval(PACE);
    for millis in durations_ms().take(REQUESTS) {
        pace.tick().await;
        shared.progress().sent += 1;
        tokio::spawn(one(Arc::clone(&shared), millis));
    }
}

/// 0 to [`SLOWEST_MS`], evenly spread, the same ones each time (Lehmer's generator with the MINSTD constants).
fn durations_ms() -> impl Iterator<Item = u64> {
    let mut state = 20_u64;
    std::iter::repeat_with(move || {
        state = state * 48_271 % 0x7fff_ffff;
        state % (SLOWEST_MS + 1)
    })
}

async fn one(shared: Arc<Shared>, millis: u64) {
    let outcome = match timeout(PATIENCE, ask(&shared, millis)).await {
        Ok(Ok(outcome)) => outcome,
        Ok(Err(error)) if error.kind() == io::ErrorKind::ConnectionRefused => {
            Outcome::Failed(Failure::Refused)
        }
        Ok(Err(_)) => Outcome::Failed(Failure::Cut),
        Err(_) => Outcome::Failed(Failure::NoAnswer),
    };
    let ended = shared.started.elapsed();
    let mut progress = shared.progress();
    progress.failed += usize::from(matches!(outcome, Outcome::Failed(_)));
    progress.done.push(Request { ended, outcome });
}

async fn ask(shared: &Shared, millis: u64) -> io::Result<Outcome> {
    let idle = shared.progress().idle.pop();
    let mut connection = match idle {
        Some(connection) => connection,
        None => {
            let stream = TcpStream::connect(shared.front).await?;
            stream.set_nodelay(true)?;
            BufReader::new(stream)
        }
    };
    connection
        .write_all(&Message::get(&format!("/{millis}")).bytes)
        .await?;
    let answer = Message::read(&mut connection).await?;
    let answer = answer.ok_or(io::ErrorKind::UnexpectedEof)?;
    if !answer.closes() {
        shared.progress().idle.push(connection);
    }
    Ok(match (answer.subject(), answer.header(ANSWERED_BY)) {
        ("200 OK", Some(copy)) => Outcome::Answered(copy.to_owned()),
        (status, _) => Outcome::Failed(Failure::Status(status.to_owned())),
    })
}
