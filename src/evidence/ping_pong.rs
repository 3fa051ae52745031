//! Asks which sockets the kernel has in ping-pong mode. Only procfs shows that, at the price of a line for every
//! TCP socket of the host.

use std::collections::HashMap;
use std::path::Path;
use std::time::{Duration, Instant};

use super::connection::{Socket, State};
use super::exchange::Modes;
use super::procfs::{self, Row};

/// The pause after a reading. A reading of 10 000 sockets takes about 30 ms of the processor; requests that end in
/// a tie come in crowds, and one reading decides them all.
const PAUSE: Duration = Duration::from_millis(200);

/// Readings of the ping-pong mode.
#[derive(Debug, Default)]
pub(super) struct PingPong {
    last: Option<Instant>,
}

/// What one reading showed. A socket may be missing.
#[derive(Debug, Default)]
pub(super) struct Reading {
    /// By the inode of each socket in this network namespace, whether it is in ping-pong mode.
    sockets: HashMap<u64, bool>,
    /// By port, whether a listener there is in it: then its connections are from their birth.
    listeners: HashMap<u16, bool>,
}

impl PingPong {
    /// Reads, unless it is too soon to read again: then all are missing, and what they would decide stays undecided.
    pub(super) fn read(&mut self) -> Reading {
        let mut reading = Reading::default();
        if self.last.is_some_and(|last| last.elapsed() < PAUSE) {
            return reading;
        }
        // What was read before an error is right. But a listener may be among the rest.
        let read = procfs::read(Path::new("/proc/self/net"), &mut |row| reading.note(&row));
        if read.is_err() {
            reading.listeners.clear();
        }
        self.last = Some(Instant::now());
        reading
    }
}

impl Reading {
    /// What it showed of this connection.
    pub(super) fn of(&self, socket: &Socket) -> Option<Modes> {
        Some(Modes {
            ping_pong: *self.sockets.get(&socket.inode)?,
            from_birth: self.listeners.get(&socket.local_port).copied(),
        })
    }

    fn note(&mut self, row: &Row) {
        if row.socket.state == State::Listen {
            *self.listeners.entry(row.socket.local_port).or_default() |= row.ping_pong;
        } else {
            self.sockets.insert(row.socket.inode, row.ping_pong);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::{TcpListener, TcpStream};
    use std::os::fd::AsFd;

    use rustix::net::sockopt::set_tcp_quickack;

    use super::*;

    #[test]
    fn a_listener_with_its_first_acknowledgements_switched_off_is_told_from_others() {
        for quick in [true, false] {
            let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
            if !quick {
                set_tcp_quickack(listener.as_fd(), false).expect("switched off");
            }
            let address = listener.local_addr().expect("bound");
            let _client = TcpStream::connect(address).expect("connects");
            let reading = PingPong::default().read();
            assert_eq!(reading.listeners.get(&address.port()), Some(&!quick));
        }
    }
}
