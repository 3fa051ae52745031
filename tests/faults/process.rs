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
use crate::expected::MEMORY;
use crate::fault::{Fault, KINDS, Kind};
use crate::rig::{Ended, Network, Running, binary, lb_drain_with};
use crate::run::{IN_THE_WAIT, KEYS, peak};

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
        Self::of(Kind::HaproxyUnix, fault)
    }

    fn of(kind: Kind, fault: Fault) -> Self {
        let network = Network::new();
        let folder = tempfile::tempdir().expect("a folder");
        let balancer = Balancer::start(&network, folder.path(), "edge", kind, fault);
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
            let moments = [0, 1, 2, 4, 7, 10, 15, 25, 50, 150, 500, 1000];
            let of_http = [3, 12, 50, 500];
            let kinds = moments.map(|millis| (Kind::HaproxyUnix, millis)).into_iter();
            for (kind, millis) in kinds.chain(of_http.map(|millis| (Kind::Http, millis))) {
                scope.spawn(move || {
                    let host = Host::of(kind, Fault::DiesMidDrain);
                    let running = host.start("deregister", "2s");
                    thread::sleep(Duration::from_millis(millis));
                    running.signal(signal);
                    let ended = running.wait();
                    assert_true(&host, &ended);
                    // Before it listens to signals it has touched nothing.
                    let unborn = ended.code.is_none() && !host.balancer.is_out();
                    assert!(
                        unborn || ended.code == Some(code),
                        "{kind:?}, {signal:?} after {millis} ms: {ended:#?}"
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
fn a_pipe_whose_reader_is_gone_ends_nothing() {
    let host = Host::new(false);
    let (reader, gone) = io::pipe().expect("a pipe");
    drop(reader);
    let other = gone.try_clone().expect("one more handle");
    let status = host
        .command(&[&binary().display().to_string()])
        .args(["--output", "json", "-v"])
        .stdout(gone)
        .stderr(other)
        .status();
    assert_eq!(status.expect("it starts").code(), Some(0));
    assert!(host.balancer.is_out());
}

#[test]
fn with_few_file_descriptors_or_none_it_ends_in_time_and_says_the_truth() {
    for kind in [Kind::HaproxyUnix, Kind::Http] {
        few_file_descriptors(kind);
    }
}

fn few_file_descriptors(kind: Kind) {
    let mut codes = Vec::new();
    for limit in 3..16 {
        let host = Host::of(kind, Fault::NONE);
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
    println!("{kind:?}: exit codes with 3, 4, … file descriptors: {codes:?}");
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
fn a_second_one_joins_the_wait_of_the_first() {
    let host = Host::new(true);
    let first = host.start("deregister", "5s");
    host.wait_until_it_waits(first.started);
    let second = host.start("deregister", "5s");
    thread::sleep(IN_THE_WAIT);
    host.balancer.has_drained();
    let drained = Instant::now();
    for running in [first, second] {
        let ended = running.wait();
        assert_true(&host, ended.assert_code(0));
        assert!(ended.at - drained < SOON, "{ended:#?}");
        assert!(ended.stderr.contains("and drained"), "{ended:#?}");
    }
    host.start("register", "2s").wait().assert_code(0);
    assert!(!host.balancer.is_out(), "it is back as it was");
}

#[test]
fn what_a_person_keeps_out_is_seen_by_every_user_whatever_the_umask() {
    let host = Host::new(false);
    host.network.run("mount", &["-t", "tmpfs", "tmpfs", "/var/lib"]);
    let program = binary().display().to_string();
    let kept = host
        .command(&["sh", "-c", r#"umask 077; exec "$@" --keep-out"#, "sh", &program])
        .output()
        .expect("sh starts");
    assert!(kept.status.success(), "{kept:?}");
    let modes = host.network.run(
        "sh",
        &[
            "-c",
            "stat -c '%a %n' /var/lib/lb-drain /var/lib/lb-drain/haproxy-*",
        ],
    );
    let mut modes = modes.lines();
    for wanted in [("755 ", "lb-drain"), ("600 ", ".before"), ("644 ", ".json")] {
        let line = modes.next().unwrap_or_default();
        assert!(line.starts_with(wanted.0) && line.ends_with(wanted.1), "{line}");
    }
}

/// `clock_gettime` with a wall clock that is stepped 300 ms after it was first asked.
const STEPPED: &str = r#"
#include <stdlib.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>
int clock_gettime(clockid_t id, struct timespec *time) {
    static long long begun;
    struct timespec now;
    syscall(SYS_clock_gettime, CLOCK_MONOTONIC, &now);
    long long nanos = now.tv_sec * 1000000000LL + now.tv_nsec;
    if (!begun) begun = nanos;
    int result = syscall(SYS_clock_gettime, id, time);
    if (id == CLOCK_REALTIME && nanos - begun > 300000000LL) time->tv_sec += atol(getenv("STEP"));
    return result;
}
"#;

/// Of a budget, the wall clock says nothing.
#[test]
fn a_clock_that_is_stepped_by_a_day_changes_nothing() {
    let folder = tempfile::tempdir().expect("a folder");
    let library = folder.path().join("stepped.so").display().to_string();
    let source = folder.path().join("stepped.c").display().to_string();
    fs::write(&source, STEPPED).expect("writes the source");
    let built = Command::new("cc")
        .args(["-shared", "-fPIC", "-o", &library, &source])
        .status();
    assert!(built.expect("there is a compiler").success());
    for (step, day) in [("86400", 1), ("-86400", -1)] {
        let host = Host::new(true);
        let started = Instant::now();
        let output = host
            .command(&[&binary().display().to_string()])
            .args(["--log-format", "json"])
            .envs([("LD_PRELOAD", &*library), ("STEP", step)])
            .output()
            .expect("it starts");
        let used = started.elapsed();
        assert_eq!(output.status.code(), Some(0), "{output:?}");
        // It waits for what never drains, up to the end of its budget and no longer.
        assert!((BUDGET - SOON..BUDGET).contains(&used), "{step}: {used:?}");
        // And the clock was stepped: by the time of its lines, its end is a day away from its start.
        let said = String::from_utf8(output.stderr).expect("UTF-8");
        let date = |line: Option<&str>| {
            let line: serde_json::Value = serde_json::from_str(line.expect("a line")).expect("JSON");
            line["time"].as_str().expect("a time")[..10].to_owned()
        };
        let (first, last) = (date(said.lines().next()), date(said.lines().last()));
        assert_eq!(last > first, day > 0, "{first}, {last}: {said}");
        assert_ne!(first, last, "{said}");
    }
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
    let peak = peak(process.id()).expect("it runs");
    process.wait().expect("it is our child");
    println!("most memory ever: {} MiB", peak / 1024);
    assert!(peak < MEMORY, "{peak} KiB");
}
