//! What is shipped and printed for units: systemd accepts it, and it does what it says.

use std::fs;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::rig::{DRAIN, Host, Machine, Network, address, eventually, unit};

/// Notes the moment at which it ran.
const VENDORS_STOP: &str =
    "ExecStop=/bin/sh -c 'cut -d\" \" -f1 /proc/uptime >/run/vendors-stop'\nTimeoutStopSec=5s";

fn vendors_unit(host: &Host, folder: &str) {
    let text = unit("app1", &address("app1"), VENDORS_STOP);
    host.machine.write(&format!("{folder}/app1.service"), &text);
    host.machine.systemctl_ok(&["daemon-reload"]);
    // The wait keeps leaving and the vendor's stop apart, also for who watches on a busy machine.
    host.configure_with("app1", "min_wait = \"300ms\"");
}

/// Writes the files that `lb-drain unit` prints for app1, and returns their paths.
fn install(host: &Host, arguments: &[&str]) -> Vec<String> {
    let all = [&["unit", "app1", "--output", "json"], arguments].concat();
    let printed: Value = serde_json::from_str(&host.machine.run("lb-drain", &all)).expect("JSON");
    let files = printed["files"].as_array().expect("files");
    let paths = files.iter().map(|file| {
        let [path, text] = ["path", "text"].map(|key| file[key].as_str().expect("text"));
        host.machine.write(path, text);
        path.to_owned()
    });
    let paths = paths.collect();
    host.machine.systemctl_ok(&["daemon-reload"]);
    paths
}

/// Passes over what systemd-analyze says of this machine's other units.
fn verify(machine: &Machine, unit: &str) {
    let output = machine
        .command("systemd-analyze")
        .args(["verify", "--man=no", unit])
        .output()
        .expect("tests/rig/machine starts");
    assert!(output.status.success(), "{output:?}");
    let said = String::from_utf8_lossy(&output.stderr);
    let ours = |line: &&str| line.contains("lb-drain") || line.contains("app1");
    assert_eq!(said.lines().find(ours), None, "{said}");
}

fn check(host: &Host) -> (Option<i32>, Value) {
    let output = host
        .machine
        .command("lb-drain")
        .args(["check", "app1", "--output", "json"])
        .output()
        .expect("tests/rig/machine starts");
    let said = serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {output:?}"));
    (output.status.code(), said)
}

#[test]
fn systemd_accepts_what_is_shipped_and_calls_the_companion_well_confined() {
    let host = Host::new();
    vendors_unit(&host, "/usr/lib/systemd/system");
    verify(&host.machine, "lb-drain@app1.service");
    // In tenths: 2.0. Offline, because systemd counts some settings as given that others imply.
    let copy = "/tmp/lb-drain@app1.service";
    host.machine
        .run("cp", &["/etc/systemd/system/lb-drain@.service", copy]);
    host.machine.run(
        "systemd-analyze",
        &["security", "--offline=true", "--threshold=20", "--no-pager", copy],
    );
    let drop_in = concat!(env!("CARGO_MANIFEST_DIR"), "/systemd/lb-drain.conf");
    let text = fs::read_to_string(drop_in).expect("it is in the tree");
    host.machine
        .write("/etc/systemd/system/app1.service.d/lb-drain.conf", &text);
    host.machine.systemctl_ok(&["daemon-reload"]);
    verify(&host.machine, "app1.service");
}

