//! What counting the requests in flight on this host costs: `cargo bench --bench count`, some minutes.
//!
//! One look at a port with 0, 1 000 and 100 000 idle connections, by sock_diag and by `/proc/net/tcp`, which is the
//! fallback; the processor time of a watch on them; and how soon it sees the last answer. The connections are in a
//! network namespace of a process of their own, so that the same ones can be read both ways: from within by
//! sock_diag, from outside by procfs.
//!
//! Needs root, for the namespace.

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use lb_drain::engine::Traffic;
use lb_drain::evidence::{self, Precision, SocketEvidence};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use rustix::time::{ClockId, clock_gettime};

/// The argument of the process that holds the connections.
const HOLD: &str = "--hold";
const PORT: u16 = 8080;
/// The most connections of one process: each takes two descriptors, and an address has about 28 000 ports.
const MOST_OF_ONE: u64 = 20_000;
const MANY: usize = 100_000;
/// Looks of which the median is told.
const LOOKS: usize = 7;
const ANSWERS: usize = 40;
/// Times between looks in which the watch is measured.
const INTERVALS: usize = 2;

fn main() {
    let mut arguments = std::env::args().skip_while(|argument| argument != HOLD).skip(1);
    let mut number = || arguments.next().map(|text| text.parse().expect("a number"));
    match (number(), number()) {
        (Some(connections), Some(address)) => hold(connections, address),
        _ => compare(),
    }
}

fn compare() {
    println!("\none look at a port; medians of {LOOKS}, ratios to sock_diag");
    println!(
        "{:>11} {:>11} {:>18} {:>18}",
        "connections", "by", "wall", "processor"
    );
    for connections in [0, 1_000, MANY] {
        let mut holder = Holder::start_apart(connections);
        let sock_diag = holder.looks();
        let mut evidence = SocketEvidence::new(Some(holder.process.id())).expect("procfs");
        assert!(
            matches!(evidence.precision(), Precision::Connections { .. }),
            "read in another namespace"
        );
        let procfs = looks(&mut evidence, connections);
        for (by, cost) in [("sock_diag", sock_diag), ("procfs", procfs)] {
            println!(
                "{connections:>11} {by:>11} {:>10.2} ms {:>4.1} x {:>9.2} ms {:>4.1} x",
                cost.wall * 1e3,
                cost.wall / sock_diag.wall,
                cost.processor * 1e3,
                cost.processor / sock_diag.processor,
            );
        }
        if connections == MANY {
            println!("\na watch on {MANY} idle connections: {}", holder.ask("watch"));
        }
    }
    println!(
        "the last answer of a few connections is seen: {}",
        Holder::start_apart(10).ask("react")
    );
}

/// What one look cost, in seconds.
#[derive(Clone, Copy)]
struct Cost {
    wall: f64,
    processor: f64,
}

fn looks(evidence: &mut SocketEvidence, connections: usize) -> Cost {
    let ports = BTreeSet::from([PORT]);
    let (mut walls, mut efforts) = (Vec::new(), Vec::new());
    for look in 0..=LOOKS {
        let (begun, spent) = (Instant::now(), processor());
        let survey = evidence.survey(&ports).expect("a look");
        assert_eq!(survey.connections.len(), connections);
        if look > 0 {
            walls.push(begun.elapsed().as_secs_f64());
            efforts.push((processor() - spent).as_secs_f64());
        }
    }
    let median = |mut values: Vec<f64>| {
        values.sort_by(f64::total_cmp);
        values[values.len() / 2]
    };
    Cost {
        wall: median(walls),
        processor: median(efforts),
    }
}

/// Processor time of this thread.
fn processor() -> Duration {
    clock_gettime(ClockId::ThreadCPUTime).try_into().expect("a time")
}

/// The process with the connections.
struct Holder {
    process: Child,
    says: BufReader<std::process::ChildStdout>,
}

impl Holder {
    /// One in a network namespace of its own.
    fn start_apart(connections: usize) -> Self {
        let mut command = Command::new("unshare");
        command.args(["--net", "sh", "-c", "ip link set lo up && exec \"$@\"", "sh"]);
        command.arg(std::env::current_exe().expect("this program has a path"));
        Self::start(command, connections, 1)
    }

