//! How soon after the last answer the process has ended, for each kind of evidence.

use std::fs;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use lb_drain_test_support::http::{Fake, Reply};
use lb_drain_test_support::http1::Connection;
use lb_drain_test_support::slow_service;
use serde_json::json;

use crate::edge::Haproxy;
use crate::limits::Limits;
use crate::side::{deregister, memory_folder};

const RUNS: usize = 101;
/// How long nothing may be in flight, where this host's connections are the evidence. It is no part of the reaction.
const QUIET: Duration = Duration::from_millis(200);

/// Prints the distributions.
pub(crate) fn run(limits: &mut Limits) {
    println!("\nfrom the last answer to the exit, of {RUNS} runs; at most 20 ms at p50 and 60 ms at p99");
    println!(
        "{:<44} {:>10} {:>10} {:>10} {:>10}",
        "", "p50", "p90", "p99", "max"
    );
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let service = listener.local_addr().expect("bound");
    thread::spawn(move || drop(slow_service::serve(&listener, "app1")));
    let folder = memory_folder();
    let file = folder.path().join("lb-drain.toml");

    let haproxy = Haproxy::start(1, &service.to_string());
    let text = format!(
        "[[load_balancer]]\nprovider = \"haproxy\"\nsockets = [{:?}]\nservers = [\"web/app1\"]\n",
        haproxy.socket(0)
    );
    fs::write(&file, text).expect("written");
    let lags = distribution(&file, || {
        haproxy.put_in();
        UnixStream::connect(haproxy.clients()).expect("it listens")
    });
    print("HAProxy counts", &lags, limits);

    let endpoint = Fake::start(|_| Reply::new(200, ""));
    let leave = format!(
        "[[load_balancer]]\nprovider = \"http\"\n[load_balancer.deregister]\nmethod = \"POST\"\nurl = \"{}/\"\n",
        endpoint.url()
    );
    let text = format!(
        "ports = [{}]\nquiet = \"{}ms\"\n{leave}",
        service.port(),
        QUIET.as_millis()
    );
    fs::write(&file, text).expect("written");
    let lags: Vec<Duration> = distribution(&file, || TcpStream::connect(service).expect("it listens"))
        .iter()
        .map(|lag| lag.saturating_sub(QUIET))
        .collect();
    print("this host's connections, less the quiet time", &lags, limits);

    let active = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&active);
    let endpoint = Fake::start(move |_| Reply::json(200, &json!({ "active": count.load(Ordering::SeqCst) })));
    // The moment this host's connections fall silent is the moment to ask.
    let text = format!(
        "ports = [{port}]\n\
         [[load_balancer]]\nprovider = \"http\"\n[load_balancer.deregister]\nmethod = \"POST\"\nurl = \"{url}/\"\n\
         [load_balancer.drained]\nurl = \"{url}/\"\npointer = \"/active\"\nop = \"==\"\nvalue = 0\n",
        port = service.port(),
        url = endpoint.url()
    );
    fs::write(&file, text).expect("written");
    let lags = distribution(&file, || Counted::connect(service, &active));
    print("an HTTP endpoint says that it has drained", &lags, limits);
}

/// One lag for each run, with a request in flight on what `connect` gives that ends at a random moment.
fn distribution<S: Read + Write + Send + 'static>(
    configuration: &Path,
    connect: impl Fn() -> S,
) -> Vec<Duration> {
    let record = memory_folder();
    (0..RUNS)
        .map(|_| {
            let mut connection = Connection::new(connect());
            let lasts = fastrand::u32(200..500);
            let client = thread::spawn(move || {
                let answer = connection.get(&format!("/sleep/{lasts}"), &[]);
                let answered = Instant::now();
                assert_eq!(answer.expect("an answer").status, 200);
                // Idle connections stay open.
                (answered, connection)
            });
            // Until the request has arrived; none is shorter.
            thread::sleep(Duration::from_millis(20));
            let ended = deregister(record.path())
                .args(["--budget", "20s", "--config"])
                .arg(configuration)
                .stderr(Stdio::null())
                .status();
            let now = Instant::now();
            assert!(ended.as_ref().is_ok_and(|ended| ended.success()), "{ended:?}");
            let (answered, _idle) = client.join().expect("no panic");
            // This process may notice the answer some milliseconds after the tool did.
            assert!(
                now + Duration::from_millis(50) > answered,
                "it did not wait for the answer"
            );
            now.saturating_duration_since(answered)
        })
        .collect()
}

fn print(title: &str, lags: &[Duration], limits: &mut Limits) {
    let mut millis: Vec<f64> = lags.iter().map(|lag| lag.as_secs_f64() * 1e3).collect();
    millis.sort_by(f64::total_cmp);
    let at = |part: usize| millis[(millis.len() - 1) * part / 100];
    let words = [(50, 20.0), (99, 60.0)].map(|(part, at_most)| {
        limits.judge(&format!("reaction in ms at p{part}, {title}"), at(part), at_most)
    });
    println!(
        "{title:<44} {:>7.1} ms {:>7.1} ms {:>7.1} ms {:>7.1} ms {}, {}",
        at(50),
        at(90),
        at(99),
        at(100),
        words[0],
        words[1]
    );
}

/// A client's connection that is counted from its request to the end of its answer, as a load balancer does.
struct Counted {
    stream: TcpStream,
    active: Arc<AtomicUsize>,
}

impl Counted {
    fn connect(service: std::net::SocketAddr, active: &Arc<AtomicUsize>) -> Self {
        Self {
            stream: TcpStream::connect(service).expect("it listens"),
            active: Arc::clone(active),
        }
    }
}

impl Read for Counted {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let length = self.stream.read(buffer)?;
        // The whole answer is one small segment.
        self.active.store(0, Ordering::SeqCst);
        Ok(length)
    }
}

impl Write for Counted {
    fn write(&mut self, buffer: &[u8]) -> std::io::Result<usize> {
        self.active.store(1, Ordering::SeqCst);
        self.stream.write(buffer)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.stream.flush()
    }
}
