//! Keep-alive clients that ask for slow answers and remember how each request ended.

use std::io;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use lb_drain_test_support::http1::Connection;

use super::{Haproxy, eventually};

/// Where clients connect to.
#[derive(Debug, Clone)]
pub(crate) struct Front {
    pub(crate) socket: PathBuf,
    /// Whether it may close a connection that idles in the very moment of the next request. Every client then asks
    /// again on a new one (RFC 9112, section 9.3.1), and so do these.
    pub(crate) may_close_idle: bool,
}

/// How one request ended.
#[derive(Debug, Clone)]
pub(crate) struct Answer {
    /// Which service answered; empty where none did.
    pub(crate) by: String,
    /// When the last byte of the answer was here.
    pub(crate) ended: Instant,
    /// What went wrong, if anything did.
    pub(crate) failure: Option<String>,
}

/// Clients that send one request after the other until [`Load::finish`].
pub(crate) struct Load {
    shared: Arc<Shared>,
    clients: Vec<JoinHandle<()>>,
}

struct Shared {
    over: AtomicBool,
    answered: AtomicUsize,
    answers: Mutex<Vec<Answer>>,
}

impl Load {
    /// So many clients for each of these HAProxys, with requests of 0 to `longest` (the short ones more often, as in
    /// life: half take less than a quarter of it), each with these header lines.
    pub(crate) fn start(balancers: &[&Haproxy], clients: usize, longest: Duration, headers: &[&str]) -> Self {
        let fronts = balancers.iter().map(|balancer| Front {
            socket: balancer.front(),
            may_close_idle: false,
        });
        Self::on(fronts.collect(), clients, longest, headers)
    }

    /// As [`Load::start`], for load balancers of any make.
    pub(crate) fn on(fronts: Vec<Front>, clients: usize, longest: Duration, headers: &[&str]) -> Self {
        let shared = Arc::new(Shared {
            over: AtomicBool::new(false),
            answered: AtomicUsize::new(0),
            answers: Mutex::new(Vec::new()),
        });
        let headers: Vec<String> = headers.iter().map(|line| (*line).to_owned()).collect();
        let clients = fronts
            .into_iter()
            .flat_map(|front| (0..clients).map(move |_| front.clone()))
            .enumerate()
            .map(|(number, front)| {
                let (shared, headers) = (Arc::clone(&shared), headers.clone());
                thread::spawn(move || client(number, &front, longest, &headers, &shared))
            })
            .collect();
        Self { shared, clients }
    }

    /// Waits until so many requests have ended, since the start.
    pub(crate) fn wait_for(&self, requests: usize) {
        eventually(&format!("{requests} requests have ended"), || {
            self.shared.answered.load(Ordering::Relaxed) >= requests
        });
    }

    /// Waits until so many more requests have ended.
    pub(crate) fn wait_for_more(&self, requests: usize) {
        self.wait_for(self.shared.answered.load(Ordering::Relaxed) + requests);
    }

    /// Lets every client finish its request, and tells how all went.
    pub(crate) fn finish(self) -> Report {
        self.shared.over.store(true, Ordering::Relaxed);
        for client in self.clients {
            client.join().expect("a client ends");
        }
        let mut answers = std::mem::take(&mut *self.shared.answers.lock().expect("no client panicked"));
        answers.sort_by_key(|answer| answer.ended);
        Report { answers }
    }
}

/// How all requests of a load ended, in the order of their ends.
pub(crate) struct Report {
    pub(crate) answers: Vec<Answer>,
}

impl Report {
    /// Those that went wrong.
    pub(crate) fn failed(&self) -> Vec<&Answer> {
        self.answers
            .iter()
            .filter(|answer| answer.failure.is_some())
            .collect()
    }

    /// How many this service answered after that moment.
    pub(crate) fn answered_by(&self, service: &str, after: Instant) -> usize {
        self.answers
            .iter()
            .filter(|answer| answer.by == service && answer.ended > after)
            .count()
    }

    /// When this service answered for the last time before that moment.
    pub(crate) fn last_answer_of(&self, service: &str, before: Instant) -> Instant {
        self.answers
            .iter()
            .rfind(|answer| answer.by == service && answer.ended < before)
            .expect("the service answered something")
            .ended
    }

    /// Asserts that at least so many were sent and that every one was answered.
    pub(crate) fn assert_nothing_lost(&self, at_least: usize) {
        let failed = self.failed();
        let total = self.answers.len();
        println!("{total} requests, {} failed", failed.len());
        assert!(failed.is_empty(), "of {total} requests these failed: {failed:#?}");
        assert!(total >= at_least, "only {total} requests were sent");
    }
}

fn client(number: usize, front: &Front, longest: Duration, headers: &[String], shared: &Shared) {
    let mut dice = Dice::new(number as u64 + 1);
    let mut connection = None;
    while !shared.over.load(Ordering::Relaxed) {
        let delay = longest.mul_f64(dice.roll().powi(2));
        let on_kept = connection.is_some();
        let mut outcome = request(&mut connection, &front.socket, delay, headers);
        if on_kept && front.may_close_idle && outcome.as_ref().is_err_and(closed) {
            outcome = request(&mut connection, &front.socket, delay, headers);
        }
        let (by, failure) = match outcome {
            Ok(by) => (by, None),
            Err(error) => {
                connection = None;
                (String::new(), Some(error.to_string()))
            }
        };
        let failed = failure.is_some();
        shared.answers.lock().expect("no client panicked").push(Answer {
            by,
            ended: Instant::now(),
            failure,
        });
        shared.answered.fetch_add(1, Ordering::Relaxed);
        if failed {
            thread::sleep(Duration::from_millis(100)); // a dead service must not be asked in a tight loop
        }
    }
}

/// Whether the connection ended instead of an answer.
fn closed(error: &io::Error) -> bool {
    use io::ErrorKind::{BrokenPipe, ConnectionReset, UnexpectedEof};
    [BrokenPipe, ConnectionReset, UnexpectedEof].contains(&error.kind())
}

/// Sends one request, on the connection of the one before where there is one, and returns who answered it.
fn request(
    connection: &mut Option<Connection<UnixStream>>,
    front: &Path,
    delay: Duration,
    headers: &[String],
) -> io::Result<String> {
    let mut open = match connection.take() {
        Some(open) => open,
        None => {
            let stream = UnixStream::connect(front)?;
            stream.set_read_timeout(Some(Duration::from_secs(30)))?;
            Connection::new(stream)
        }
    };
    let answer = open.get(&format!("/sleep/{}", delay.as_millis()), headers)?;
    if answer.keep_alive {
        *connection = Some(open);
    }
    let body = String::from_utf8_lossy(&answer.body).into_owned();
    match answer.status {
        200 => Ok(body),
        status => Err(io::Error::other(format!("status {status}: {body}"))),
    }
}

/// A xorshift generator: the same numbers in each run.
struct Dice(u64);

impl Dice {
    fn new(seed: u64) -> Self {
        let mut dice = Self(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15));
        dice.roll();
        dice
    }

    /// From 0 to 1.
    fn roll(&mut self) -> f64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) as f64 / (1_u64 << 53) as f64
    }
}
