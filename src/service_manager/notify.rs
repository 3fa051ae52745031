//! Notes to systemd (sd_notify(3)), where it reads them.

use std::ffi::OsString;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::time::Duration;

/// The socket of `$NOTIFY_SOCKET`. systemd sets it for `ExecStop=` only with `NotifyAccess=exec` or `all`.
#[derive(Debug)]
pub struct Notifier {
    socket: UnixDatagram,
    address: SocketAddr,
}

impl Notifier {
    /// The one of this process's environment, if there is one.
    #[must_use]
    pub fn of_this_process() -> Option<Self> {
        Self::at(std::env::var_os("NOTIFY_SOCKET")?)
    }

    fn at(place: OsString) -> Option<Self> {
        let address = match place.as_bytes() {
            [b'@', name @ ..] => SocketAddr::from_abstract_name(name).ok()?,
            _ => SocketAddr::from_pathname(place).ok()?,
        };
        let socket = UnixDatagram::unbound().ok()?;
        socket.set_nonblocking(true).ok()?;
        Some(Self { socket, address })
    }

    /// Shows a line in `systemctl status`.
    pub fn status(&self, line: &str) {
        // A status that is not read changes nothing about what it says.
        self.send(&format!("STATUS={}", line.replace('\n', " ")));
    }

    /// Asks for this much time from now on. False where systemd does not get to know.
    #[must_use]
    pub fn extend(&self, time: Duration) -> bool {
        self.send(&format!("EXTEND_TIMEOUT_USEC={}", time.as_micros()))
    }

    fn send(&self, note: &str) -> bool {
        self.socket.send_to_addr(note.as_bytes(), &self.address).is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn notes_arrive_at_a_path_and_at_an_abstract_name() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("notify");
        let name = format!("@lb-drain-notify-{}", std::process::id());
        let abstract_name = SocketAddr::from_abstract_name(&name[1..]).expect("a name");
        for (place, socket) in [
            (path.clone().into_os_string(), UnixDatagram::bind(&path)),
            (name.into(), UnixDatagram::bind_addr(&abstract_name)),
        ] {
            let socket = socket.expect("a socket");
            let notifier = Notifier::at(place).expect("a notifier");
            notifier.status("waiting\nfor edge");
            assert!(notifier.extend(Duration::from_secs(2)));
            let mut note = [0; 100];
            let length = socket.recv(&mut note).expect("a note");
            assert_eq!(&note[..length], b"STATUS=waiting for edge");
            let length = socket.recv(&mut note).expect("a note");
            assert_eq!(&note[..length], b"EXTEND_TIMEOUT_USEC=2000000");
            drop(socket);
            assert!(!notifier.extend(Duration::from_secs(2)), "nobody reads");
        }
    }
}
