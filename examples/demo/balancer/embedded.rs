//! The built-in load balancer: a reverse proxy, health checks, and the runtime commands of HAProxy.

use std::path::Path;

use tokio::net::{TcpListener, UnixListener};

use super::servers::Servers;
use super::{health, proxy, runtime_api};
use crate::Result;
use crate::service::Service;

/// What it is, in a line.
pub(super) const ABOUT: &str =
    "built in, with HAProxy's runtime commands: round robin, health checks, redispatch";

/// Starts its tasks, which run as long as the demo does.
pub(super) fn start(listener: TcpListener, socket: &Path, copies: [&Service; 2]) -> Result<()> {
    let servers = Servers::new(copies.map(|copy| (copy.name, copy.address)));
    let admin = UnixListener::bind(socket)?;
    tokio::spawn(proxy::serve(listener, servers.clone()));
    tokio::spawn(runtime_api::serve(admin, servers.clone()));
    tokio::spawn(health::check(servers));
    Ok(())
}
