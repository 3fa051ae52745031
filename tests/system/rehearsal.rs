//! `lb-drain rehearse` with real HAProxy and a real systemd.

use std::fs;
use std::path::Path;

use lb_drain_test_support::certificates::Authority;
use rustix::process::Signal;
use serde_json::Value;
use tempfile::{TempDir, tempdir};

use crate::rig::{
    App, DRAIN, Ended, Haproxy, Machine, Network, Running, Setup, binary, eventually, lb_drain, unit,
};

/// Where clients connect over TCP.
const FRONT: Setup<'static> = Setup {
    app1: "",
    frontend: "bind 127.0.0.1:8000",
    backend: "",
    global: "",
    level: "",
    master: false,
};

/// Options of every rehearsal here: quick and slow requests.
const OPTIONS: &str = "rehearse --haproxy-server web/app1 --port 8081 --output json \
    --url http://127.0.0.1:8000/sleep/20 --url http://127.0.0.1:8000/sleep/400 --url http://127.0.0.1:8000/sleep/0";

/// Options of the hooks in a unit.
const SERVER: &str = "--haproxy /share/edge/admin.sock --haproxy-server web/app1 --budget 10s";

struct Scene {
    haproxy: Haproxy,
    _apps: [App; 2],
    folder: TempDir,
    network: Network,
}

impl Scene {
    fn new() -> Self {
        Self::with(FRONT, tempdir().expect("a folder"))
    }

    fn with(setup: Setup<'_>, folder: TempDir) -> Self {
        let network = Network::new();
        Self {
            haproxy: Haproxy::start(&network, &folder.path().join("edge"), setup),
            _apps: [
                App::start(&network, "app1", "127.0.0.1:8081"),
                App::start(&network, "app2", "127.0.0.1:8082"),
            ],
            folder,
            network,
        }
    }

    fn rehearse(&self, more: &[&str]) -> Ended {
        self.start(more).wait()
    }

    fn start(&self, more: &[&str]) -> Running {
        let (socket, state) = (self.haproxy.socket(), self.folder.path().join("state"));
        let mut arguments: Vec<&str> = OPTIONS.split_whitespace().collect();
        arguments.extend([
            "--haproxy",
            &socket,
            "--state-dir",
            state.to_str().expect("a path"),
        ]);
        arguments.extend(more);
        lb_drain(&self.network, &arguments)
    }
}

fn phase<'a>(report: &'a Value, name: &str) -> &'a Value {
    let phases = report["phases"].as_array().expect("phases");
    phases
        .iter()
        .find(|phase| phase["phase"] == name)
        .expect("such a phase")
}

#[test]
fn a_rehearsal_behind_two_servers_loses_nothing_and_ends_in_service() {
    let scene = Scene::new();
    let page = scene.folder.path().join("report.html");
    let ended = scene.rehearse(&[
        "--duration",
        "6s",
        "--rate",
        "100",
        "--report",
        page.to_str().expect("a path"),
    ]);
    ended.assert_code(0);
    let report = ended.json();
    assert_eq!(report["failed"], 0, "{report:#}");
    assert_eq!(report["outcome"], "passed", "{report:#}");
    assert!(report["sent"].as_u64() > Some(400), "{report:#}");
    // HAProxy's changes take effect before it answers; what is on its way is on its way.
    assert!(report["last_new_request_ms"].as_u64() < Some(100), "{report:#}");
    assert_eq!(
        report["evidence"], "HAProxy reports nothing in flight",
        "{report:#}"
    );
    assert!(report["back_ms"].is_u64(), "{report:#}");
    assert_eq!(report["advice"][0]["line"], "--min-wait 0s", "{report:#}");
    assert_eq!(scene.haproxy.admin_state("app1"), 0);
    let html = std::fs::read_to_string(page).expect("the page");
    assert!(html.contains("0 of ") && html.contains("<svg"), "{html}");
}

