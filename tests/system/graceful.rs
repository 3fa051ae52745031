//! The service of `examples/graceful-service` is sent SIGTERM under load: what the guide promises of such a service.

use std::process::Stdio;
use std::thread;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

use crate::rig::{Haproxy, Load, Machine, Network, Setup, eventually, service, unit};

/// A stop of app1 with these lines in its unit, under requests of 0 to `longest`. Returns its journal.
fn stop_under_load(lines: &str, backend: &str, longest: Duration) -> String {
    let network = Network::new();
    let machine = Machine::boot(&network);
    let setup = Setup {
        backend,
        ..Setup::default()
    };
    let haproxy = Haproxy::start(&network, &machine.share().join("edge"), setup);
    machine.start_unit("app2.service", &unit("app2", "127.0.0.1:8082", ""));
    machine.start_unit("app1.service", &unit("app1", "127.0.0.1:8081", lines));
    for server in ["app1", "app2"] {
        eventually("HAProxy's checks have found the services", || {
            ["UP", "no check"].contains(&haproxy.stat(server, "status").as_str())
        });
    }
    let load = Load::start(&[&haproxy], 50, longest, &[]);
    load.wait_for(200);
    let stopped = machine.systemctl(&["stop", "app1.service"]);
    assert!(stopped.status.success(), "{stopped:?}");
    assert_eq!(machine.standing("app1.service"), "inactive (dead) success");
    thread::sleep(Duration::from_millis(500)); // some requests that app2 alone answers
    load.finish().assert_nothing_lost(250);
    machine.journal("app1.service")
}

#[test]
fn on_sigterm_it_does_one_thing_after_the_other() {
    let network = Network::new();
    let curl = |path: &str| {
        let mut command = network.command("curl");
        command
            .args(["--silent", "--include", &format!("http://127.0.0.1:8081{path}")])
            .stdout(Stdio::piped());
        command.spawn().expect("setpriv starts")
    };
    let ask = |path: &str| {
        let output = curl(path).wait_with_output().expect("curl ends");
        String::from_utf8(output.stdout).expect("UTF-8")
    };
    let mut process = network
        .command(service())
        .args(["127.0.0.1:8081", "app1", "2"])
        .spawn()
        .expect("it starts");
    eventually("it is in service", || {
        ask("/health").starts_with("HTTP/1.1 200 OK")
    });
    let in_flight = curl("/sleep/4000");
    thread::sleep(Duration::from_millis(300)); // the request is there

    kill_process(Pid::from_child(&process), Signal::TERM).expect("it runs");
    eventually("the health check fails", || {
        ask("/health").starts_with("HTTP/1.1 503 ")
    });
    let served = ask("/sleep/0");
    assert!(
        served.starts_with("HTTP/1.1 200 OK") && served.contains("connection: close"),
        "{served}"
    );
    eventually("nobody is let in any more", || ask("/health").is_empty());
    assert!(
        process.try_wait().expect("a child").is_none(),
        "a request is in flight"
    );
    let answer = in_flight.wait_with_output().expect("curl ends").stdout;
    assert!(answer.starts_with(b"HTTP/1.1 200 OK") && answer.ends_with(b"app1"));
    assert!(process.wait().expect("a child").success());
}

#[test]
fn a_health_check_that_fails_in_time_is_enough() {
    stop_under_load(
        "ExecStart=\n\
         ExecStart=/share/bin/graceful-service 127.0.0.1:8081 app1 1.5\n\
         KillSignal=SIGTERM",
        "option httpchk GET /health\n    default-server check inter 200ms fall 2",
        Duration::from_secs(2),
    );
}

#[test]
fn what_the_budget_was_too_short_for_is_finished_after_sigterm() {
    let journal = stop_under_load(
        "ExecStop=/share/bin/lb-drain deregister --haproxy /share/edge/admin.sock --haproxy-server web/app1 --budget 1s\n\
         KillSignal=SIGTERM",
        "",
        Duration::from_secs(4),
    );
    let verdict = journal.lines().last().expect("a verdict");
    assert!(
        verdict.contains("out of 1 of 1") && !verdict.contains("and drained"),
        "requests were still in flight when the budget ended:\n{journal}"
    );
}
