//! Asks which sockets the kernel has in ping-pong mode. Only procfs shows that, at the price of a line for every
//! TCP socket of the host.

use std::collections::HashMap;
use std::path::Path;
use std::time::{Duration, Instant};

use super::procfs;

/// The pause after a reading. A reading of 10 000 sockets takes about 30 ms of the processor; requests that end in
/// a tie come in crowds, and one reading decides them all.
const PAUSE: Duration = Duration::from_millis(200);

/// Readings of the ping-pong mode.
#[derive(Debug, Default)]
pub(super) struct PingPong {
    last: Option<Instant>,
}

impl PingPong {
    /// By the inode of each socket in this network namespace, whether it is in ping-pong mode. A socket may be
    /// missing, and all are if it is too soon to read again: what this would decide then stays undecided.
    pub(super) fn read(&mut self) -> HashMap<u64, bool> {
        let mut modes = HashMap::new();
        if self.last.is_some_and(|last| last.elapsed() < PAUSE) {
            return modes;
        }
        // What was read before an error is right.
        let _ = procfs::read(Path::new("/proc/self/net"), &mut |row| {
            modes.insert(row.socket.inode, row.ping_pong);
        });
        self.last = Some(Instant::now());
        modes
    }
}
