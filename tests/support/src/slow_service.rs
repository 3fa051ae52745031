//! The service that tests stop: `GET /sleep/1500` is answered after 1500 ms with the service's name.

use std::io::{self, BufReader};
use std::net::{TcpListener, TcpStream};
use std::thread;
use std::time::Duration;

use crate::http1;

/// Serves for ever, each connection on a thread of its own.
///
/// # Errors
///
/// Where no connection can be accepted any more.
pub fn serve(listener: &TcpListener, name: &str) -> io::Result<()> {
    for connection in listener.incoming() {
        let (connection, name) = (connection?, name.to_owned());
        // A connection that breaks is no news: the clients count what they lost.
        thread::spawn(move || drop(answer(connection, &name)));
    }
    Ok(())
}

/// Answers one request after the other until the client closes the connection.
fn answer(connection: TcpStream, name: &str) -> io::Result<()> {
    connection.set_nodelay(true)?;
    let mut answers = connection.try_clone()?;
    let mut requests = BufReader::new(connection);
    while let Some(request) = http1::read_request(&mut requests)? {
        let path = request.path.split('?').next().unwrap_or_default();
        match path
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
