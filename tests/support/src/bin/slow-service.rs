//! The service that the system tests stop: `slow-service ADDRESS:PORT NAME`.
//!
//! `GET /sleep/1500` is answered after 1500 ms with NAME. It dies at once on SIGTERM, as a service does that knows
//! nothing of a graceful end: requests in flight at that moment are lost, which is what lets a test fail. It
//! tells systemd when it listens (`Type=notify`).

use std::io::BufReader;
use std::net::{TcpListener, TcpStream};
use std::os::unix::net::UnixDatagram;
use std::time::Duration;
use std::{env, io, thread};

use lb_drain_test_support::http1;

fn main() -> io::Result<()> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let [address, name] = arguments.as_slice() else {
        return Err(io::Error::other("usage: slow-service ADDRESS:PORT NAME"));
    };
    let listener = TcpListener::bind(address)?;
    if let Some(socket) = env::var_os("NOTIFY_SOCKET") {
        UnixDatagram::unbound()?.send_to(b"READY=1", socket)?;
    }
    for connection in listener.incoming() {
        let (connection, name) = (connection?, name.clone());
        // A connection that breaks is no news: the clients count what they lost.
        thread::spawn(move || drop(serve(connection, &name)));
    }
    Ok(())
}

/// Answers one request after the other until the client closes the connection.
fn serve(connection: TcpStream, name: &str) -> io::Result<()> {
    connection.set_nodelay(true)?;
    let mut answers = connection.try_clone()?;
    let mut requests = BufReader::new(connection);
    while let Some(request) = http1::read_request(&mut requests)? {
        match request
            .path
            .strip_prefix("/sleep/")
            .and_then(|millis| millis.parse().ok())
        {
            Some(millis) => {
                thread::sleep(Duration::from_millis(millis));
                http1::write_response(&mut answers, "200 OK", name)?;
            }
            None => http1::write_response(&mut answers, "404 Not Found", "ask for /sleep/MILLISECONDS")?,
        }
    }
    Ok(())
}
