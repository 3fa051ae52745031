//! The recipe for Envoy against the real one: HAProxy checks the health of two Envoys, each in front of its
//! application.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use serde_json::json;

use crate::load::{At, Server, Traffic, drain, service};
use crate::recipes::recipe;
use crate::support::{come_back, connect, leave, look};

/// The real Envoy, from the environment that `tests/setup-python` makes.
fn program() -> PathBuf {
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(
        || PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../target")),
        PathBuf::from,
    );
    let libraries = target.join("venv/lib");
    let pythons = std::fs::read_dir(&libraries).into_iter().flatten().flatten();
    let found = pythons
        .map(|python| python.path().join("site-packages/envoy/_bin/envoy"))
        .find(|path| path.exists());
    found.unwrap_or_else(|| libraries.join("envoy"))
}

/// Envoy with its listener and its administration interface on unix sockets.
fn envoy(directory: &Path, name: &str, application: u16) -> Option<Server> {
    let pipe = |what: &str| json!({"pipe": {"path": directory.join(format!("{name}-{what}"))}});
    let socket = json!({"socket_address": {"address": "127.0.0.1", "port_value": application}});
    let typed = |kind: &str| format!("type.googleapis.com/envoy.extensions.filters.http.{kind}");
    let check = json!({"@type": typed("health_check.v3.HealthCheck"), "pass_through_mode": false,
        "headers": [{"name": ":path", "string_match": {"exact": "/health"}}]});
    let manager = json!({
        "@type": "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": "ingress",
        "route_config": {"virtual_hosts": [{"name": "all", "domains": ["*"],
            "routes": [{"match": {"prefix": "/"}, "route": {"cluster": "application", "timeout": "10s"}}]}]},
        "http_filters": [
            {"name": "health_check", "typed_config": check},
            {"name": "router", "typed_config": {"@type": typed("router.v3.Router")}},
        ],
    });
    let config = json!({
        "admin": {"address": pipe("admin")},
        "static_resources": {
            "listeners": [{"name": "ingress", "address": pipe("http"),
                "filter_chains": [{"filters": [{"name": "http", "typed_config": manager}]}]}],
            "clusters": [{"name": "application", "connect_timeout": "1s", "load_assignment": {
                "cluster_name": "application",
                "endpoints": [{"lb_endpoints": [{"endpoint": {"address": socket}}]}],
            }}],
        },
    });
    let file = directory.join(format!("{name}.json"));
    std::fs::write(&file, config.to_string()).unwrap();
    let mut command = Command::new(program());
    // Its workers and its parent's shared memory are its own: several run side by side.
    command
        .args([
            "--disable-hot-restart",
            "--concurrency",
            "1",
            "--log-level",
            "warn",
            "-c",
        ])
        .arg(&file);
    Server::start(&mut command, "tests/setup-python")
}

fn haproxy(directory: &Path) -> Option<(Server, At)> {
    let at = |name: &str| format!("unix@{}", directory.join(name).display());
    let config = format!(
        "global\n  stats socket {stats}\ndefaults\n  mode http\n  timeout connect 1s\n  timeout client 20s\n  timeout server 20s\n  \
         option httpchk\n  http-check send meth GET uri /health ver HTTP/1.1 hdr Host web\nfrontend in\n  bind {http}\n  default_backend web\nbackend web\n  \
         server ours {ours} check inter 100ms fall 2 rise 1\n  server other {other} check inter 100ms fall 2 rise 1\n",
        stats = directory.join("haproxy-stats").display(),
        http = at("haproxy-http"),
        ours = at("ours-http"),
        other = at("other-http"),
    );
    let file = directory.join("haproxy.cfg");
    std::fs::write(&file, config).unwrap();
    let mut command = Command::new("haproxy");
    command.args(["-db", "-q", "-f"]).arg(&file);
    let server = Server::start(&mut command, "apt-get install haproxy")?;
    Some((server, At(directory.join("haproxy-http"))))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_host_with_envoy_leaves_under_load_and_comes_back_and_no_request_fails() {
    let directory = tempfile::tempdir().unwrap();
    let (ours, other) = (service("ours", 0), service("other", 0));
    let envoys = ["ours", "other"].into_iter().zip([ours.port(), other.port()]);
    let envoys: Option<Vec<_>> = envoys
        .map(|(name, port)| envoy(directory.path(), name, port))
        .collect();
    let (Some(_envoys), Some((_haproxy, at))) = (envoys, haproxy(directory.path())) else {
        return;
    };
    at.wait_for(&["ours", "other"]);
    let admin = format!("unix:{}:", directory.path().join("ours-admin").display());
    let keys = recipe("envoy", &[("http://{admin}", &admin)]);

    let traffic = Traffic::start(&at);
    tokio::time::sleep(Duration::from_millis(600)).await;
    let balancer = connect(&keys);
    leave(&balancer).await.expect("left");
    assert!(look(&balancer).await.in_flight.is_some(), "Envoy counts");
    // The engine waits for `min_wait`: two checks of 100 ms, and a little more.
    tokio::time::sleep(Duration::from_secs(1)).await;
    let counts = drain(&balancer).await;
    println!("in flight by Envoy's count: {counts:?}");
    let port = ours.port();
    drop(ours);
    tokio::time::sleep(Duration::from_millis(600)).await;
    let without = traffic.seen();

    let _ours = service("ours", port);
    come_back(&connect(&keys), None).await.expect("back");
    traffic.wait_for("ours", &without);
    assert_eq!(traffic.end().failures, [""; 0]);
}
