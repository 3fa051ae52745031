//! A service behind two HAProxys stops and restarts under load: what its clients see.

use std::thread;
use std::time::Duration;

use crate::rig::{Haproxy, Load, Machine, Network, Setup, median, unit};

/// The two lines that make a unit leave and come back.
const HOOKS: &str = "\
ExecStartPost=/share/bin/lb-drain register --haproxy /share/edge1/admin.sock --haproxy /share/edge2/admin.sock --haproxy-server web/app1 --budget 10s
ExecStop=/share/bin/lb-drain deregister --haproxy /share/edge1/admin.sock --haproxy /share/edge2/admin.sock --haproxy-server web/app1 --budget 25s
TimeoutStopSec=30s";

/// app1 with these lines in its unit, and app2 without any, behind two HAProxys.
struct Scene {
    edges: [Haproxy; 2],
    machine: Machine,
    _network: Network,
}

impl Scene {
    fn new(lines: &str) -> Self {
        let network = Network::new();
        let machine = Machine::boot(&network);
        let edges = ["edge1", "edge2"]
            .map(|name| Haproxy::start(&network, &machine.share().join(name), Setup::default()));
        machine.start_unit("app2.service", &unit("app2", "127.0.0.1:8082", ""));
        machine.start_unit("app1.service", &unit("app1", "127.0.0.1:8081", lines));
        Self {
            edges,
            machine,
            _network: network,
        }
    }

    /// 100 clients with requests of 0 to 3 s.
    fn load(&self) -> Load {
        let [edge1, edge2] = &self.edges;
        Load::start(&[edge1, edge2], 50, Duration::from_secs(3), &[])
    }

    fn systemctl(&self, verb: &str) {
        let output = self.machine.systemctl(&[verb, "app1.service"]);
        assert!(output.status.success(), "systemctl {verb}: {output:?}");
    }
}

#[test]
fn stopping_and_restarting_under_load_loses_no_request() {
    let scene = Scene::new(HOOKS);
    let load = scene.load();
    let mut stops = Vec::new();
    for round in 1..=3 {
        load.wait_for(200 * round);
        scene.systemctl("stop");
        let dead = scene
            .machine
            .moment("app1.service", "InactiveEnterTimestampMonotonic");
        assert_eq!(scene.machine.standing("app1.service"), "inactive (dead) success");
        thread::sleep(Duration::from_millis(300)); // some requests that app2 alone answers
        let starts = std::time::Instant::now();
        scene.systemctl("start");
        stops.push((dead, starts));
    }
    load.wait_for(800);
    scene.systemctl("restart");
    assert_eq!(scene.machine.standing("app1.service"), "active (running) success");
    let restarted = std::time::Instant::now();
    load.wait_for(1200);
    thread::sleep(Duration::from_secs(1));

    let report = load.finish();
    report.assert_nothing_lost(1000);
    assert!(
        report.answered_by("app1", restarted) > 0,
        "app1 is in rotation again after the restart"
    );
    let lags: Vec<Duration> = stops
        .iter()
        .map(|(dead, starts)| dead.saturating_duration_since(report.last_answer_of("app1", *starts)))
        .collect();
    println!("from the last answer to the end of the stop: {lags:?}");
    assert!(median(lags) <= Duration::from_millis(300));
}

#[test]
fn the_control_stopping_without_lb_drain_loses_requests() {
    let scene = Scene::new("");
    let load = scene.load();
    load.wait_for(200);
    scene.systemctl("stop");
    thread::sleep(Duration::from_millis(500));
    let report = load.finish();
    println!(
        "{} requests, {} failed",
        report.answers.len(),
        report.failed().len()
    );
    assert!(
        !report.failed().is_empty(),
        "a load that loses nothing when the service dies proves nothing"
    );
}