#[test]
fn https_trusts_whom_this_host_trusts_and_a_stranger_is_told_before_anything_is_touched() {
    let folder = tempdir().expect("a folder");
    let authority = Authority::new();
    let certified = authority.certify(&["127.0.0.1"]);
    let pem = folder.path().join("edge.pem");
    fs::write(&pem, format!("{}{}", certified.certificate, certified.key)).expect("writes it");
    let trusted = authority.file(&folder);
    let frontend = format!("bind 127.0.0.1:8443 ssl crt {}", pem.display());
    let scene = Scene::with(
        Setup {
            frontend: &frontend,
            ..FRONT
        },
        folder,
    );
    let rehearse = |bundle: &Path| {
        let output = scene
            .network
            .command(binary())
            .args("rehearse --haproxy-server web/app1 --port 8081 --output json --duration 2s".split(' '))
            .args([
                "--url",
                "https://127.0.0.1:8443/sleep/20",
                "--haproxy",
                &scene.haproxy.socket(),
            ])
            .arg("--state-dir")
            .arg(scene.folder.path().join("state"))
            .env("SSL_CERT_FILE", bundle)
            .output()
            .expect("setpriv starts");
        let report: Value =
            serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {output:?}"));
        (output.status.code(), report)
    };
    let (code, report) = rehearse(&trusted);
    assert_eq!(code, Some(0), "{report:#}");
    assert_eq!(report["failed"], 0, "{report:#}");

    let other = tempdir().expect("a folder");
    let (code, report) = rehearse(&Authority::new().file(&other));
    assert_eq!(code, Some(1), "{report:#}");
    let troubles = report["troubles"].to_string();
    assert!(
        troubles.contains("certificate") && troubles.contains("nothing was touched"),
        "{report:#}"
    );
    assert_eq!(scene.haproxy.admin_state("app1"), 0);
}

#[test]
fn the_last_server_stays_unless_told_otherwise() {
    let scene = Scene::new();
    scene.haproxy.tell("set server web/app2 state maint");
    let refused = scene.rehearse(&["--duration", "2s"]);
    refused.assert_code(2);
    assert_eq!(scene.haproxy.admin_state("app1"), 0);
    for says in [
        "web/app1 is the last one in service",
        "--even-if-last",
        "nothing was touched",
    ] {
        assert!(refused.stderr.contains(says), "{refused:#?}");
    }

    let told = scene.rehearse(&["--duration", "2s", "--even-if-last"]);
    told.assert_code(1);
    let report = told.json();
    assert!(
        report["failures"]["503 Service Unavailable"].as_u64() > Some(0),
        "{report:#}"
    );
    assert_eq!(phase(&report, "before")["failed"], 0, "{report:#}");
    assert!(phase(&report, "out")["failed"].as_u64() > Some(0), "{report:#}");
    assert_eq!(scene.haproxy.admin_state("app1"), 0, "it comes back all the same");
}

#[test]
fn servers_that_leave_together_do_not_take_each_others_requests() {
    let scene = Scene::new();
    let file = scene.folder.path().join("lb-drain.toml");
    let section = |server: &str| {
        format!(
            "[[load_balancer]]\nname = \"{server}\"\nprovider = \"haproxy\"\nsockets = [{:?}]\nservers = [\"web/{server}\"]\n",
            scene.haproxy.socket()
        )
    };
    fs::write(&file, section("app1") + &section("app2")).expect("written");
    let (file, state) = (file.to_str().expect("a path"), scene.folder.path().join("state"));
    let state = state.to_str().expect("a path");
    let options = "rehearse --port 8081 --duration 2s --url http://127.0.0.1:8000/sleep/20 --config";
    let mut arguments: Vec<&str> = options.split_whitespace().collect();
    arguments.extend([file, "--state-dir", state]);
    let refused = lb_drain(&scene.network, &arguments).wait();
    refused.assert_code(2);
    assert!(
        refused.stderr.contains("web/app1 is the last one in service"),
        "{refused:#?}"
    );
    assert_eq!(scene.haproxy.admin_state("app1"), 0);
}

#[test]
fn an_interruption_while_it_is_out_puts_the_server_back_as_it_was() {
    let scene = Scene::new();
    scene.haproxy.tell("set server web/app1 weight 7");
    let running = scene.start(&["--duration", "20s"]);
    eventually("HAProxy has the server in drain", || {
        scene.haproxy.admin_state("app1") == DRAIN
    });
    running.signal(Signal::INT);
    let ended = running.wait();
    ended.assert_code(130);
    assert_eq!(scene.haproxy.admin_state("app1"), 0, "{ended:#?}");
    assert_eq!(scene.haproxy.stat("app1", "weight"), "7");
    let report = ended.json();
    assert_eq!(report["outcome"], "interrupted", "{report:#}");
    assert_eq!(report["failed"], 0, "{report:#}");
}

