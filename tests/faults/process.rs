//! What happens to the process itself: signals, pipes that nobody reads, limits, a kill and a second run.

use std::fs;
use std::io::{self, Write};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use lb_drain_test_support::gate;
use rustix::fs::{OFlags, fcntl_setfl};
use rustix::process::Signal;
use tempfile::TempDir;

use crate::balancer::Balancer;
use crate::fault::{Fault, KINDS, Kind};
use crate::rig::{Ended, Network, Running, binary, lb_drain_with};
use crate::run::{IN_THE_WAIT, KEYS};

const BUDGET: Duration = Duration::from_millis(2000);
/// How long it takes at most to get to its wait, and to end once it is told to.
const SOON: Duration = Duration::from_millis(500);

/// A host behind one HAProxy.
struct Host {
    network: Network,
    folder: TempDir,
    balancer: Balancer,
}

impl Host {
    /// With a request in flight that never ends, or without any.
    fn new(busy: bool) -> Self {
        // Of this fault, only that there is something to wait for: its gate is left alone.
        let fault = if busy { Fault::DiesMidDrain } else { Fault::NONE };
        Self::with(fault)
    }

    fn with(fault: Fault) -> Self {
        let network = Network::new();
        let folder = tempfile::tempdir().expect("a folder");
        let balancer = Balancer::start(&network, folder.path(), "edge", Kind::HaproxyUnix, fault);
        fs::write(folder.path().join("lb-drain.toml"), &balancer.section).expect("writes the configuration");
        Self {
            network,
            folder,
            balancer,
        }
    }

    fn path(&self, name: &str) -> String {
        self.folder.path().join(name).display().to_string()
    }

    fn start(&self, command: &str, budget: &str) -> Running {
        let file = self.path("lb-drain.toml");
        lb_drain_with(
            &self.network,
            &KEYS,
            &[command, "--config", &file, "--budget", budget],
        )
    }

    /// `deregister` as the last words of a longer command line: of `prlimit`, for example.
    fn command(&self, before: &[&str]) -> Command {
        let (first, rest) = before.split_first().expect("a program");
        let mut command = self.network.command(first);
        command
            .args(rest)
            .args(["deregister", "--config", &self.path("lb-drain.toml")]);
        command.args(["--budget", "2s"]).stdin(Stdio::null());
        command
    }

    /// Waits until this host is out, and the tool has seen that and waits.
    fn wait_until_it_waits(&self, started: Instant) {
        while !self.balancer.is_out() {
            assert!(started.elapsed() < BUDGET, "it does not leave");
            thread::sleep(Duration::from_millis(2));
        }
        thread::sleep(IN_THE_WAIT);
    }
}

/// What must hold however it ends: in time, and out where it says so.
fn assert_true(host: &Host, ended: &Ended) {
    assert!(ended.elapsed < BUDGET, "{ended:#?}");
    assert!(ended.code != Some(0) || host.balancer.is_out(), "{ended:#?}");
}

#[test]
fn a_signal_at_any_moment_leaves_the_truth_and_the_budget() {
    for (signal, code) in [
        (Signal::TERM, 143),
        (Signal::INT, 130),
        (Signal::HUP, 0),
        (Signal::PIPE, 0),
    ] {
        thread::scope(|scope| {
            for millis in [0, 1, 2, 4, 7, 10, 15, 25, 50, 150, 500, 1000] {
                scope.spawn(move || {
                    let host = Host::new(true);
                    let running = host.start("deregister", "2s");
                    thread::sleep(Duration::from_millis(millis));
                    running.signal(signal);
                    let ended = running.wait();
                    assert_true(&host, &ended);
                    // Before it listens to signals it has touched nothing.
                    let unborn = ended.code.is_none() && !host.balancer.is_out();
                    assert!(
                        unborn || ended.code == Some(code),
                        "{signal:?} after {millis} ms: {ended:#?}"
                    );
                });
            }
        });
    }
}

#[test]
fn a_full_pipe_that_nobody_reads_holds_up_nothing() {
    for fault in [Fault::NONE, Fault::Wire(gate::Fault::Garbage)] {
        let host = Host::with(fault);
        let (_nobody_reads, mut full) = io::pipe().expect("a pipe");
        fcntl_setfl(&full, OFlags::NONBLOCK).expect("it is ours");
        while full.write(&[b'x'; 4096]).is_ok() {}
        fcntl_setfl(&full, OFlags::empty()).expect("it is ours");
        let other = full.try_clone().expect("one more handle");
        let mut command = host.command(&[&binary().display().to_string()]);
        let started = Instant::now();
        let status = command
            .args(["--output", "json"])
            .stdout(full)
            .stderr(other)
            .status();
        let (used, code) = (started.elapsed(), status.expect("it starts").code());
        assert!(used < BUDGET, "{used:?}");
        assert_eq!(code, Some(i32::from(fault != Fault::NONE)), "{used:?}");
        assert_eq!(host.balancer.is_out(), fault == Fault::NONE);
    }
}

