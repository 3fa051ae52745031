//! Whether a HAProxy of this host took over from another.
//!
//! A HAProxy that takes over is told from whom when it is started: `-sf` or `-st` with the old processes, `-x` with
//! the socket that hands their listeners on (management guide, section 4). So does the master at each reload, and its
//! workers have its command line.

use std::fs;

/// Whether the process `pid` is known to have taken over from nobody.
///
/// `pid` is what HAProxy says of itself, and in a container it is another number than here. `listener` is the process
/// that opened the socket, by the number that it has here: HAProxy itself, or the master that is its parent.
pub(crate) fn is_first(pid: u32, listener: u32) -> bool {
    (pid == listener || parent(pid) == Some(listener)) && command_line(pid).is_some_and(|line| alone(&line))
}

/// `None`: it cannot be read, or is that of a process that has ended.
fn command_line(pid: u32) -> Option<Vec<u8>> {
    let line = fs::read(format!("/proc/{pid}/cmdline")).ok()?;
    (!line.is_empty()).then_some(line)
}

/// By proc_pid_stat(5) the name stands in parentheses and may hold any byte; the state and the parent come after it.
fn parent(pid: u32) -> Option<u32> {
    let stat = fs::read(format!("/proc/{pid}/stat")).ok()?;
    let after_name = stat.rsplit(|&byte| byte == b')').next()?;
    let text = std::str::from_utf8(after_name).ok()?;
    text.split_ascii_whitespace().nth(1)?.parse().ok()
}

/// Whether none of the arguments is, or might be, one of a takeover.
fn alone(line: &[u8]) -> bool {
    let takes_over = |argument: &[u8]| {
        [&b"-sf"[..], b"-st", b"-x"]
            .iter()
            .any(|option| argument.starts_with(option))
    };
    !line.split(|&byte| byte == 0).any(takes_over)
}

#[cfg(test)]
mod tests {
    use std::io::Read;
    use std::process::{Child, Command, Stdio};

    use super::*;

    /// A process with this command line, which ends with this.
    struct Started(Child);

    impl Started {
        /// What follows the script are arguments like any others.
        fn with(arguments: &[&str]) -> Self {
            let mut command = Command::new("sh");
            command
                .args(["-c", "echo; read line; exit", "haproxy"])
                .args(arguments);
            command.stdin(Stdio::piped()).stdout(Stdio::piped());
            let mut process = command.spawn().expect("sh starts");
            // Its command line is there once it runs.
            let mut stdout = process.stdout.take().expect("piped");
            stdout.read_exact(&mut [0]).expect("a line");
            Self(process)
        }

        fn pid(&self) -> u32 {
            self.0.id()
        }
    }

    impl Drop for Started {
        fn drop(&mut self) {
            let _ = self.0.kill();
            let _ = self.0.wait();
        }
    }

    #[test]
    fn a_process_is_first_if_its_command_line_names_no_other() {
        let us = std::process::id();
        for (arguments, first) in [
            (&["-Ws", "-f", "/etc/haproxy/haproxy.cfg"][..], true),
            (&["-db", "-f", "a-sf", "-p", "/run/x"], true),
            (&["-sf", "17", "-x", "sockpair@3", "-W"], false),
            (&["-D", "-sf"], false),
            (&["-D", "-st", "17"], false),
            (&["-x", "/run/haproxy/admin.sock"], false),
        ] {
            let process = Started::with(arguments);
            assert_eq!(is_first(process.pid(), process.pid()), first, "{arguments:?}");
            assert_eq!(
                is_first(process.pid(), us),
                first,
                "a master and its worker: {arguments:?}"
            );
        }
    }

    #[test]
    fn a_process_that_may_be_another_is_not_known() {
        let process = Started::with(&["-db"]);
        assert!(!is_first(process.pid(), 1), "someone else opened the socket");
        let pid = process.pid();
        drop(process);
        assert!(!is_first(pid, pid), "it has ended");
    }
}
