//! The configuration file, read as far as it goes without a network.

use std::path::Path;
use std::time::Duration;

use lb_drain_api::Host;

use super::file;

/// Reads bytes as a configuration file, up to the load balancers that it stands for.
pub fn configuration(bytes: &[u8]) {
    let Ok(text) = str::from_utf8(bytes) else {
        return; // reading the file has refused it
    };
    let host = Host {
        hostname: "app1".to_owned(),
        addresses: vec![[10, 0, 0, 7].into()].into(),
        ports: vec![8080],
        unit: Some("web.service".to_owned()),
        budget: Duration::from_secs(30),
    };
    let document = match file::parse(Path::new("lb-drain.toml"), text) {
        Ok(document) => document,
        Err(error) => return tells_where(&error.to_string()),
    };
    if let Err(error) = document.plans(&host) {
        tells_where(&error.to_string());
    }
}

fn tells_where(error: &str) {
    assert!(error.starts_with("lb-drain.toml"), "names the file: {error}");
}
