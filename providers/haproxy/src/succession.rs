//! Whether a HAProxy of this host took over from another.
//!
//! A HAProxy that takes over is told from whom when it is started: `-sf` or `-st` with the old processes, `-x` with
//! the socket that hands their listeners on (management guide, section 4). So does the master at each reload, and its
//! workers have its command line.

use std::fs;

/// Whether this process of this host is known to have taken over from nobody.
pub(crate) fn is_first(pid: u32) -> bool {
    // One that has ended has an empty command line for a moment.
    let line = fs::read(format!("/proc/{pid}/cmdline"));
    line.is_ok_and(|line| !line.is_empty() && alone(&line))
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
        for (arguments, first) in [
            (&["-Ws", "-f", "/etc/haproxy/haproxy.cfg"][..], true),
            (&["-db", "-f", "a-sf", "-p", "/run/x"], true),
            (&["-sf", "17", "-x", "sockpair@3", "-W"], false),
            (&["-D", "-sf"], false),
            (&["-D", "-st", "17"], false),
            (&["-x", "/run/haproxy/admin.sock"], false),
        ] {
            let process = Started::with(arguments);
            assert_eq!(is_first(process.pid()), first, "{arguments:?}");
        }
    }

    #[test]
    fn of_a_process_that_has_ended_nothing_is_known() {
        let process = Started::with(&["-db"]);
        let pid = process.pid();
        drop(process);
        assert!(!is_first(pid));
    }
}
