//! A real HAProxy in front of the services under test.

use std::collections::HashMap;
use std::fs;
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

use super::{Network, eventually};

/// Forced maintenance, in `srv_admin_state` (HAProxy management guide, "show servers state").
pub(crate) const MAINT: u32 = 0x01;
/// Forced drain, in `srv_admin_state`.
pub(crate) const DRAIN: u32 = 0x08;

/// What a test wants otherwise than usual.
#[derive(Default)]
pub(crate) struct Setup<'a> {
    /// More lines of the frontend.
    pub(crate) frontend: &'a str,
    /// More lines of the backend `web`.
    pub(crate) backend: &'a str,
    /// Where `app1` listens; 127.0.0.1:8081 where this is empty.
    pub(crate) app1: &'a str,
    /// More lines of `global`.
    pub(crate) global: &'a str,
    /// The level of the admin socket; `admin` where this is empty.
    pub(crate) level: &'a str,
    /// Whether a master process supervises the worker, as `systemctl reload haproxy` needs it.
    pub(crate) master: bool,
}

/// One with a frontend and an admin socket in its folder, and a backend `web` with the servers `app1`
/// (127.0.0.1:8081, or as the test wants) and `app2` (127.0.0.1:8082).
pub(crate) struct Haproxy {
    process: Child,
    folder: PathBuf,
}

impl Haproxy {
    /// Starts it with its files in `folder`, which it makes.
    pub(crate) fn start(network: &Network, folder: &Path, setup: Setup<'_>) -> Self {
        fs::create_dir_all(folder).expect("makes the folder");
        let configuration = folder.join("haproxy.cfg");
        fs::write(&configuration, text(folder, &setup)).expect("writes haproxy.cfg");
        let mut command = network.command("haproxy");
        command
            .arg("-f")
            .arg(&configuration)
            .arg("-db")
            .stdin(Stdio::null());
        if setup.master {
            command.arg("-W").arg("-S").arg(folder.join("master.sock"));
        }
        let log = fs::File::create(folder.join("log")).expect("makes the log");
        command
            .stderr(log.try_clone().expect("one more handle"))
            .stdout(log);
        let haproxy = Self {
            process: command.spawn().expect("haproxy starts"),
            folder: folder.to_owned(),
        };
        eventually("HAProxy answers on its admin socket", || {
            haproxy
                .try_ask("show info")
                .is_some_and(|answer| answer.contains("Uptime"))
        });
        haproxy
    }

    /// The socket for its operator.
    pub(crate) fn socket(&self) -> String {
        self.folder.join("admin.sock").display().to_string()
    }

    /// The socket that clients connect to. Sockets with a path work across network namespaces, so the load comes
    /// from this process.
    pub(crate) fn front(&self) -> PathBuf {
        self.folder.join("front.sock")
    }

    /// Sends one runtime command and returns its trimmed answer.
    pub(crate) fn ask(&self, command: &str) -> String {
        self.try_ask(command)
            .expect("HAProxy answers on its admin socket")
    }

    fn try_ask(&self, command: &str) -> Option<String> {
        let mut socket = UnixStream::connect(self.socket()).ok()?;
        socket.set_read_timeout(Some(Duration::from_secs(5))).ok()?;
        socket.write_all(format!("{command}\n").as_bytes()).ok()?;
        let mut answer = String::new();
        socket.read_to_string(&mut answer).ok()?;
        Some(answer.trim().to_owned())
    }

    /// Sends a command that answers nothing when it succeeds.
    pub(crate) fn tell(&self, command: &str) {
        assert_eq!(self.ask(command), "", "{command}");
    }

    /// The administrative state of a server of `web`: [`MAINT`], [`DRAIN`], 0 in rotation.
    pub(crate) fn admin_state(&self, server: &str) -> u32 {
        let answer = self.ask("show servers state web");
        let state = &rows(answer.split_once('\n').expect("a version line").1, ' ')
            .into_iter()
            .find(|row| row["srv_name"] == server)
            .unwrap_or_else(|| panic!("no server {server} in {answer}"))["srv_admin_state"];
        state.parse().expect("a bit mask")
    }

    /// One column of `show stat` for a server of `web`.
    pub(crate) fn stat(&self, server: &str, column: &str) -> String {
        rows(&self.ask("show stat"), ',')
            .into_iter()
            .find(|row| row["pxname"] == "web" && row["svname"] == server)
            .expect("the server has statistics")
            .remove(column)
            .expect("such a column")
    }

    /// Requests of a server of `web` now in flight.
    pub(crate) fn in_flight(&self, server: &str) -> u32 {
        self.stat(server, "scur").parse().expect("a number")
    }

    /// What HAProxy counts as its own process: another one answers after a reload.
    pub(crate) fn worker(&self) -> Option<String> {
        let info = self.try_ask("show info")?;
        info.lines()
            .find_map(|line| Some(line.strip_prefix("Pid: ")?.to_owned()))
    }

    /// Reloads it as `systemctl reload haproxy` does; needs a master process. Returns once the new worker answers.
    pub(crate) fn reload(&self) {
        let before = self.worker();
        let master = Pid::from_child(&self.process);
        kill_process(master, Signal::USR2).expect("the master runs");
        eventually("a new worker of HAProxy answers", || {
            let now = self.worker();
            now.is_some() && now != before
        });
    }

    /// Kills it, as a crash does: its sockets stay and refuse.
    pub(crate) fn kill(&mut self) {
        self.process.kill().expect("it runs");
        self.process.wait().expect("it ends");
    }
}

impl Drop for Haproxy {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn text(folder: &Path, setup: &Setup<'_>) -> String {
    let folder = folder.display();
    let level = if setup.level.is_empty() {
        "admin"
    } else {
        setup.level
    };
    let app1 = if setup.app1.is_empty() {
        "127.0.0.1:8081"
    } else {
        setup.app1
    };
    let Setup {
        frontend,
        backend,
        global,
        ..
    } = setup;
    format!(
        "global
    stats socket {folder}/admin.sock mode 600 level {level} expose-fd listeners
    nbthread 1
    {global}
defaults
    mode http
    timeout connect 5s
    timeout client 60s
    timeout server 60s
    # A worker that ends after a reload tells its clients in its next answer, instead of closing connections on
    # which a request may be on its way.
    option idle-close-on-response
frontend front
    bind unix@{folder}/front.sock
    {frontend}
    default_backend web
backend web
    {backend}
    server app1 {app1} cookie app1
    server app2 127.0.0.1:8082 cookie app2
"
    )
}

/// The rows of a table whose first line, after `# `, names its columns.
fn rows(table: &str, separator: char) -> Vec<HashMap<String, String>> {
    let mut lines = table.lines();
    let names: Vec<&str> = lines
        .next()
        .expect("a header")
        .trim_start_matches("# ")
        .split(separator)
        .collect();
    lines
        .filter(|line| !line.is_empty())
        .map(|line| {
            names
                .iter()
                .zip(line.split(separator))
                .map(|(name, value)| ((*name).to_owned(), value.to_owned()))
                .collect()
        })
        .collect()
}
