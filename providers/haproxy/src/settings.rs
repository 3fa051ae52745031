//! The configuration of a `[[load_balancer]]` with `provider = "haproxy"`.

use std::sync::Arc;
use std::time::Duration;

use lb_drain_api::{Host, LoadBalancer, SettingsError, Target};
use serde::Deserialize;

use crate::balancer::{Haproxy, Selection};
use crate::command::Server;
use crate::endpoint::Endpoint;
use crate::entry::Own;

/// The keys of this provider, as they are written.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// Runtime API sockets: paths or `tcp://host:port`. Members of an HA pair share nothing: name all of them.
    pub sockets: Vec<String>,
    /// The servers that stand for this host, as `backend/server`.
    pub servers: Vec<String>,
    /// How to find them instead.
    #[serde(rename = "match")]
    pub match_by: Option<Match>,
    /// Time in drain with requests still in flight after which to go to maintenance: sticky traffic goes
    /// elsewhere then. Unset: never.
    #[serde(deserialize_with = "lb_drain_api::duration::deserialize_option")]
    pub maint_after: Option<Duration>,
    /// Whether to cut what is left just before the budget ends.
    pub shutdown_sessions: bool,
}

/// How to find the servers that stand for this host.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Match {
    /// By an address of this host and a port of `ports`.
    Address,
}

/// One [`LoadBalancer`] for each socket. Nothing is sent.
///
/// # Errors
///
/// The key that cannot be meant as it is, with what to write instead.
pub fn connect(settings: Settings, host: &Host) -> Result<Vec<Arc<dyn LoadBalancer>>, SettingsError> {
    if settings.sockets.is_empty() {
        return Err(SettingsError::new(
            "sockets",
            r#"none is named; write sockets = ["/run/haproxy/admin.sock"]"#,
        ));
    }
    let selection = selection(&settings, host)?;
    let mut endpoints: Vec<Endpoint> = Vec::with_capacity(settings.sockets.len());
    for text in &settings.sockets {
        let endpoint = Endpoint::parse(text).map_err(|why| SettingsError::new("sockets", why))?;
        if !endpoints.contains(&endpoint) {
            endpoints.push(endpoint);
        }
    }
    Ok(endpoints
        .into_iter()
        .map(|endpoint| {
            let own = Own {
                addresses: host.addresses.clone(),
                loopback: endpoint.is_local(&host.addresses),
            };
            let balancer: Arc<dyn LoadBalancer> = Arc::new(Haproxy::new(
                endpoint,
                selection.clone(),
                own,
                settings.maint_after,
                settings.shutdown_sessions,
            ));
            balancer
        })
        .collect())
}

fn selection(settings: &Settings, host: &Host) -> Result<Selection, SettingsError> {
    match (settings.match_by, settings.servers.as_slice()) {
        (None, []) => Err(SettingsError::new(
            "servers",
            r#"nothing says which servers are this host; write servers = ["web/app1"] or match = "address""#,
        )),
        (Some(_), [_, ..]) => Err(SettingsError::new(
            "match",
            r#"servers says already which servers are this host; leave one of the two keys out"#,
        )),
        (Some(Match::Address), []) if host.ports.is_empty() => Err(SettingsError::new(
            "match",
            r#"one address may hold several services; write ports = [8080] at the top of the file to say which of them stops"#,
        )),
        (Some(Match::Address), []) => Ok(Selection::Address {
            ports: host.ports.clone(),
        }),
        (None, servers) => {
            let mut targets: Vec<Target> = Vec::with_capacity(servers.len());
            for text in servers {
                Server::parse(text).map_err(|why| SettingsError::new("servers", why))?;
                let target = Target::new(text);
                if !targets.contains(&target) {
                    targets.push(target);
                }
            }
            Ok(Selection::Names(targets))
        }
    }
}

#[cfg(test)]
mod tests;