#[test]
fn the_printed_drop_in_leaves_before_the_vendors_stop_which_keeps_its_place() {
    let host = Host::new();
    vendors_unit(&host, "/usr/lib/systemd/system");
    let paths = install(&host, &["--kind", "drop-in"]);
    assert_eq!(paths, ["/etc/systemd/system/app1.service.d/lb-drain.conf"]);
    verify(&host.machine, "app1.service");
    // It had 5 s, and leaving takes 30 s at the most.
    assert_eq!(host.machine.property("app1.service", "TimeoutStopUSec"), "35s");

    host.machine.systemctl_ok(&["start", "app1"]);
    let (code, said) = check(&host);
    assert_eq!(code, Some(0), "{said:#}");
    let diary = host.diary("app1");
    host.machine.systemctl_ok(&["stop", "app1"]);
    assert_eq!(diary.states(), [0, DRAIN]);
    assert_eq!(host.machine.standing("app1.service"), "inactive (dead) success");
    let vendors = host.machine.run("cat", &["/run/vendors-stop"]);
    let vendors: f64 = vendors.trim().parse().expect("seconds since boot");
    let now: f64 = uptime();
    let ago = diary.last_change().elapsed().as_secs_f64();
    assert!(vendors > now - ago - 0.02, "the vendor's stop came first");

    // An end by itself: nobody is left who could answer, so there is nothing to wait for.
    host.machine.systemctl_ok(&["start", "app1"]);
    let diary = host.diary("app1");
    let pid = host.machine.property("app1.service", "MainPID");
    host.machine.run("kill", &["-TERM", &pid]);
    eventually("its unit has ended", || {
        host.machine.standing("app1.service") == "inactive (dead) success"
    });
    assert_eq!(diary.states(), [0, DRAIN]);
    let journal = host.machine.journal("app1.service");
    assert!(
        journal.contains("; the main process ended by itself\n"),
        "{journal}"
    );

    // A crash: systemd runs no ExecStop=, and the vendor's was none of our business before either.
    host.machine.systemctl_ok(&["start", "app1"]);
    let diary = host.diary("app1");
    let pid = host.machine.property("app1.service", "MainPID");
    host.machine.run("kill", &["-ABRT", &pid]);
    eventually("app1 has left", || diary.states() == [0, DRAIN]);
    eventually("its unit has failed", || {
        host.machine.standing("app1.service") == "failed (failed) core-dump"
            || host.machine.standing("app1.service") == "failed (failed) signal"
    });
}

#[test]
fn a_crash_with_the_drop_in_leaves_and_holds_up_no_restart() {
    let host = Host::new();
    let lines = "Environment=LB_DRAIN_BUDGET=3s\nRestart=always\nRestartSec=0";
    host.machine
        .install_unit("app1.service", &unit("app1", &address("app1"), lines));
    // One more load balancer, which does not answer.
    host.configure_with(
        "app1",
        "[[load_balancer]]\nprovider = \"haproxy\"\nsockets = [\"/nowhere.sock\"]\nservers = [\"web/app1\"]",
    );
    install(&host, &["--kind", "drop-in"]);
    host.machine.systemctl_ok(&["start", "app1"]);
    let diary = host.diary("app1");
    let crashed = host.machine.property("app1.service", "MainPID");
    let kills = Instant::now();
    host.machine.run("kill", &["-ABRT", &crashed]);
    eventually("it is back", || diary.states() == [0, DRAIN, 0]);
    let starts = host
        .machine
        .moment("app1.service", "ExecMainStartTimestampMonotonic");
    let delay = starts.saturating_duration_since(kills);
    println!("from the crash to the next start, with a load balancer that does not answer: {delay:?}");
    assert!(delay <= Duration::from_secs(1), "{delay:?}");
    let journal = host.machine.journal("app1.service");
    assert!(
        journal.contains(
            "budget 800 ms (it has ended, and its restart waits); the main process ended by itself"
        ),
        "{journal}"
    );

    // After an end with success systemd runs ExecStop=, and starts it again as well.
    eventually("it runs", || {
        host.machine.standing("app1.service") == "active (running) success"
    });
    let ended = host.machine.property("app1.service", "MainPID");
    host.machine.run("kill", &["-TERM", &ended]);
    eventually("it is back", || diary.states() == [0, DRAIN, 0, DRAIN, 0]);
    let journal = host.machine.journal("app1.service");
    let leaving: Vec<&str> = journal
        .lines()
        .filter(|line| line.starts_with("leaving "))
        .collect();
    assert!(leaving.len() >= 2, "{journal}");
    for line in leaving {
        assert!(line.contains("budget 800 ms (it has ended,"), "{journal}");
    }
}

fn uptime() -> f64 {
    let text = fs::read_to_string("/proc/uptime").expect("procfs");
    text.split(' ')
        .next()
        .and_then(|first| first.parse().ok())
        .expect("seconds")
}

