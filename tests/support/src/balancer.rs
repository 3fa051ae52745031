//! A load balancer that takes its time: an HTTP reverse proxy in front of two servers, whose changes are accepted
//! at once and take effect later, as those of the big clouds do.
//!
//! It keeps connections to its servers open and uses them again, and passes every byte of a request on.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use crate::http::{Fake, Reply};

/// How it behaves.
#[derive(Debug, Clone, Copy, Default)]
pub struct Manner {
    /// From a change to its effect.
    pub takes_effect_after: Duration,
    /// From a request for a change to its answer.
    pub answers_after: Duration,
}

/// The running load balancer. Its control endpoint goes with it; its threads end with the test.
pub struct SlowBalancer {
    front: SocketAddr,
    control: Fake,
    state: Arc<State>,
}

struct State {
    servers: [SocketAddr; 2],
    turn: AtomicUsize,
    /// Whether the first server is meant to be in rotation, and since when.
    meant: Mutex<(bool, Instant)>,
    manner: Manner,
    idle: [Mutex<Vec<BufReader<TcpStream>>>; 2],
    longest: Mutex<Duration>,
}

impl SlowBalancer {
    /// Starts one in front of two servers. `PUT /out` and `PUT /in` at its control endpoint are about the first.
    #[must_use]
    pub fn start(servers: [SocketAddr; 2], manner: Manner) -> Self {
        let long_ago = Instant::now().checked_sub(manner.takes_effect_after);
        let state = Arc::new(State {
            servers,
            turn: AtomicUsize::new(0),
            meant: Mutex::new((true, long_ago.unwrap_or_else(Instant::now))),
            manner,
            idle: Default::default(),
            longest: Mutex::default(),
        });
        let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a free port");
        let front = listener.local_addr().expect("it is bound");
        {
            let state = Arc::clone(&state);
            thread::spawn(move || {
                for client in listener.incoming().flatten() {
                    let state = Arc::clone(&state);
                    // A connection that breaks is the client's to notice.
                    thread::spawn(move || drop(serve(client, &state)));
                }
            });
        }
        let control = {
            let state = Arc::clone(&state);
            Fake::start(move |asked| {
                let meant = match asked.line().as_str() {
                    "PUT /out" => false,
                    "PUT /in" => true,
                    _ => return Reply::new(404, "PUT /out or /in"),
                };
                *lock(&state.meant) = (meant, Instant::now());
                thread::sleep(state.manner.answers_after);
                Reply::new(200, "")
            })
        };
        Self {
            front,
            control,
            state,
        }
    }

    /// Where its clients connect.
    #[must_use]
    pub fn front(&self) -> SocketAddr {
        self.front
    }

    /// The URL of its control endpoint, without a path.
    #[must_use]
    pub fn control(&self) -> String {
        self.control.url()
    }

    /// The truth: whether the first server is meant to be in rotation.
    #[must_use]
    pub fn is_meant_in(&self) -> bool {
        lock(&self.state.meant).0
    }

    /// Puts the first server in or out, as its control endpoint does.
    pub fn mean(&self, in_rotation: bool) {
        let mut meant = lock(&self.state.meant);
        if meant.0 != in_rotation {
            *meant = (in_rotation, Instant::now());
        }
    }

    /// The longest that a client had to wait here so far: more than the service takes where the machine is busy.
    #[must_use]
    pub fn longest(&self) -> Duration {
        *lock(&self.state.longest)
    }

    /// What it was told so far.
    #[must_use]
    pub fn told(&self) -> Vec<String> {
        self.control.lines()
    }
}

impl State {
    /// The server of the next request.
    fn next(&self) -> usize {
        let (meant, since) = *lock(&self.meant);
        let in_rotation = meant == (since.elapsed() >= self.manner.takes_effect_after);
        if in_rotation {
            self.turn.fetch_add(1, Ordering::Relaxed) % 2
        } else {
            1
        }
    }

    fn connection(&self, server: usize) -> io::Result<BufReader<TcpStream>> {
        if let Some(kept) = lock(&self.idle[server]).pop() {
            return Ok(kept);
        }
        let stream = TcpStream::connect(self.servers[server])?;
        stream.set_nodelay(true)?;
        Ok(BufReader::new(stream))
    }
}

/// One client, request by request.
fn serve(client: TcpStream, state: &State) -> io::Result<()> {
    client.set_nodelay(true)?;
    let mut answers = client.try_clone()?;
    let mut requests = BufReader::new(client);
    loop {
        let request = head(&mut requests)?;
        if request.is_empty() {
            return Ok(());
        }
        let begun = Instant::now();
        let server = state.next();
        let asked = state.connection(server).and_then(|mut connection| {
            connection.get_mut().write_all(&request)?;
            let answer = whole(&mut connection)?;
            lock(&state.idle[server]).push(connection);
            Ok(answer)
        });
        let bad_gateway = || b"HTTP/1.1 502 Bad Gateway\r\ncontent-length: 0\r\n\r\n".to_vec();
        answers.write_all(&asked.unwrap_or_else(|_| bad_gateway()))?;
        let longest = begun.elapsed().max(*lock(&state.longest));
        *lock(&state.longest) = longest;
        if has(&request, "connection: close") {
            return Ok(());
        }
    }
}

/// A head up to its empty line; nothing where the other side closed.
fn head(from: &mut impl BufRead) -> io::Result<Vec<u8>> {
    let mut head = Vec::new();
    loop {
        let line = from.read_until(b'\n', &mut head)?;
        if line == 0 && !head.is_empty() {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        if line <= 2 {
            return Ok(head);
        }
    }
}

/// A whole answer, with the body that its length promises.
fn whole(from: &mut impl BufRead) -> io::Result<Vec<u8>> {
    let mut answer = head(from)?;
    let text = String::from_utf8_lossy(&answer).to_ascii_lowercase();
    let length = text
        .lines()
        .find_map(|line| line.strip_prefix("content-length: "));
    let length: u64 = length
        .and_then(|length| length.trim().parse().ok())
        .ok_or(io::ErrorKind::UnexpectedEof)?;
    let whole = answer.len() as u64 + length;
    from.take(length).read_to_end(&mut answer)?;
    if answer.len() as u64 == whole {
        Ok(answer)
    } else {
        Err(io::ErrorKind::UnexpectedEof.into())
    }
}

fn has(head: &[u8], line: &str) -> bool {
    let head = String::from_utf8_lossy(head).to_ascii_lowercase();
    head.lines().any(|other| other == line)
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