    /// So many connections to 127.0.0.`address`.
    fn start(mut command: Command, connections: usize, address: usize) -> Self {
        let mut process = command
            .args([HOLD, &connections.to_string(), &address.to_string()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("it starts, as root");
        let mut says = BufReader::new(process.stdout.take().expect("a pipe"));
        let mut line = String::new();
        says.read_line(&mut line).expect("it says something");
        assert_eq!(line, "ready\n", "it holds {connections} connections");
        Self { process, says }
    }

    fn ask(&mut self, what: &str) -> String {
        let stdin = self.process.stdin.as_mut().expect("a pipe");
        writeln!(stdin, "{what}").expect("it listens");
        let mut answer = String::new();
        self.says.read_line(&mut answer).expect("it answers");
        answer.trim_end().to_owned()
    }

    fn looks(&mut self) -> Cost {
        let answer = self.ask("looks");
        let (wall, processor) = answer.split_once(' ').expect("two numbers");
        Cost {
            wall: wall.parse().expect("seconds"),
            processor: processor.parse().expect("seconds"),
        }
    }
}

impl Drop for Holder {
    fn drop(&mut self) {
        // It ends with its standard input.
        drop(self.process.stdin.take());
        let _ = self.process.wait();
    }
}

/// Opens connections that have had one request and its answer each, and does what it is asked to.
fn hold(connections: usize, address: usize) {
    let limit = getrlimit(Resource::Nofile).maximum;
    let raised = Rlimit {
        current: limit,
        maximum: limit,
    };
    setrlimit(Resource::Nofile, raised).expect("up to its maximum");
    let most = (limit.map_or(MOST_OF_ONE, |limit| limit.saturating_sub(100) / 2)).min(MOST_OF_ONE) as usize;
    // Those of the others are for the first to look at.
    let mut others = Vec::new();
    let mut own = connections;
    while own > most {
        let command = Command::new(std::env::current_exe().expect("this program has a path"));
        others.push(Holder::start(command, most, address + others.len() + 1));
        own -= most;
    }
    let listener = TcpListener::bind((Ipv4Addr::new(127, 0, 0, address as u8), PORT))
        .expect("a port of its own namespace");
    let address = listener.local_addr().expect("bound");
    let mut pairs: Vec<(TcpStream, TcpStream)> = (0..own)
        .map(|_| {
            let client = TcpStream::connect(address).expect("connects");
            let mut pair = (client, listener.accept().expect("accepts").0);
            ask(&mut pair);
            answer(&mut pair);
            pair
        })
        .collect();
    // Idle for certain, however fast the answers were.
    std::thread::sleep(Duration::from_millis(1_500));
    println!("ready");
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .expect("a runtime");
    for line in std::io::stdin().lines() {
        match line.expect("UTF-8").as_str() {
            "looks" => {
                let mut evidence = SocketEvidence::new(None).expect("sock_diag");
                let cost = looks(&mut evidence, connections);
                println!("{} {}", cost.wall, cost.processor);
            }
            "watch" => println!("{}", runtime.block_on(watch())),
            "react" => println!("{}", runtime.block_on(react(&mut pairs))),
            other => panic!("what is {other}?"),
        }
    }
}

fn ask((client, server): &mut (TcpStream, TcpStream)) {
    client.write_all(b"request").expect("sends");
    server.read_exact(&mut [0; 7]).expect("arrives");
}

fn answer((client, server): &mut (TcpStream, TcpStream)) {
    server.write_all(b"answer").expect("answers");
    client.read_exact(&mut [0; 6]).expect("arrives");
}

/// The share of a core from the end of the first look to the end of the last of some, some seconds apart.
async fn watch() -> String {
    let (mut traffic, watching) = Traffic::new(BTreeSet::from([PORT]), evidence::open(None));
    tokio::select! {
        () = watching => unreachable!("it goes on"),
        text = async {
            traffic.next_look().await;
            let (begun, spent) = (Instant::now(), processor());
            // The first of them follows at once: that a look costs much is believed when a second one does.
            for _ in 0..=INTERVALS {
                traffic.next_look().await;
            }
            let (wall, processor) = (begun.elapsed(), processor() - spent);
            format!(
                "{:.2} % of a core in {:.0} s, {} looks",
                100.0 * processor.as_secs_f64() / wall.as_secs_f64(),
                wall.as_secs_f64(),
                INTERVALS + 1
            )
        } => text,
    }
}

/// The time from an answer to a look that finds nothing in flight.
async fn react(pairs: &mut [(TcpStream, TcpStream)]) -> String {
    let ports = BTreeSet::from([PORT]);
    let (mut traffic, watching) = Traffic::new(ports.clone(), evidence::open(None));
    let seen = traffic.clone();
    let reactions = async {
        let mut times = Vec::new();
        for number in 0..ANSWERS {
            let count = pairs.len();
            let pair = &mut pairs[number % count];
            ask(pair);
            while seen.in_flight(&ports) != Some(1) {
                traffic.next_look().await;
            }
            // At any moment between two looks.
            tokio::time::sleep(Duration::from_millis(100 + number as u64 % 20)).await;
            answer(pair);
            let begun = Instant::now();
            while seen.in_flight(&ports) != Some(0) {
                traffic.next_look().await;
            }
            times.push(begun.elapsed().as_secs_f64() * 1e3);
        }
        times.sort_by(f64::total_cmp);
        format!(
            "after {:.0} ms in the middle, {:.0} ms at most of {ANSWERS}",
            times[times.len() / 2],
            times[times.len() - 1]
        )
    };
    tokio::select! {
        () = watching => unreachable!("it goes on"),
        text = reactions => text,
    }
}
