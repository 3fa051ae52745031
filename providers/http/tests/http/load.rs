//! Traffic through a real load balancer while a host leaves it and comes back.

use std::collections::BTreeMap;
use std::io;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use lb_drain_api::LoadBalancer;
use lb_drain_test_support::http::{Fake, Reply};
use lb_drain_test_support::http1::Connection;

use crate::support::look;

/// How long a slow request takes: long enough to be in flight when the host leaves.
const SLOW: Duration = Duration::from_millis(400);

/// A service that answers with its name, `/slow` slowly.
pub(crate) fn service(name: &'static str, port: u16) -> Fake {
    Fake::on(([127, 0, 0, 1], port).into(), None, move |asked| {
        match asked.path.as_str() {
            "/slow" => Reply::After(SLOW, Box::new(Reply::new(200, name))),
            _ => Reply::new(200, name),
        }
    })
}

/// Where a load balancer listens: a unix socket, because two servers on one port would share it in silence.
#[derive(Debug, Clone)]
pub(crate) struct At(pub(crate) PathBuf);

impl At {
    fn connect(&self) -> io::Result<Connection<UnixStream>> {
        let stream = UnixStream::connect(&self.0)?;
        stream.set_read_timeout(Some(Duration::from_secs(20)))?;
        Ok(Connection::new(stream))
    }

    /// Who answers one request.
    pub(crate) fn ask(&self, path: &str) -> Result<String, String> {
        let response = self
            .connect()
            .and_then(|mut connection| connection.get(path, &[]));
        read(response)
    }

    /// Waits until these answer, and nobody else.
    pub(crate) fn wait_for(&self, names: &[&str]) {
        let deadline = Instant::now() + Duration::from_secs(20);
        let mut seen = Vec::new();
        while Instant::now() < deadline {
            seen = (0..8).map(|_| self.ask("/fast")).collect();
            let all = names
                .iter()
                .all(|name| seen.iter().any(|answer| answer.as_deref() == Ok(name)));
            let only = seen
                .iter()
                .all(|answer| answer.as_deref().is_ok_and(|answer| names.contains(&answer)));
            if all && only {
                return;
            }
            thread::sleep(Duration::from_millis(50));
        }
        panic!("not {names:?} but {seen:?}");
    }
}

fn read(response: io::Result<lb_drain_test_support::http1::Response>) -> Result<String, String> {
    match response {
        Ok(response) if response.status == 200 => Ok(String::from_utf8_lossy(&response.body).into_owned()),
        Ok(response) => Err(format!(
            "{} {}",
            response.status,
            String::from_utf8_lossy(&response.body)
        )),
        Err(error) => Err(error.to_string()),
    }
}

/// Clients that ask one request after the other: half of them slow ones, and half of them on connections that
/// they keep.
pub(crate) struct Traffic {
    stop: Arc<AtomicBool>,
    clients: Vec<JoinHandle<()>>,
    seen: Arc<Mutex<Seen>>,
}

#[derive(Debug, Default, Clone)]
pub(crate) struct Seen {
    /// Requests by the name of the service that answered.
    pub by: BTreeMap<String, usize>,
    pub failures: Vec<String>,
}

impl Seen {
    pub(crate) fn all(&self) -> usize {
        self.by.values().sum::<usize>() + self.failures.len()
    }
}

impl Traffic {
    pub(crate) fn start(at: &At) -> Self {
        let (stop, seen) = (
            Arc::new(AtomicBool::new(false)),
            Arc::new(Mutex::new(Seen::default())),
        );
        let clients = (0..8)
            .map(|number| {
                let (at, stop, seen) = (at.clone(), Arc::clone(&stop), Arc::clone(&seen));
                thread::spawn(move || client(&at, number, &stop, &seen))
            })
            .collect();
        Self { stop, clients, seen }
    }

    pub(crate) fn seen(&self) -> Seen {
        self.seen.lock().unwrap().clone()
    }

    /// Waits until this service has answered more requests of the clients than it had `then`.
    pub(crate) fn wait_for(&self, name: &str, then: &Seen) {
        let count = |seen: &Seen| seen.by.get(name).copied().unwrap_or_default();
        let deadline = Instant::now() + Duration::from_secs(20);
        while count(&self.seen()) <= count(then) {
            assert!(
                Instant::now() < deadline,
                "{name} gets no request: {:?}",
                self.seen()
            );
            thread::sleep(Duration::from_millis(20));
        }
    }

    pub(crate) fn end(self) -> Seen {
        self.stop.store(true, Ordering::SeqCst);
        for client in self.clients {
            client.join().unwrap();
        }
        let seen = self.seen.lock().unwrap().clone();
        println!(
            "{} requests, {} failed: {:?}",
            seen.all(),
            seen.failures.len(),
            seen.by
        );
        seen
    }
}

fn client(at: &At, number: usize, stop: &AtomicBool, seen: &Mutex<Seen>) {
    let (path, keeps) = (
        if number.is_multiple_of(2) {
            "/slow"
        } else {
            "/fast"
        },
        number % 4 < 2,
    );
    let mut kept = None;
    while !stop.load(Ordering::SeqCst) {
        let was_kept = kept.is_some();
        let mut answer = exchange(at, path, &mut kept);
        if was_kept && answer.is_err() {
            // A server may close a connection that idles in the very moment of the next request; every client
            // then asks again on a new one (RFC 9112, section 9.3.1).
            kept = None;
            answer = exchange(at, path, &mut kept);
        }
        if !keeps {
            kept = None;
        }
        let mut seen = seen.lock().unwrap();
        match read(answer) {
            Ok(name) => *seen.by.entry(name).or_default() += 1,
            Err(failure) => seen.failures.push(format!("{path}: {failure}")),
        }
        drop(seen);
        thread::sleep(Duration::from_millis(5));
    }
}

type Kept = Option<Connection<UnixStream>>;

fn exchange(at: &At, path: &str, kept: &mut Kept) -> io::Result<lb_drain_test_support::http1::Response> {
    let mut connection = match kept.take() {
        Some(connection) => connection,
        None => at.connect()?,
    };
    let response = connection.get(path, &[])?;
    if response.keep_alive {
        *kept = Some(connection);
    }
    Ok(response)
}

/// A server that ends when this is dropped.
pub(crate) struct Server(Child);

impl Server {
    /// Starts it; what it writes is shown where the test fails. `None`, with the reason printed, where it is
    /// not installed; with `CI=true` that is a failure, so that nothing is skipped there unseen.
    pub(crate) fn start(command: &mut Command, from: &str) -> Option<Self> {
        match command.stdin(Stdio::null()).spawn() {
            Ok(child) => Some(Self(child)),
            Err(error) => {
                let missing = format!("{}: {error} ({from})", command.get_program().display());
                assert!(std::env::var("CI").as_deref() != Ok("true"), "{missing}");
                println!("skipped: {missing}");
                None
            }
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

/// Looks until the load balancer counts nothing in flight, as the engine would. Returns the counts.
pub(crate) async fn drain(balancer: &Arc<dyn LoadBalancer>) -> Vec<u64> {
    let deadline = Instant::now() + Duration::from_secs(20);
    let mut counts = Vec::new();
    while Instant::now() < deadline {
        let view = look(balancer).await;
        counts.extend(view.in_flight);
        if view.in_flight == Some(0) {
            return counts;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("not drained: {counts:?}");
}
