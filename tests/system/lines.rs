//! The line of a unit that runs `lb-drain`, however it does: its timeout is known, and so is what kind of stop it is.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::Stdio;
use std::thread;
use std::time::{Duration, Instant};

use lb_drain_test_support::http1::Connection;
use rustix::process::{Pid, Signal, kill_process};

use crate::rig::{DRAIN, Haproxy, Host, Network, Setup, address, eventually, lb_drain_with, unit};

const LEAVE: &str =
    "/usr/local/bin/lb-drain deregister --haproxy /share/edge/admin.sock --haproxy-server web/app1";

/// app1 with these lines, behind a HAProxy whose socket everybody may use. No other service takes requests.
fn host(lines: &str) -> Host {
    let host = Host::behind(Setup {
        backend: "timeout server 1h",
        ..Setup::default()
    });
    host.haproxy.tell("set server web/app2 state maint");
    let everybody = fs::Permissions::from_mode(0o666);
    fs::set_permissions(Path::new(&host.haproxy.socket()), everybody).expect("it is there");
    host.machine
        .start_unit("app1.service", &unit("app1", &address("app1"), lines));
    host
}

/// A request to app1 that outlasts the test.
fn endless_request(haproxy: &Haproxy) {
    let front = haproxy.front();
    thread::spawn(move || {
        let stream = UnixStream::connect(front).expect("connects");
        drop(Connection::new(stream).get("/sleep/120000", &[]));
    });
    eventually("a request is in flight", || haproxy.in_flight("app1") == 1);
}

/// Stops app1, and returns how long that took and what the journal says.
fn stop(host: &Host) -> (Duration, String) {
    let begins = Instant::now();
    host.machine.systemctl_ok(&["stop", "app1"]);
    let took = begins.elapsed();
    assert_eq!(host.machine.standing("app1.service"), "inactive (dead) success");
    assert_eq!(host.haproxy.admin_state("app1"), DRAIN);
    (took, host.machine.journal("app1.service"))
}

#[test]
fn the_units_timeout_is_known_where_the_environment_tells_nothing() {
    for before in [
        "/usr/bin/env -i",
        // As sudo does it.
        "/usr/bin/setpriv --reuid=nobody --regid=nogroup --clear-groups --reset-env",
        "/usr/bin/env -i /bin/sh -c '\"$$0\" \"$$@\"; exit $$?'",
    ] {
        let host = host(&format!("ExecStop={before} {LEAVE}\nTimeoutStopSec=5s"));
        let (_, journal) = stop(&host);
        assert!(
            journal.contains("(TimeoutStopSec=5s of app1.service); stop\n"),
            "{before}: {journal}"
        );
    }
}

#[test]
fn what_the_line_did_before_us_counts() {
    let host = host(&format!(
        "ExecStop=/bin/sh -c 'sleep 3; {LEAVE}; exit $$?'\nTimeoutStopSec=6s"
    ));
    endless_request(&host.haproxy);
    let (_, journal) = stop(&host);
    let budget = journal
        .lines()
        .find_map(|line| line.split_once("budget ")?.1.split_once(" s (TimeoutStopSec=6s"))
        .unwrap_or_else(|| panic!("no budget: {journal}"))
        .0;
    let budget: f64 = budget.parse().expect("seconds");
    assert!(budget < 2.75 && budget > 1.0, "{journal}");
    assert!(
        journal.contains("out of 1 of 1 load balancer, not drained"),
        "{journal}"
    );
}

#[test]
fn a_restart_and_a_shutdown_are_told_apart() {
    // The machine's journal ends with it.
    let host = host(&format!("ExecStop={LEAVE}\nStandardError=append:/share/said"));
    let said = || fs::read_to_string(host.machine.share().join("said")).unwrap_or_default();
    host.machine.systemctl_ok(&["restart", "app1"]);
    assert!(said().contains("of app1.service); restart\n"), "{}", said());
    host.machine.systemctl_ok(&["poweroff", "--no-block"]);
    eventually("the machine is off", || !host.machine.is_up());
    assert!(said().contains("of app1.service); shutdown\n"), "{}", said());
}

