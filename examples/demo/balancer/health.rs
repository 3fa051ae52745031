//! Health checks of the built-in load balancer: a server is up if it accepts a connection.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::time::{interval, timeout};

use super::servers::{Admin, Servers};
use super::{CHECK_EVERY, CHECKS_TO_FALL};

/// On loopback a connection is accepted or refused at once.
const ANSWER_WITHIN: Duration = Duration::from_millis(400);

/// Checks all servers for ever.
pub(super) async fn check(servers: Servers) {
    let mut failures = vec![0; servers.lock().len()];
    let mut pace = interval(CHECK_EVERY);
    loop {
        pace.tick().await;
        for (index, failures) in failures.iter_mut().enumerate() {
            let address = servers.lock()[index].address;
            *failures = if accepts(address).await { 0 } else { *failures + 1 };
            let server = &mut servers.lock()[index];
            if server.admin != Admin::Maint && (*failures == 0 || *failures >= CHECKS_TO_FALL) {
                server.found(*failures == 0);
            }
        }
    }
}

async fn accepts(address: SocketAddr) -> bool {
    matches!(
        timeout(ANSWER_WITHIN, TcpStream::connect(address)).await,
        Ok(Ok(_))
    )
}
