//! One run of the real binary beside what goes wrong.

use std::fs;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use fastrand::Rng;
use lb_drain_test_support::gate;
use serde_json::Value;
use tempfile::TempDir;

use crate::balancer::{BLACK_HOLE, Balancer, LOSSY};
use crate::fault::{FLAP, Fault, Kind, RECOVERY, on_the_wire};
use crate::names::{self, RESOLVER};
use crate::rig::{Ended, Network, lb_drain_with};

pub(crate) const KEYS: [(&str, &str); 3] = [
    ("AWS_ACCESS_KEY_ID", "AKIAFAKE"),
    ("AWS_SECRET_ACCESS_KEY", "fake-secret"),
    ("AWS_REGION", "eu-west-1"),
];
/// From the moment at which it is out to the one at which the tool surely waits.
pub(crate) const IN_THE_WAIT: Duration = Duration::from_millis(400);

/// How long no packet gets through.
const CUT_OFF: Duration = Duration::from_millis(700);

/// A network in which packets to one address are dropped, and some to another, with the resolver of [`names`].
pub(crate) fn network(folder: &TempDir) -> Network {
    let network = Network::new();
    for rule in [
        "add table inet drops",
        "add chain inet drops output { type filter hook output priority 0; }",
        "add set inet drops cut { type inet_service; }",
        "add rule inet drops output tcp dport @cut drop",
        "add rule inet drops output tcp sport @cut drop",
        &format!("add rule inet drops output ip daddr {BLACK_HOLE} drop"),
        &format!("add rule inet drops output ip daddr {LOSSY} numgen random mod 10 == 0 drop"),
        &format!("add rule inet drops output ip saddr {LOSSY} numgen random mod 10 == 0 drop"),
    ] {
        network.run("nft", &[rule]);
    }
    let resolv = folder.path().join("resolv.conf");
    fs::write(&resolv, format!("nameserver {RESOLVER}\n")).expect("writes it");
    network.run(
        "mount",
        &["--bind", &resolv.display().to_string(), "/etc/resolv.conf"],
    );
    network.inside(names::serve);
    network
}

/// One cell of the matrix.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Cell {
    pub(crate) kind: Kind,
    pub(crate) fault: Fault,
    pub(crate) budget: Duration,
    /// Whether two healthy ones are configured as well.
    pub(crate) beside: bool,
}

/// What came of it.
#[derive(Debug)]
pub(crate) struct Outcome {
    pub(crate) cell: Cell,
    pub(crate) ended: Ended,
    pub(crate) report: Value,
    /// The truth in the end: whether this host is out of the sick one, and of each healthy one.
    pub(crate) out: bool,
    pub(crate) healthy_out: bool,
    /// When the healthy ones were out, the last of them.
    pub(crate) healthy_after: Option<Duration>,
    /// The most memory that it ever needed, in KiB.
    pub(crate) memory: u64,
}

impl Outcome {
    /// Time used less budget, in seconds: below zero where the budget is kept.
    pub(crate) fn overrun(&self) -> f64 {
        self.ended.elapsed.as_secs_f64() - self.cell.budget.as_secs_f64()
    }

    /// What is reported of the sick one.
    pub(crate) fn sick(&self) -> &Value {
        &self.report["load_balancers"][0]
    }
}

/// Runs it, with what has to happen meanwhile.
pub(crate) fn run(network: &Network, cell: Cell) -> Outcome {
    let folder = tempfile::tempdir().expect("a folder");
    let sick = Balancer::start(network, folder.path(), "sick", cell.kind, cell.fault);
    let healthy: Vec<Balancer> = [("one", Kind::HaproxyUnix), ("two", Kind::Http)]
        .into_iter()
        .filter(|_| cell.beside)
        .map(|(name, kind)| Balancer::start(network, folder.path(), name, kind, Fault::NONE))
        .collect();
    let sections: String = std::iter::once(&sick)
        .chain(&healthy)
        .map(|one| one.section.as_str())
        .collect();
    let file = folder.path().join("lb-drain.toml");
    fs::write(&file, sections).expect("writes the configuration");
    let (file, state) = (
        file.display().to_string(),
        folder.path().join("state").display().to_string(),
    );
    let budget = format!("{}ms", cell.budget.as_millis());
    let mut arguments = vec!["deregister", "--config", &file, "--budget", &budget];
    arguments.extend(["--output", "json", "--state-dir", &state]);

    let running = lb_drain_with(network, &KEYS, &arguments);
    let started = running.started;
    let process = running.id();
    let memory = AtomicU64::new(0);
    let over = AtomicBool::new(false);
    let runs = || !over.load(Ordering::SeqCst);
    let (ended, healthy_after) = thread::scope(|scope| {
        scope.spawn(|| meanwhile(network, &sick, cell, started, runs));
        scope.spawn(|| {
            while runs() {
                memory.fetch_max(peak(process).unwrap_or_default(), Ordering::SeqCst);
                thread::sleep(Duration::from_millis(20));
            }
        });
        let watching = scope.spawn(|| {
            while runs() && !healthy.is_empty() {
                if healthy.iter().all(Balancer::is_out) {
                    return Some(started.elapsed());
                }
                thread::sleep(Duration::from_millis(2));
            }
            None
        });
        let ended = running.wait();
        over.store(true, Ordering::SeqCst);
        (ended, watching.join().expect("no panic"))
    });
    Outcome {
        cell,
        report: serde_json::from_str(&ended.stdout).unwrap_or_default(),
        ended,
        out: sick.is_out(),
        healthy_out: healthy.iter().all(Balancer::is_out),
        healthy_after,
        memory: memory.into_inner(),
    }
}

/// The most memory that a process has had until now, in KiB.
pub(crate) fn peak(process: u32) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/{process}/status")).ok()?;
    let peak = |line: &str| {
        line.strip_prefix("VmHWM:")?
            .trim()
            .strip_suffix(" kB")?
            .parse()
            .ok()
    };
    status.lines().find_map(peak)
}

fn meanwhile(network: &Network, sick: &Balancer, cell: Cell, started: Instant, runs: impl Fn() -> bool) {
    let wait_until_it_waits = || {
        while runs() && !sick.is_out() {
            thread::sleep(Duration::from_millis(5));
        }
        thread::sleep(IN_THE_WAIT);
    };
    match cell.fault {
        Fault::Recovers(_) => {
            thread::sleep(RECOVERY.saturating_sub(started.elapsed()));
            sick.gate().set(gate::Fault::Nothing);
        }
        Fault::Flaps => {
            while runs() {
                thread::sleep(FLAP);
                sick.gate().set(gate::Fault::Nothing);
                thread::sleep(FLAP);
                sick.gate().set(gate::Fault::Refuses);
            }
        }
        Fault::Random(seed) => {
            let mut random = Rng::with_seed(seed);
            // The first one is there already.
            on_the_wire(&mut random, cell.kind);
            while runs() {
                thread::sleep(Duration::from_millis(random.u64(0..300)));
                sick.gate().set(on_the_wire(&mut random, cell.kind));
            }
        }
        Fault::DiesMidDrain => {
            wait_until_it_waits();
            sick.gate().set(gate::Fault::Refuses);
        }
        Fault::Partition => {
            wait_until_it_waits();
            let port = sick.port.expect("no unix socket is cut off");
            let cut =
                |what: &str| network.run("nft", &[&format!("{what} element inet drops cut {{ {port} }}")]);
            cut("add");
            thread::sleep(CUT_OFF);
            sick.has_drained();
            cut("delete");
        }
        _ => {}
    }
}
