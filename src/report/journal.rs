//! Events as entries of the systemd journal, with fields (systemd's "Native Journal Protocol").
//!
//! A crate for this (tracing-journald) blocks where journald is stuck, and lets the last lines of a short
//! process get lost for `journalctl -u`: see [`Journal::flush`].

use std::os::unix::net::UnixDatagram;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use tracing::Level;

/// Where journald listens.
const SOCKET: &str = "/run/systemd/journal/socket";

/// The journal, where stderr leads there.
#[derive(Debug)]
pub struct Journal {
    socket: UnixDatagram,
}

impl Journal {
    /// Connects, if stderr is the journal.
    #[must_use]
    pub fn behind_stderr() -> Option<Self> {
        if is_stderr() { Self::at(SOCKET) } else { None }
    }

    fn at(path: &str) -> Option<Self> {
        let socket = UnixDatagram::unbound().ok()?;
        socket.set_nonblocking(true).ok()?;
        socket.connect(path).ok()?;
        Some(Self { socket })
    }

    /// Writes an entry. False where journald does not take it now: then stderr is the way.
    #[must_use]
    pub fn write(&self, level: Level, message: &str, fields: &[(String, String)]) -> bool {
        let mut entry = Vec::new();
        put(&mut entry, "MESSAGE", message);
        put(&mut entry, "PRIORITY", priority(level));
        put(&mut entry, "SYSLOG_IDENTIFIER", "lb-drain");
        for (name, value) in fields {
            put(&mut entry, name, value);
        }
        self.socket.send(&entry).is_ok()
    }

    /// Waits, for at most `patience`, until journald has read everything.
    ///
    /// It looks up the unit of an entry's sender in `/proc`, and an entry of a process that has ended
    /// meanwhile belongs to no unit: `journalctl -u` would not show the verdict.
    pub fn flush(&self, patience: Duration) {
        let until = Instant::now() + patience;
        // The kernel calls a unix socket writable while a quarter of its send buffer is enough for all that
        // has not been read. With the smallest buffer (it is rounded up) that means: all has been read.
        if rustix::net::sockopt::set_socket_send_buffer_size(&self.socket, 1).is_err() {
            return;
        }
        let left = until.saturating_duration_since(Instant::now());
        let Ok(left) = Timespec::try_from(left) else {
            return;
        };
        // Whether or not it has: there is nothing else to do about it.
        let _ = poll(&mut [PollFd::new(&self.socket, PollFlags::OUT)], Some(&left));
        // From having read the entry to having looked up its sender it is some 50 µs.
        std::thread::sleep(Duration::from_millis(1).min(until.saturating_duration_since(Instant::now())));
    }
}

/// Whether stderr is the journal (`$JOURNAL_STREAM`, systemd.exec(5)) and not redirected.
pub(super) fn is_stderr() -> bool {
    let stream = std::env::var("JOURNAL_STREAM");
    let stderr = rustix::fs::fstat(std::io::stderr());
    matches!((stream, stderr), (Ok(stream), Ok(stderr)) if stream == format!("{}:{}", stderr.st_dev, stderr.st_ino))
}

/// The priority of syslog(3).
pub(super) fn priority(level: Level) -> &'static str {
    match level {
        Level::ERROR => "3",
        Level::WARN => "4",
        Level::INFO => "6",
        _ => "7",
    }
}

/// `NAME=value`, or, where the value has several lines, its length in between.
fn put(entry: &mut Vec<u8>, name: &str, value: &str) {
    entry.extend(name.bytes());
    if value.contains('\n') {
        entry.push(b'\n');
        entry.extend((value.len() as u64).to_le_bytes());
    } else {
        entry.push(b'=');
    }
    entry.extend(value.bytes());
    entry.push(b'\n');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_has_its_fields_and_a_value_of_several_lines_its_length() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("socket");
        let journald = UnixDatagram::bind(&path).expect("a socket");
        let journal = Journal::at(path.to_str().expect("a name")).expect("a journal");
        let fields = [("LB_DRAIN_OUTCOME".to_owned(), "a\nb".to_owned())];
        assert!(journal.write(Level::WARN, "edge: drained", &fields));
        let mut entry = [0; 200];
        let length = journald.recv(&mut entry).expect("an entry");
        assert_eq!(
            entry[..length],
            *b"MESSAGE=edge: drained\nPRIORITY=4\nSYSLOG_IDENTIFIER=lb-drain\nLB_DRAIN_OUTCOME\n\x03\0\0\0\0\0\0\0a\nb\n"
        );
    }

    #[test]
    fn flushing_waits_until_the_entry_is_read_and_no_longer() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("socket");
        let journald = UnixDatagram::bind(&path).expect("a socket");
        let journal = Journal::at(path.to_str().expect("a name")).expect("a journal");
        assert!(journal.write(Level::INFO, &"edge: drained. ".repeat(30), &[]));
        let reader = std::thread::spawn(move || {
            std::thread::sleep(Duration::from_millis(100));
            journald.recv(&mut [0; 1000]).expect("an entry");
            Instant::now()
        });
        journal.flush(Duration::from_secs(10));
        let flushed = Instant::now();
        let read = reader.join().expect("it was read");
        assert!(flushed > read, "flush came back before journald had read");
        assert!(flushed - read < Duration::from_secs(5), "flush waited on");
    }

    #[test]
    fn a_journald_that_never_reads_holds_nobody() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("socket");
        let _journald = UnixDatagram::bind(&path).expect("a socket");
        let journal = Journal::at(path.to_str().expect("a name")).expect("a journal");
        while journal.write(Level::INFO, "edge: drained", &[]) {}
        journal.flush(Duration::from_millis(10));
    }
}
