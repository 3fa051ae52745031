//! The recipe for Caddy against the real one, with traffic.

use std::process::Command;
use std::time::Duration;

use lb_drain_api::Severity;
use lb_drain_test_support::caddy::{config, yours};

use crate::load::{At, Server, Traffic, drain, service};
use crate::recipes::recipe;
use crate::support::{before, come_back, connect, leave};

/// Caddy in a directory of its own.
fn caddy(directory: &tempfile::TempDir, upstreams: [u16; 2]) -> Option<(Server, At)> {
    let upstreams = upstreams.map(|port| ([127, 0, 0, 1], port).into());
    let config = config(directory.path(), &upstreams);
    let file = directory.path().join("config.json");
    std::fs::write(&file, config.to_string()).unwrap();
    let home = ["HOME", "XDG_DATA_HOME", "XDG_CONFIG_HOME"].map(|name| (name, directory.path()));
    let mut command = Command::new("caddy");
    command.args(["run", "--config"]).arg(&file).envs(home);
    let server = Server::start(&mut command, "apt-get install caddy")?;
    Some((server, At(directory.path().join("http"))))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_host_leaves_caddy_under_load_and_comes_back_and_no_request_fails() {
    let directory = tempfile::tempdir().unwrap();
    let (ours, other) = (service("ours", 0), service("other", 0));
    let Some((_caddy, at)) = caddy(&directory, [ours.port(), other.port()]) else {
        return;
    };
    at.wait_for(&["ours", "other"]);
    let yours = yours(directory.path(), ([127, 0, 0, 1], ours.port()).into());
    let keys = recipe("caddy", &yours.each_ref().map(|(from, to)| (*from, to.as_str())));
    let findings = connect(&keys).check().await;
    assert!(
        findings.iter().all(|finding| finding.severity == Severity::Fine),
        "{findings:#?}"
    );

    let traffic = Traffic::start(&at);
    tokio::time::sleep(Duration::from_millis(600)).await;
    let balancer = connect(&keys);
    let as_it_was = before(&balancer).await.before;
    assert_eq!(
        as_it_was["upstream"]["max_requests"], 1000,
        "its own settings are kept"
    );
    leave(&balancer).await.expect("left");
    let counts = drain(&balancer).await;
    println!("in flight by Caddy's count: {counts:?}");
    assert!(
        counts[0] > 0,
        "it was under load, and Caddy still counts: {counts:?}"
    );
    // The application stops, now that Caddy says that nothing is in flight.
    let port = ours.port();
    drop(ours);
    tokio::time::sleep(Duration::from_millis(600)).await;
    leave(&connect(&keys)).await.expect("gone already");
    let without = traffic.seen();

    let _ours = service("ours", port);
    come_back(&connect(&keys), Some(&as_it_was)).await.expect("back");
    come_back(&connect(&keys), Some(&as_it_was))
        .await
        .expect("back already");
    traffic.wait_for("ours", &without);
    assert_eq!(traffic.end().failures, [""; 0]);
    assert_eq!(before(&connect(&keys)).await.before, as_it_was);
}
