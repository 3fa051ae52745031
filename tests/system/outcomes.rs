//! Exit codes and the report: the truth, told to machines.

use std::fs;
use std::thread;
use std::time::Duration;

use serde_json::Value;
use tempfile::{TempDir, tempdir};

use crate::rig::{App, DRAIN, Ended, Haproxy, Load, Network, Setup, lb_drain};

struct Scene {
    haproxy: Haproxy,
    _app: App,
    network: Network,
    folder: TempDir,
}

impl Scene {
    fn new(setup: Setup<'_>) -> Self {
        let network = Network::new();
        let folder = tempdir().expect("a folder");
        Self {
            haproxy: Haproxy::start(&network, &folder.path().join("edge"), setup),
            _app: App::start(&network, "app1", "127.0.0.1:8081"),
            network,
            folder,
        }
    }

    fn deregister(&self, budget: &str, more: &[&str]) -> Ended {
        let socket = self.haproxy.socket();
        let mut arguments = vec!["deregister", "--haproxy", &socket];
        arguments.extend(["--haproxy-server", "web/app1", "--budget", budget]);
        arguments.extend(more);
        lb_drain(&self.network, &arguments).wait()
    }

    /// With so long a request in flight on app1.
    fn deregister_while_busy(&self, request: Duration, budget: &str, more: &[&str]) -> Ended {
        // app2 does not run, so without this every other request would be its.
        self.haproxy.tell("set server web/app2 state maint");
        let front = self.haproxy.front();
        let client = thread::spawn(move || {
            let stream = std::os::unix::net::UnixStream::connect(front).expect("connects");
            let path = format!("/sleep/{}", request.as_millis());
            lb_drain_test_support::http1::Connection::new(stream).get(&path, &[])
        });
        crate::rig::eventually("the request is in flight", || self.haproxy.in_flight("app1") == 1);
        let ended = self.deregister(budget, more);
        let answer = client.join().expect("no panic").expect("an answer");
        assert_eq!(answer.status, 200);
        ended
    }
}

#[test]
fn a_load_balancer_is_found_by_its_name() {
    // What looks names up is part of a static binary.
    let scene = Scene::new(Setup {
        global: "stats socket ipv4@127.0.0.1:9999 level admin",
        ..Setup::default()
    });
    let ended = lb_drain(
        &scene.network,
        &[
            "deregister",
            "--haproxy",
            "tcp://localhost:9999",
            "--haproxy-server",
            "web/app1",
            "--budget",
            "10s",
        ],
    )
    .wait();
    ended.assert_code(0);
    assert_eq!(scene.haproxy.admin_state("app1"), DRAIN);
}

#[test]
fn an_idle_server_is_out_in_no_time_and_the_report_holds_every_field() {
    let scene = Scene::new(Setup::default());
    let ended = scene.deregister("10s", &["--output", "json"]);
    ended.assert_code(0);
    assert_eq!(scene.haproxy.admin_state("app1"), DRAIN);
    assert!(ended.elapsed < Duration::from_secs(2), "{ended:#?}");

    let report = ended.json();
    assert_eq!(report["command"], "deregister");
    assert_eq!(report["outcome"], "drained");
    assert_eq!(report["budget_ms"], 10_000);
    assert_eq!(report["budget_source"], "flag");
    assert!(report["elapsed_ms"].is_number());
    let [balancer] = report["load_balancers"].as_array().expect("a list").as_slice() else {
        panic!("one load balancer: {report}");
    };
    assert_eq!(balancer["name"], "haproxy");
    assert_eq!(balancer["provider"], "haproxy");
    let endpoint = balancer["endpoint"].as_str().expect("text");
    assert!(endpoint.contains("admin.sock"), "{endpoint}");
    assert_eq!(balancer["target"], "web/app1");
    assert_eq!(balancer["outcome"], "drained");
    assert_eq!(balancer["evidence"], "load_balancer");
    assert!(balancer["deregistered_ms"].is_number(), "{report}");
    assert!(balancer["drained_ms"].is_number(), "{report}");
    assert_eq!(balancer["attempts"], 1);
    assert_eq!(balancer["in_flight"], 0);
    assert_eq!(balancer["error"], Value::Null);
}

#[test]
fn a_request_longer_than_the_budget_is_a_warning_and_code_75_when_strict() {
    for (more, code) in [(&[] as &[&str], 0), (&["--strict"], 75)] {
        let scene = Scene::new(Setup::default());
        let arguments = [more, &["--output", "json"]].concat();
        let ended = scene.deregister_while_busy(Duration::from_secs(4), "1500ms", &arguments);
        ended.assert_code(code);
        assert!(ended.elapsed < Duration::from_millis(1500), "{ended:#?}");
        let report = ended.json();
        assert_eq!(report["outcome"], "undrained", "{report}");
        assert_eq!(report["load_balancers"][0]["outcome"], "undrained", "{report}");
        assert_eq!(report["load_balancers"][0]["drained_ms"], Value::Null, "{report}");
        assert_eq!(report["load_balancers"][0]["in_flight"], 1, "{report}");
    }
}