#[test]
fn with_few_file_descriptors_or_none_it_ends_in_time_and_says_the_truth() {
    let mut codes = Vec::new();
    for limit in 3..16 {
        let host = Host::new(false);
        let limit = format!("--nofile={limit}:{limit}");
        let started = Instant::now();
        let program = binary().display().to_string();
        let output = host
            .command(&["prlimit", &limit, &program])
            .output()
            .expect("prlimit starts");
        assert!(started.elapsed() < BUDGET, "{limit}: {output:?}");
        let done = output.status.code() == Some(0);
        // 2 says that the configuration could not be read; 127 is the dynamic loader's, before there is a program.
        assert!(
            matches!(output.status.code(), Some(0 | 1 | 2 | 127)),
            "{limit}: {output:?}"
        );
        assert!(!done || host.balancer.is_out(), "{limit}: {output:?}");
        let untouched = output.status.code() == Some(2);
        assert!(!untouched || !host.balancer.is_out(), "{limit}: {output:?}");
        assert!(!output.stderr.is_empty(), "{limit}: {output:?}");
        codes.push(output.status.code());
    }
    println!("exit codes with 3, 4, … file descriptors: {codes:?}");
    assert_eq!(codes.last(), Some(&Some(0)), "15 suffice: {codes:?}");
}

#[test]
fn where_nothing_can_be_written_the_host_leaves_all_the_same() {
    let host = Host::new(false);
    for place in ["/run", "/var/lib"] {
        host.network
            .run("mount", &["-t", "tmpfs", "-o", "ro", "tmpfs", place]);
    }
    let ended = host.start("deregister", "2s").wait();
    ended.assert_code(0);
    assert_true(&host, &ended);
    assert!(ended.stderr.contains("cannot be recorded"), "{ended:#?}");
}

#[test]
fn stopped_and_continued_it_still_keeps_its_budget() {
    let host = Host::new(true);
    let running = host.start("deregister", "2s");
    host.wait_until_it_waits(running.started);
    running.signal(Signal::STOP);
    thread::sleep(Duration::from_millis(800));
    running.signal(Signal::CONT);
    let ended = running.wait();
    assert_true(&host, ended.assert_code(0));
}

#[test]
fn continued_after_its_budget_it_ends_at_once() {
    let host = Host::new(true);
    let running = host.start("deregister", "1s");
    host.wait_until_it_waits(running.started);
    running.signal(Signal::STOP);
    thread::sleep(Duration::from_millis(1500));
    let continued = Instant::now();
    running.signal(Signal::CONT);
    let ended = running.wait();
    assert!(ended.at - continued < SOON, "{ended:#?}");
    ended.assert_code(0);
}

#[test]
fn two_at_once_both_end_well_and_one_way_back_suffices() {
    let host = Host::new(false);
    let both = [host.start("deregister", "2s"), host.start("deregister", "2s")];
    for running in both {
        assert_true(&host, running.wait().assert_code(0));
    }
    host.start("register", "2s").wait().assert_code(0);
    assert!(!host.balancer.is_out(), "it is back as it was");
}

#[test]
fn killed_at_any_moment_and_run_again_it_leaves_and_comes_back() {
    thread::scope(|scope| {
        for millis in [1, 3, 5, 8, 12, 20, 40, 100] {
            scope.spawn(move || {
                let host = Host::new(false);
                let running = host.start("deregister", "2s");
                thread::sleep(Duration::from_millis(millis));
                running.signal(Signal::KILL);
                running.wait();
                assert_true(&host, host.start("deregister", "2s").wait().assert_code(0));
                host.start("register", "2s").wait().assert_code(0);
                assert!(
                    !host.balancer.is_out(),
                    "killed after {millis} ms: it is back as it was"
                );
            });
        }
    });
}

#[test]
fn with_every_kind_of_load_balancer_it_needs_less_than_32_mib() {
    let host = Host::new(true);
    let folder = host.folder.path();
    let all = KINDS.map(|kind| {
        Balancer::start(
            &host.network,
            folder,
            &format!("{kind:?}"),
            kind,
            Fault::DiesMidDrain,
        )
    });
    let sections: String = all.iter().map(|one| one.section.as_str()).collect();
    fs::write(folder.join("lb-drain.toml"), sections).expect("writes the configuration");
    let mut process: Child = host
        .command(&[&binary().display().to_string()])
        .envs(KEYS)
        .stderr(Stdio::null())
        .spawn()
        .expect("it starts");
    thread::sleep(BUDGET / 2);
    let status = fs::read_to_string(format!("/proc/{}/status", process.id())).expect("it runs");
    let peak = status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:")?.trim().strip_suffix(" kB"));
    let peak: u64 = peak.and_then(|peak| peak.parse().ok()).expect("a peak");
    process.wait().expect("it is our child");
    println!("most memory ever: {} MiB", peak / 1024);
    assert!(peak < 32 * 1024, "{peak} KiB");
}
