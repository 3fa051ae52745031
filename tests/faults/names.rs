//! A resolver of our own: it denies one name, and does not answer at all for another.

use std::net::{SocketAddr, UdpSocket};
use std::thread;

/// Where the tests' resolver listens.
pub(crate) const RESOLVER: &str = "127.0.0.8";
/// A name that it says does not exist.
pub(crate) const NOWHERE: &str = "nowhere.test";
/// A name about which it says nothing.
pub(crate) const HANGS: &str = "hangs.test";

/// Starts it in the network that this thread is in. It ends with the test program.
pub(crate) fn serve() {
    let socket =
        UdpSocket::bind(SocketAddr::new(RESOLVER.parse().expect("an address"), 53)).expect("our own port");
    thread::spawn(move || {
        let mut question = [0; 512];
        while let Ok((length, asker)) = socket.recv_from(&mut question) {
            let hangs = question[..length].windows(5).any(|label| label == b"hangs");
            if length < 12 || hangs {
                continue;
            }
            // RFC 1035, section 4.1.1: an answer, recursion available, NXDOMAIN.
            question[2] |= 0x80;
            question[3] = 0x83;
            let _ = socket.send_to(&question[..length], asker);
        }
    });
}
