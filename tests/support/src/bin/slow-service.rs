//! The service that the system tests stop: `slow-service ADDRESS:PORT NAME`.
//!
//! It dies at once on SIGTERM, as a service does that knows nothing of a graceful end: requests in flight at that
//! moment are lost, which is what lets a test fail. It tells systemd when it listens (`Type=notify`).

use std::net::TcpListener;
use std::os::unix::net::UnixDatagram;
use std::{env, io};

use lb_drain_test_support::slow_service;

fn main() -> io::Result<()> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let [address, name] = arguments.as_slice() else {
        return Err(io::Error::other("usage: slow-service ADDRESS:PORT NAME"));
    };
    let listener = TcpListener::bind(address)?;
    if let Some(socket) = env::var_os("NOTIFY_SOCKET") {
        UnixDatagram::unbound()?.send_to(b"READY=1", socket)?;
    }
    slow_service::serve(&listener, name)
}
