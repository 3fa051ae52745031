//! A disposable machine with a real systemd: the script `tests/rig/machine`, held by a value.

use std::fs;
use std::io::{BufRead, BufReader};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::thread;
use std::time::Instant;

use tempfile::TempDir;

use super::{Network, app, binary, instant_of_monotonic};

const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/rig/machine");

/// Runs until it is dropped. `/share/bin` there holds `lb-drain` and `graceful-service`.
pub(crate) struct Machine {
    // The script ends the machine when its standard input ends: also when the test is killed.
    supervisor: Child,
    folder: TempDir,
}

impl Machine {
    /// Boots one in this network.
    pub(crate) fn boot(network: &Network) -> Self {
        let folder = tempfile::tempdir().expect("a temporary directory");
        let bin = folder.path().join("share/bin");
        fs::create_dir_all(&bin).expect("makes share/bin");
        for (program, name) in [(binary(), "lb-drain"), (app::service(), "graceful-service")] {
            fs::hard_link(&program, bin.join(name))
                .or_else(|_| fs::copy(&program, bin.join(name)).map(drop))
                .unwrap_or_else(|error| panic!("copy {}: {error}", program.display()));
        }
        let mut supervisor = network
            .command(SCRIPT)
            .arg("boot")
            .arg(folder.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            // A group of its own: a signal to the test's group must not end it before it has cleaned up.
            .process_group(0)
            .spawn()
            .expect("tests/rig/machine starts");
        let mut ready = String::new();
        BufReader::new(supervisor.stdout.take().expect("piped"))
            .read_line(&mut ready)
            .expect("reads from tests/rig/machine");
        let machine = Self { supervisor, folder };
        assert_eq!(ready, "ready\n", "the machine did not boot (see the error above)");
        machine
    }

    /// The folder that is `/share` in the machine, as this process sees it.
    pub(crate) fn share(&self) -> PathBuf {
        self.folder.path().join("share")
    }

    /// A command that will run in the machine as root, outside any unit.
    pub(crate) fn command(&self, program: &str) -> Command {
        let mut command = Command::new(SCRIPT);
        command.arg("run").arg(self.folder.path()).arg(program);
        command
    }

    /// Runs `systemctl` in the machine and returns how it ended.
    pub(crate) fn systemctl(&self, arguments: &[&str]) -> Output {
        self.command("systemctl")
            .args(arguments)
            .output()
            .expect("tests/rig/machine starts")
    }

    /// Whether its systemd still runs.
    pub(crate) fn is_up(&self) -> bool {
        fs::read_to_string(self.folder.path().join("pid"))
            .is_ok_and(|pid| Path::new("/proc").join(pid.trim()).exists())
    }

    /// Writes a unit file, makes systemd read it, and starts it.
    ///
    /// A target wants it, as if it were enabled: systemd forgets an inactive unit that nothing refers to, and with
    /// it how it ended.
    pub(crate) fn start_unit(&self, name: &str, text: &str) {
        self.install_unit(name, text);
        self.systemctl_ok(&["start", name]);
    }

    /// As [`Machine::start_unit`], without starting it.
    pub(crate) fn install_unit(&self, name: &str, text: &str) {
        self.write(&format!("/run/systemd/system/{name}"), text);
        self.systemctl_ok(&["add-wants", "--runtime", "multi-user.target", name]);
        self.systemctl_ok(&["daemon-reload"]);
    }

    /// Writes a file of the machine's own, folders included.
    pub(crate) fn write(&self, path: &str, text: &str) {
        fs::write(self.share().join("staged"), text).expect("writes to /share");
        self.run("install", &["-D", "-m", "0644", "/share/staged", path]);
    }

    /// Runs a command in the machine, which must be a success, and returns what it printed.
    pub(crate) fn run(&self, program: &str, arguments: &[&str]) -> String {
        let output = self
            .command(program)
            .args(arguments)
            .output()
            .expect("tests/rig/machine starts");
        assert!(output.status.success(), "{program} {arguments:?}: {output:?}");
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    /// Runs `systemctl`, which must be a success.
    pub(crate) fn systemctl_ok(&self, arguments: &[&str]) {
        self.run("systemctl", arguments);
    }

    /// One property of a unit, as `systemctl show` prints it.
    pub(crate) fn property(&self, unit: &str, name: &str) -> String {
        let output = self.systemctl(&["show", "--value", "--property", name, unit]);
        assert!(output.status.success(), "systemctl show {unit}: {output:?}");
        String::from_utf8_lossy(&output.stdout).trim().to_owned()
    }

    /// When it happened, by a `…TimestampMonotonic` property of a unit.
    pub(crate) fn moment(&self, unit: &str, property: &str) -> Instant {
        let micros = self.property(unit, property).parse().expect("microseconds");
        assert_ne!(micros, 0, "{property} of {unit}: it has not happened");
        instant_of_monotonic(micros)
    }

    /// How the unit stands: `ActiveState (SubState) Result`, such as `inactive (dead) success`.
    pub(crate) fn standing(&self, unit: &str) -> String {
        let [active, sub, result] =
            ["ActiveState", "SubState", "Result"].map(|name| self.property(unit, name));
        format!("{active} ({sub}) {result}")
    }

    /// What the journal holds of a unit's own processes: one message a line.
    pub(crate) fn journal(&self, unit: &str) -> String {
        let _ = self.command("journalctl").arg("--sync").output();
        let output = self
            .command("journalctl")
            .args(["--output=cat", "--no-pager", &format!("_SYSTEMD_UNIT={unit}")])
            .output()
            .expect("tests/rig/machine starts");
        String::from_utf8_lossy(&output.stdout).into_owned()
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        if thread::panicking() {
            let journal = self
                .command("journalctl")
                .args(["--no-pager", "--output=short-precise", "--lines=200"])
                .output();
            if let Ok(journal) = journal {
                eprintln!(
                    "the machine's journal:\n{}",
                    String::from_utf8_lossy(&journal.stdout)
                );
            }
        }
        drop(self.supervisor.stdin.take());
        let _ = self.supervisor.wait();
    }
}