#[test]
fn a_main_process_that_dies_meanwhile_ends_the_wait() {
    let host = host("");
    // HAProxy sees the request end with the process; the floor holds all the same.
    host.configure_with("app1", "min_wait = \"30s\"");
    host.machine
        .systemctl_ok(&["enable", "--quiet", "--now", "lb-drain@app1"]);
    endless_request(&host.haproxy);
    // Before SIGTERM the application is up to itself.
    let pid = host.machine.property("app1.service", "MainPID");
    host.machine.systemctl_ok(&["stop", "--no-block", "app1"]);
    eventually("app1 drains", || host.haproxy.admin_state("app1") == DRAIN);
    let dies = Instant::now();
    host.machine.run("kill", &["-KILL", &pid]);
    eventually("the companion has ended", || {
        host.machine.standing("lb-drain@app1.service") == "inactive (dead) success"
    });
    assert!(dies.elapsed() < Duration::from_secs(5), "{:?}", dies.elapsed());
    let journal = host.machine.journal("lb-drain@app1.service");
    assert!(journal.contains("(the main process is gone)"), "{journal}");
}

#[test]
fn a_timeout_is_extended_where_that_is_asked_for() {
    let host = host(&format!(
        "ExecStop={LEAVE} --extend-timeout --max-wait 4s\nTimeoutStopSec=2s\nNotifyAccess=all"
    ));
    endless_request(&host.haproxy);
    let (took, journal) = stop(&host);
    assert!(took >= Duration::from_secs(4), "{took:?}: {journal}");
    assert!(
        journal.contains("budget 9 s (TimeoutStopSec=2s of app1.service, extended)"),
        "{journal}"
    );
}

#[test]
fn where_the_unit_sets_no_end_the_delay_does() {
    let host = host(&format!(
        "ExecStop={LEAVE} --max-wait 40s\nTimeoutStopSec=infinity"
    ));
    let (_, journal) = stop(&host);
    assert!(
        journal.contains("budget 45 s (TimeoutStopSec=infinity of app1.service)"),
        "{journal}"
    );
}

#[test]
fn systemctl_status_shows_what_is_waited_for_and_then_the_verdict() {
    let host = host("");
    host.configure("app1");
    host.machine
        .systemctl_ok(&["enable", "--quiet", "--now", "lb-drain@app1"]);
    let status = || host.machine.property("lb-drain@app1.service", "StatusText");
    assert!(
        status().starts_with("lb-drain: back in 1 of 1 load balancer"),
        "{}",
        status()
    );
    endless_request(&host.haproxy);
    host.machine.systemctl_ok(&["stop", "--no-block", "app1"]);
    eventually("what is waited for is shown", || {
        status().starts_with("lb-drain: edge drains (1 request in flight), ")
    });
}

#[test]
fn a_silent_system_bus_is_waited_for_a_second_and_of_a_given_budget_a_tenth() {
    let network = Network::new();
    let folder = tempfile::tempdir().expect("a folder");
    let haproxy = Haproxy::start(&network, &folder.path().join("edge"), Setup::default());
    let listen =
        "mkdir -p /run/systemd && exec socat UNIX-LISTEN:/run/systemd/private,fork SYSTEM:'cat >/dev/null'";
    let mut bus = network
        .command("sh")
        .args(["-c", listen])
        .stdin(Stdio::null())
        .spawn()
        .expect("sh starts");
    eventually("the silent bus listens", || {
        network.run("ss", &["-Hxl"]).contains("/run/systemd/private")
    });
    let socket = haproxy.socket();
    let id = ("INVOCATION_ID", "0123456789abcdef0123456789abcdef");
    let arguments = ["deregister", "--haproxy", &socket, "--haproxy-server", "web/app1"];
    let ended = lb_drain_with(&network, &[id], &arguments).wait();
    ended.assert_code(0);
    assert!(
        ended.stderr.contains("the timeout of this unit is not known"),
        "{ended:#?}"
    );
    let (short, long) = (Duration::from_millis(950), Duration::from_millis(1900));
    assert!(ended.elapsed > short && ended.elapsed < long, "{ended:#?}");

    let given = [&arguments[..], &["--budget", "3s"]].concat();
    let ended = lb_drain_with(&network, &[id], &given).wait();
    ended.assert_code(0);
    assert!(ended.elapsed < short, "{ended:#?}");
    kill_process(Pid::from_child(&bus), Signal::TERM).expect("it runs");
    bus.wait().expect("it is our child");
}