#[test]
fn a_server_that_is_out_already_is_not_rehearsed_with() {
    let scene = Scene::new();
    scene.haproxy.tell("set server web/app1 state drain");
    let refused = scene.rehearse(&["--duration", "2s"]);
    refused.assert_code(2);
    assert!(
        refused.stderr.contains("web/app1 is not in service"),
        "{refused:#?}"
    );
    assert_eq!(scene.haproxy.admin_state("app1"), DRAIN, "it is left as it was");
}

#[test]
fn a_restart_of_a_drained_service_loses_nothing_and_one_of_a_busy_service_is_caught() {
    let network = Network::new();
    let machine = Machine::boot(&network);
    let haproxy = Haproxy::start(&network, &machine.share().join("edge"), FRONT);
    machine.start_unit("app2.service", &unit("app2", "127.0.0.1:8082", ""));
    let breaks = "ExecStartPre=/bin/sh -c '! test -e /run/broken'";
    machine.start_unit("app1.service", &unit("app1", "127.0.0.1:8081", breaks));
    let rehearse = |more: &[&str]| {
        let output = machine
            // Commands in a machine run in their caller's network, and the load balancer is in the machine's.
            .command("nsenter")
            .args(["--net", "--target", "1", "--", "/share/bin/lb-drain"])
            .args(OPTIONS.split_whitespace())
            .args([
                "--haproxy",
                "/share/edge/admin.sock",
                "--restart",
                "app1.service",
                "--duration",
                "3s",
            ])
            .args(more)
            .output()
            .expect("tests/rig/machine starts");
        let report: Value =
            serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {output:?}"));
        (output.status.code(), report)
    };
    let started = machine.property("app1.service", "ExecMainStartTimestampMonotonic");

    let (code, report) = rehearse(&[]);
    assert_eq!(code, Some(0), "{report:#}");
    assert_eq!(report["failed"], 0, "{report:#}");
    assert!(phase(&report, "restarting")["sent"].is_u64(), "{report:#}");
    let restarted = machine.property("app1.service", "ExecMainStartTimestampMonotonic");
    assert_ne!(started, restarted, "it was restarted");
    assert_eq!(haproxy.admin_state("app1"), 0);

    // It dies at once on SIGTERM, and the budget ends before its longest request does.
    let (code, report) = rehearse(&["--url", "http://127.0.0.1:8000/sleep/3000", "--budget", "1s"]);
    assert_eq!(code, Some(1), "{report:#}");
    assert!(report["failed"].as_u64() > Some(0), "{report:#}");
    assert!(
        report["troubles"]
            .to_string()
            .contains("not drained within the budget of 1 s"),
        "{report:#}"
    );
    assert_eq!(haproxy.admin_state("app1"), 0);
    assert_eq!(machine.standing("app1.service"), "active (running) success");

    // A unit that leaves and comes back by itself: the two do not get into each other's way.
    let hooks = format!(
        "{breaks}\nExecStop=/share/bin/lb-drain deregister {SERVER}\nExecStartPost=/share/bin/lb-drain register {SERVER}"
    );
    machine.start_unit("app1.service", &unit("app1", "127.0.0.1:8081", &hooks));
    let (code, report) = rehearse(&[]);
    assert_eq!(code, Some(0), "{report:#}");
    assert_eq!(report["failed"], 0, "{report:#}");
    // What comes after the unit has brought itself back comes late for no fault of the load balancer's.
    assert!(report["last_new_request_ms"].as_u64() < Some(100), "{report:#}");
    assert_eq!(report["still_arriving"], false, "{report:#}");
    let timeout = report["advice"].as_array().and_then(|lines| lines.last());
    let place = timeout.expect("lines to write")["where"].as_str();
    assert_eq!(place, Some("in [Service] of app1.service"), "{report:#}");
    assert_eq!(haproxy.admin_state("app1"), 0);
    assert_eq!(machine.standing("app1.service"), "active (running) success");

    // A service that does not start again is none to come back with.
    let broken = machine.command("touch").arg("/run/broken").status();
    assert!(broken.expect("tests/rig/machine starts").success());
    let (code, report) = rehearse(&["--budget", "2s"]);
    assert_eq!(code, Some(1), "{report:#}");
    let troubles = report["troubles"].to_string();
    for says in [
        "systemctl restart app1.service failed",
        "nothing listens on port 8081",
        "this host is out",
        "run lb-drain register",
    ] {
        assert!(troubles.contains(says), "{report:#}");
    }
    assert_eq!(haproxy.admin_state("app1"), DRAIN);
}
