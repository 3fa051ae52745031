//! Coming back: when the service listens, and not where a person wants this host out.

use std::thread;
use std::time::{Duration, Instant};

use crate::rig::{DRAIN, Haproxy, Machine, Network, Setup, eventually, unit};

const BALANCER: &str = "--haproxy /share/edge/admin.sock --haproxy-server web/app1";

/// A machine and a HAProxy; app1 is for the test to start.
struct Scene {
    haproxy: Haproxy,
    machine: Machine,
    _network: Network,
}

impl Scene {
    fn new() -> Self {
        let network = Network::new();
        let machine = Machine::boot(&network);
        Self {
            haproxy: Haproxy::start(&network, &machine.share().join("edge"), Setup::default()),
            machine,
            _network: network,
        }
    }

    /// Runs `lb-drain` as a person does.
    fn by_hand(&self, arguments: &str) -> String {
        let output = self
            .machine
            .command("/share/bin/lb-drain")
            .args(arguments.split(' ').chain(BALANCER.split(' ')))
            .output()
            .expect("tests/rig/machine starts");
        assert!(output.status.success(), "{arguments}: {output:?}");
        String::from_utf8_lossy(&output.stderr).into_owned()
    }

    fn restart(&self) {
        self.machine.systemctl_ok(&["restart", "app1.service"]);
        assert_eq!(self.machine.standing("app1.service"), "active (running) success");
    }
}

#[test]
fn a_host_that_a_person_keeps_out_stays_out_until_a_person_brings_it_back() {
    let scene = Scene::new();
    let hooks = format!(
        "ExecStartPost=/share/bin/lb-drain register {BALANCER}\n\
         ExecStop=/share/bin/lb-drain deregister {BALANCER}"
    );
    scene.haproxy.tell("set server web/app1 weight 42");
    scene
        .machine
        .start_unit("app1.service", &unit("app1", "127.0.0.1:8081", &hooks));
    let said = scene.by_hand("deregister --keep-out");
    assert!(
        said.trim_end()
            .ends_with("; it stays out until `lb-drain register` is run by hand"),
        "{said}"
    );
    assert_eq!(scene.haproxy.admin_state("app1"), DRAIN);

    scene.restart();
    assert_eq!(scene.haproxy.admin_state("app1"), DRAIN, "a restart is no person");
    let journal = scene.machine.journal("app1.service");
    let last = journal.lines().last().expect("a line");
    assert!(
        last.starts_with(
            "back in 0 of 1 load balancer; kept out by hand: haproxy (`lb-drain register` run by hand"
        ),
        "{journal}"
    );

    // A reboot stops it, and empties /run.
    scene.machine.systemctl_ok(&["stop", "app1.service"]);
    scene.machine.run("rm", &["-rf", "/run/lb-drain"]);
    scene.machine.systemctl_ok(&["start", "app1.service"]);
    assert_eq!(scene.haproxy.admin_state("app1"), DRAIN, "a reboot is no person");

    scene.by_hand("register");
    assert_eq!(scene.haproxy.admin_state("app1"), 0);
    assert_eq!(scene.haproxy.ask("get weight web/app1"), "42 (initial 1)");
    scene.restart();
    assert_eq!(scene.haproxy.admin_state("app1"), 0, "and the mark is gone");
}

/// A unit whose main process runs this shell script.
fn script(script: &str, budget: &str) -> String {
    format!(
        "[Service]\nType=exec\nExecStart=/bin/sh -c '{script}'\n\
         ExecStartPost=/share/bin/lb-drain register {BALANCER} --port 8081 --budget {budget}\n"
    )
}

#[test]
fn nobody_is_sent_to_a_service_before_it_listens() {
    let scene = Scene::new();
    scene.by_hand("deregister");
    let starts = Instant::now();
    thread::scope(|scope| {
        let start = scope.spawn(|| {
            let text = script(
                "sleep 2; exec /share/bin/graceful-service 0.0.0.0:8081 app1",
                "20s",
            );
            scene.machine.start_unit("app1.service", &text);
        });
        eventually("app1 is in rotation", || scene.haproxy.admin_state("app1") == 0);
        let waited = starts.elapsed();
        assert!(waited >= Duration::from_secs(2), "after {waited:?}");
        start.join().expect("it starts");
    });
    let journal = scene.machine.journal("app1.service");
    assert!(
        journal.starts_with("waiting for the service to listen on port 8081\n"),
        "{journal}"
    );
}

#[test]
fn a_service_that_never_listens_is_not_registered_and_the_journal_says_why() {
    for (text, why) in [
        (script("exec sleep 60", "3s"), "waited for 2."),
        (
            script("sleep 1; exit 3", "20s"),
            "the service's main process has ended",
        ),
    ] {
        let scene = Scene::new();
        scene.by_hand("deregister");
        let starts = Instant::now();
        scene.machine.install_unit("app1.service", &text);
        let start = scene.machine.systemctl(&["start", "app1.service"]);
        assert!(!start.status.success(), "{start:?}");
        assert!(
            starts.elapsed() < Duration::from_secs(8),
            "{:?}",
            starts.elapsed()
        );
        assert_eq!(scene.haproxy.admin_state("app1"), DRAIN);
        let journal = scene.machine.journal("app1.service");
        let line = journal
            .lines()
            .find(|line| line.contains("nothing listens on port 8081"))
            .unwrap_or_else(|| panic!("no such line: {journal}"));
        assert!(
            line.contains("not back in rotation") && line.contains(why),
            "{line}"
        );
    }
}
