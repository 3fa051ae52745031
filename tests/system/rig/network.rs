//! A network namespace: loopback and nothing else, for one test.

use std::ffi::OsStr;
use std::fs::File;
use std::io::Read;
use std::os::fd::AsFd;
use std::process::{Child, Command, Stdio};
use std::thread;

use rustix::process::geteuid;
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

/// Its own loopback, where fixed ports collide with nobody's, and its own empty `/run`, so that what
/// `lb-drain` records there is neither the host's nor another test's. Ends with the test, even when it is killed.
pub(crate) struct Network {
    /// The process that keeps the namespaces alive by being in them.
    holder: Child,
}

impl Network {
    pub(crate) fn new() -> Self {
        assert!(
            geteuid().is_root(),
            "the system tests need root: they make network namespaces and machines"
        );
        let mut holder = Command::new("setpriv")
            .args(["--pdeathsig", "KILL", "unshare", "--net", "--mount", "sh", "-euc"])
            .arg("mount -t tmpfs tmpfs /run; ip link set lo up; echo ready; exec sleep infinity")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .expect("setpriv starts");
        let mut ready = [0; 6];
        holder
            .stdout
            .take()
            .expect("piped")
            .read_exact(&mut ready)
            .expect("the network namespace is made (see the error above)");
        Self { holder }
    }

    /// A command that runs in here and is killed when the test ends, however it ends.
    pub(crate) fn command(&self, program: impl AsRef<OsStr>) -> Command {
        let mut command = Command::new("setpriv");
        command
            .args(["--pdeathsig", "KILL", "nsenter", "--net", "--mount", "--target"])
            .arg(self.holder.id().to_string())
            .arg("--")
            .arg(program);
        command
    }

    /// Does this on a thread in here: the fakes that it starts listen in here, for as long as they live.
    pub(crate) fn inside<T: Send>(&self, work: impl FnOnce() -> T + Send) -> T {
        let namespace = File::open(format!("/proc/{}/ns/net", self.holder.id())).expect("the holder runs");
        thread::scope(|scope| {
            let inside = scope.spawn(|| {
                move_into_link_name_space(namespace.as_fd(), Some(LinkNameSpaceType::Network))
                    .expect("root may go anywhere");
                work()
            });
            inside.join().expect("no panic in there")
        })
    }

    /// Runs a command in here to its end, which must be a success.
    pub(crate) fn run(&self, program: &str, arguments: &[&str]) -> String {
        let output = self
            .command(program)
            .args(arguments)
            .output()
            .expect("setpriv starts");
        assert!(output.status.success(), "{program} {arguments:?}: {output:?}");
        String::from_utf8_lossy(&output.stdout).into_owned()
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        let _ = self.holder.kill();
        let _ = self.holder.wait();
    }
}