#[test]
fn a_vendors_unit_gets_a_companion_and_an_own_one_a_drop_in_with_times_that_fit() {
    let host = Host::new();
    vendors_unit(&host, "/usr/lib/systemd/system");
    let paths = install(&host, &["--grace", "30s"]);
    assert_eq!(
        paths,
        [
            "/etc/systemd/system/lb-drain@app1.service.d/times.conf",
            "/etc/systemd/system/app1.service.d/times.conf"
        ][..1],
        "the application's 5 s for each of two steps are its part of 30 s already"
    );
    let timeout = |unit| host.machine.property(unit, "TimeoutStopUSec");
    assert_eq!(
        (timeout("lb-drain@app1.service"), timeout("app1.service")),
        ("20s".to_owned(), "5s".to_owned())
    );

    // 5 s for everything leave too little for us, and more would be more for each of its steps.
    vendors_unit(&host, "/etc/systemd/system");
    let printed = host.machine.run("lb-drain", &["unit", "app1"]);
    assert!(
        printed.starts_with("# the companion of app1.service, which has too little time"),
        "{printed}"
    );

    let own = unit("app1", &address("app1"), "User=nobody");
    host.machine.write("/etc/systemd/system/app1.service", &own);
    host.machine
        .run("rm", &["-r", "/etc/systemd/system/lb-drain@app1.service.d"]);
    host.machine.systemctl_ok(&["daemon-reload"]);
    let printed = host.machine.run("lb-drain", &["unit", "app1", "--grace", "70s"]);
    assert!(printed.starts_with("# a drop-in for app1.service\n"), "{printed}");
    for line in [
        "ExecStop=+lb-drain deregister --config app1",
        "TimeoutStopSec=35s",
    ] {
        assert!(
            printed.lines().any(|printed| printed == line),
            "{line}: {printed}"
        );
    }
}

#[test]
fn check_says_what_is_missing_and_nothing_once_it_is_there() {
    let host = Host::new();
    vendors_unit(&host, "/usr/lib/systemd/system");
    let (code, said) = check(&host);
    assert_eq!(code, Some(1), "{said:#}");
    let problem = &said["findings"]
        .as_array()
        .expect("findings")
        .last()
        .expect("one");
    assert_eq!(problem["severity"], "problem");
    assert_eq!(problem["what"], "nothing runs lb-drain when it stops");
    assert_eq!(problem["remedy"], "systemctl enable --now lb-drain@app1.service");

    host.start_with_companion("app1", VENDORS_STOP);
    let (code, said) = check(&host);
    assert_eq!(
        (code, &said["outcome"]),
        (Some(0), &Value::from("fine")),
        "{said:#}"
    );
    // HAProxy's cookies in these tests are worth a warning; nothing else is.
    let last = said["findings"]
        .as_array()
        .expect("findings")
        .last()
        .expect("one");
    assert_eq!(
        (&said["warnings"], &last["about"]),
        (&Value::from(1), &Value::from("edge")),
        "{said:#}"
    );

    let socket = "[[load_balancer]]\nprovider = \"haproxy\"\nsockets = [\"/nowhere.sock\"]\nservers = [\"web/app1\"]\n";
    host.machine.write("/etc/lb-drain/app1.toml", socket);
    let output = host
        .machine
        .command("lb-drain")
        .args(["check", "app1"])
        .output()
        .expect("tests/rig/machine starts");
    assert_eq!(output.status.code(), Some(1));
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(said.contains("problem  haproxy: haproxy /nowhere.sock"), "{said}");
    assert!(
        said.trim_end()
            .ends_with("a stop would not work: 1 problem, 1 warning"),
        "{said}"
    );
}

#[test]
fn what_there_is_no_unit_of_is_an_error_of_usage() {
    let network = Network::new();
    let ended = crate::rig::lb_drain(&network, &["unit", "web", "--config", "/nowhere.toml"]).wait();
    ended.assert_code(2);
    assert!(ended.stderr.contains("cannot read /nowhere.toml"), "{ended:#?}");
}
