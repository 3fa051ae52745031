//! Clients that HAProxy sends to the same server again and again, also while it drains.

use std::fs;
use std::thread;
use std::time::{Duration, Instant};

use tempfile::tempdir;

use crate::rig::{App, DRAIN, Haproxy, Load, MAINT, Network, Setup, eventually, lb_drain};

const COOKIES: Setup<'static> = Setup {
    frontend: "",
    backend: "cookie SRV insert indirect nocache",
    app1: "",
    global: "",
    level: "",
    master: false,
};

#[test]
fn sticky_traffic_moves_on_at_maint_after_and_nothing_is_lost() {
    let network = Network::new();
    let folder = tempdir().expect("a folder");
    let _apps = [
        App::start(&network, "app1", "127.0.0.1:8081"),
        App::start(&network, "app2", "127.0.0.1:8082"),
    ];
    let haproxy = Haproxy::start(&network, &folder.path().join("edge"), COOKIES);
    let configuration = folder.path().join("lb-drain.toml");
    fs::write(
        &configuration,
        format!(
            "budget = \"20s\"
             [[load_balancer]]
             provider = \"haproxy\"
             sockets = [{:?}]
             servers = [\"web/app1\"]
             maint_after = \"1s\"",
            haproxy.socket()
        ),
    )
    .expect("writes the configuration");

    let load = Load::start(&[&haproxy], 20, Duration::from_millis(400), &["Cookie: SRV=app1"]);
    load.wait_for(100);
    let running = lb_drain(
        &network,
        &[
            "deregister",
            "--config",
            configuration.to_str().expect("UTF-8"),
            "--output",
            "json",
        ],
    );
    eventually("app1 drains", || haproxy.admin_state("app1") & DRAIN != 0);
    let drains = Instant::now();
    let ended = running.wait();
    ended.assert_code(0);
    thread::sleep(Duration::from_millis(500));
    let report = load.finish();

    assert_eq!(ended.json()["outcome"], "drained", "{ended:#?}");
    assert!(ended.elapsed >= Duration::from_secs(1), "{ended:#?}");
    assert!(ended.elapsed < Duration::from_secs(10), "{ended:#?}");
    assert_ne!(haproxy.admin_state("app1") & MAINT, 0, "{ended:#?}");
    report.assert_nothing_lost(200);
    assert!(
        report.answered_by("app1", drains + Duration::from_millis(500)) > 0,
        "the clients stick, else this proves nothing"
    );
    assert_eq!(
        report.answered_by("app1", ended.at + Duration::from_millis(100)),
        0
    );
    assert!(report.answered_by("app2", ended.at) > 0);

    lb_drain(
        &network,
        &["register", "--config", configuration.to_str().expect("UTF-8")],
    )
    .wait()
    .assert_code(0);
    assert_eq!(
        haproxy.admin_state("app1"),
        0,
        "register brings it back out of maint and drain"
    );
}

#[test]
fn without_maint_after_sticky_traffic_holds_the_drain_until_the_budget_ends() {
    let network = Network::new();
    let folder = tempdir().expect("a folder");
    let _app = App::start(&network, "app1", "127.0.0.1:8081");
    let haproxy = Haproxy::start(&network, &folder.path().join("edge"), COOKIES);
    let load = Load::start(&[&haproxy], 20, Duration::from_millis(400), &["Cookie: SRV=app1"]);
    load.wait_for(50);
    let arguments = [
        "deregister",
        "--haproxy",
        &haproxy.socket(),
        "--haproxy-server",
        "web/app1",
        "--budget",
        "2s",
        "--output",
        "json",
    ];
    let ended = lb_drain(&network, &arguments).wait();
    ended.assert_code(0);
    assert_eq!(ended.json()["outcome"], "undrained", "{ended:#?}");
    assert!(ended.elapsed < Duration::from_secs(2), "{ended:#?}");
    assert_eq!(haproxy.admin_state("app1") & MAINT, 0);
    load.finish().assert_nothing_lost(50);
}