#[test]
fn a_request_that_ends_in_time_is_waited_for() {
    let scene = Scene::new(Setup::default());
    let ended = scene.deregister_while_busy(Duration::from_secs(1), "10s", &["--strict"]);
    ended.assert_code(0);
    assert!(ended.elapsed > Duration::from_millis(500), "{ended:#?}");
    assert!(ended.stdout.is_empty(), "no report was asked for: {ended:#?}");
}

#[test]
fn a_socket_without_the_right_level_fails_at_once_and_names_the_remedy() {
    let scene = Scene::new(Setup {
        level: "operator",
        ..Setup::default()
    });
    let ended = scene.deregister("10s", &["--output", "json"]);
    ended.assert_code(1);
    assert!(
        ended.elapsed < Duration::from_secs(3),
        "asking again does not help: {ended:#?}"
    );
    assert_eq!(scene.haproxy.admin_state("app1"), 0);
    let report = ended.json();
    assert_eq!(report["outcome"], "failed");
    assert_eq!(report["load_balancers"][0]["outcome"], "failed");
    let error = report["load_balancers"][0]["error"].as_str().expect("an error");
    for part in ["admin.sock", "Permission denied", "level admin"] {
        assert!(error.contains(part), "{part} in {error}");
        assert!(ended.stderr.contains(part), "{part} in {}", ended.stderr);
    }
}

#[test]
fn usage_and_configuration_errors_are_code_2_and_nothing_is_touched() {
    let scene = Scene::new(Setup::default());
    let socket = scene.haproxy.socket();
    let file = scene.folder.path().join("wrong.toml");
    let good = format!(
        "[[load_balancer]]\nprovider = \"haproxy\"\nsockets = [{socket:?}]\nservers = [\"web/app1\"]\n"
    );
    for (wrong, line, words) in [
        (
            "[[load_balancer]]\nprovider = \"haproxy\"\nsocket = [\"/x\"]\n",
            7,
            "socket",
        ),
        ("[[load_balancer]]\nprovider = \"haprox\"\n", 6, "haprox"),
        (
            "[[load_balancer]]\nprovider = \"haproxy\"\nsockets = [\"/x\"]\nservers = [\"a/b\"]\nmax_wait = 5\n",
            9,
            "max_wait",
        ),
        (
            "[[load_balancer]]\nprovider = \"haproxy\"\nsockets = [\"/x\"]\nservers = [\"a/b; shutdown\"]\n",
            8,
            "servers",
        ),
    ] {
        fs::write(&file, format!("{good}{wrong}")).expect("writes the configuration");
        let ended = lb_drain(
            &scene.network,
            &["deregister", "-c", file.to_str().expect("UTF-8")],
        )
        .wait();
        ended.assert_code(2);
        for part in ["wrong.toml", words] {
            assert!(ended.stderr.contains(part), "{part} in {}", ended.stderr);
        }
        let numbered = [format!("line {line}"), format!("wrong.toml:{line}")];
        assert!(
            numbered.iter().any(|text| ended.stderr.contains(text)),
            "line {line} in {}",
            ended.stderr
        );
    }
    for arguments in [
        &["deregister", "--config", "/no/such/file.toml"] as &[&str],
        &["deregister", "--haproxy", "/x"],
        &[
            "deregister",
            "--budget",
            "30",
            "--haproxy",
            "/x",
            "--haproxy-server",
            "a/b",
        ],
        &["deregister", "--no-such-option"],
    ] {
        lb_drain(&scene.network, arguments).wait().assert_code(2);
    }
    assert_eq!(scene.haproxy.admin_state("app1"), 0);
}

#[test]
fn a_dry_run_touches_nothing() {
    let scene = Scene::new(Setup::default());
    let ended = scene.deregister("10s", &["--dry-run"]);
    ended.assert_code(0);
    assert!(
        [&ended.stdout, &ended.stderr]
            .iter()
            .any(|text| text.contains("web/app1")),
        "it says what it would do: {ended:#?}"
    );
    assert_eq!(scene.haproxy.admin_state("app1"), 0);
}

#[test]
fn no_wait_leaves_at_once_and_says_so() {
    let scene = Scene::new(Setup::default());
    let ended =
        scene.deregister_while_busy(Duration::from_secs(3), "10s", &["--no-wait", "--output", "json"]);
    ended.assert_code(0);
    assert!(ended.elapsed < Duration::from_secs(2), "{ended:#?}");
    assert_eq!(ended.json()["outcome"], "undrained");
    assert_eq!(scene.haproxy.admin_state("app1"), DRAIN);
}

#[test]
fn status_tells_what_haproxy_sees_and_changes_nothing() {
    let scene = Scene::new(Setup::default());
    scene.haproxy.tell("set server web/app2 state maint");
    let load = Load::start(&[&scene.haproxy], 5, Duration::from_millis(500), &[]);
    load.wait_for(10);
    let socket = scene.haproxy.socket();
    let arguments = ["status", "--haproxy", &socket, "--haproxy-server", "web/app1"];
    let ended = lb_drain(&scene.network, &arguments).wait();
    ended.assert_code(0);
    assert!(ended.stdout.contains("web/app1"), "{ended:#?}");
    assert_eq!(scene.haproxy.admin_state("app1"), 0);
    load.finish().assert_nothing_lost(10);
}
