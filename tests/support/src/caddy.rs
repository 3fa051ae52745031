//! Real Caddy as a load balancer that is told by its admin API.

use std::net::SocketAddr;
use std::path::Path;

use serde_json::{Value, json};

/// The configuration of one with its listener (`http`) and its admin API (`admin`) on unix sockets in `directory`:
/// two tests on one port would share it. The upstreams are known under two routes: all requests go to the first; the
/// second, which nobody asks for, keeps Caddy counting when an upstream has left the first.
#[must_use]
pub fn config(directory: &Path, upstreams: &[SocketAddr]) -> Value {
    let at = |name: &str| format!("unix/{}", directory.join(name).display());
    let dial: Vec<Value> = upstreams
        .iter()
        .map(|address| json!({"dial": address.to_string(), "max_requests": 1000}))
        .collect();
    let proxy = json!({
        "handler": "reverse_proxy",
        "upstreams": dial,
        "load_balancing": {"selection_policy": {"policy": "round_robin"}},
    });
    let parked = json!({"match": [{"host": ["lb-drain.invalid"]}], "handle": [proxy]});
    let server = json!({
        "automatic_https": {"disable": true},
        "listen": [at("http")],
        "routes": [{"handle": [proxy]}, parked],
    });
    json!({
        "admin": {"listen": at("admin")},
        "logging": {"logs": {"default": {"level": "WARN"}}},
        "apps": {"http": {"servers": {"srv0": server}}},
    })
}

/// What has to change in the recipe `caddy.toml` for that one, and for the upstream at this address.
#[must_use]
pub fn yours(directory: &Path, upstream: SocketAddr) -> [(&'static str, String); 4] {
    let admin = directory.join("admin");
    [
        ("ports = [8080]", format!("ports = [{}]", upstream.port())),
        ("http://{admin}", format!("unix:{}:", admin.display())),
        (
            r#"# headers = { Host = "" }"#,
            r#"headers = { Host = "" }"#.to_owned(),
        ),
        (r#"dial = "{ip}:{port}""#, format!("dial = '{upstream}'")),
    ]
}
