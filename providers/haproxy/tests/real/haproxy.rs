//! A real HAProxy for one test: its configuration and sockets in a directory of its own, dead at the end.

use std::io::{Read, Write};
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use lb_drain_api::{Host, LoadBalancer};
use lb_drain_haproxy::{Settings, connect};
use tempfile::TempDir;

/// How long HAProxy may take for what it does in milliseconds on an idle machine.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// A running HAProxy.
pub struct Haproxy {
    process: Child,
    directory: TempDir,
}

impl Haproxy {
    /// Starts HAProxy with these sections after `global` and `defaults`; `{dir}` stands for its directory.
    ///
    /// Sockets are `admin.sock`, `operator.sock`, `words.sock` and `numbers.sock` (severities), and
    /// `one.sock`, which takes one connection at a time. `None`: it is not installed, and that is said.
    pub fn start(sections: &str) -> Option<Self> {
        Self::run(sections, "", &[], None)
    }

    /// The same, unless this release refuses the configuration in these words, and that is said.
    pub fn start_unless(sections: &str, refusal: &str) -> Option<Self> {
        Self::run(sections, "", &[], Some(refusal))
    }

    /// The same under a master, whose socket is `master.sock`; states are kept in a file for a reload if
    /// `keep_state`.
    pub fn start_master(sections: &str, keep_state: bool) -> Option<Self> {
        let global = if keep_state {
            "server-state-file {dir}/state"
        } else {
            ""
        };
        Self::run(sections, global, &["-W", "-S", "{dir}/master.sock"], None)
    }

    fn run(sections: &str, global: &str, arguments: &[&str], unless: Option<&str>) -> Option<Self> {
        let program = std::env::var("HAPROXY_PROGRAM").unwrap_or_else(|_| "haproxy".to_owned());
        if let Err(error) = Command::new(&program).arg("-v").stdout(Stdio::null()).status() {
            assert!(
                std::env::var("CI").as_deref() != Ok("true"),
                "{program} does not start ({error}); install the package haproxy"
            );
            skipped(&format!(
                "{program} does not start ({error}); install the package haproxy"
            ));
            return None;
        }
        let directory = tempfile::tempdir().expect("a directory");
        let dir = directory.path().to_str().expect("a path");
        let state = if global.is_empty() {
            ""
        } else {
            "load-server-state-from-file global"
        };
        let configuration = format!(
            "global
  stats socket {{dir}}/admin.sock level admin
  stats socket {{dir}}/operator.sock level operator
  stats socket {{dir}}/words.sock level admin severity-output string
  stats socket {{dir}}/numbers.sock level admin severity-output number
  stats socket {{dir}}/one.sock level admin maxconn 1
  stats timeout 1m
  {global}
defaults
  mode http
  timeout connect 10s
  timeout client 1m
  timeout server 1m
  {state}
{sections}
"
        );
        let file = directory.path().join("haproxy.cfg");
        std::fs::write(&file, configuration.replace("{dir}", dir)).expect("written");
        if !state.is_empty() {
            std::fs::write(directory.path().join("state"), "").expect("written");
        }
        let log = std::fs::File::create(directory.path().join("log")).expect("a log");
        let process = Command::new(&program)
            .arg("-f")
            .arg(&file)
            .args(arguments.iter().map(|argument| argument.replace("{dir}", dir)))
            .stdin(Stdio::null())
            .stdout(log.try_clone().expect("a log"))
            .stderr(log)
            .spawn()
            .expect("spawned");
        let mut haproxy = Self { process, directory };
        let sockets = match arguments {
            [] => &["admin.sock"][..],
            _ => &["admin.sock", "master.sock"],
        };
        for &socket in sockets {
            let mut refused = false;
            until("HAProxy listens", || {
                if let Ok(Some(status)) = haproxy.process.try_wait() {
                    let log = std::fs::read_to_string(haproxy.path("log")).unwrap_or_default();
                    refused = unless.is_some_and(|refusal| log.contains(refusal));
                    assert!(refused, "haproxy ended with {status}: {log}");
                }
                // A master executes itself once more when it has started its worker, and resets connections.
                let command = if socket == "master.sock" {
                    "@1 show info"
                } else {
                    "show info"
                };
                refused || ask(&haproxy.socket(socket), command).is_ok_and(|info| info.contains("Pid: "))
            });
            if refused {
                skipped("this release of HAProxy refuses the configuration");
                return None;
            }
        }
        Some(haproxy)
    }

    /// A file of its directory.
    pub fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// A socket as it is configured.
    pub fn socket(&self, name: &str) -> String {
        self.path(name).to_str().expect("a path").to_owned()
    }

    /// What HAProxy itself says, by a client that is not the one under test.
    pub fn ask(&self, command: &str) -> String {
        ask(&self.socket("admin.sock"), command).expect("an answer")
    }

    /// One column of a server's row in `show servers state`.
    pub fn state(&self, server: &str, column: &str) -> String {
        let (backend, name) = server.split_once('/').expect("backend/server");
        let table = self.ask(&format!("show servers state {backend}"));
        let mut lines = table.lines().skip(1);
        let header = lines.next().expect("a header").trim_start_matches("# ");
        let place = header
            .split(' ')
            .position(|word| word == column)
            .expect("a column");
        let row = lines
            .map(|line| line.split(' ').collect::<Vec<_>>())
            .find(|row| row.get(3) == Some(&name));
        row.expect("a row")[place].to_owned()
    }

    /// `srv_admin_state` of a server.
    pub fn admin(&self, server: &str) -> u32 {
        self.state(server, "srv_admin_state").parse().expect("a number")
    }

    /// The load balancer at a socket of its directory, with these servers.
    pub fn balancer(&self, socket: &str, servers: &[&str]) -> Arc<dyn LoadBalancer> {
        self.balancer_with(socket, servers, |_| ())
    }

    /// The same, with more settings.
    pub fn balancer_with(
        &self,
        socket: &str,
        servers: &[&str],
        more: impl FnOnce(&mut Settings),
    ) -> Arc<dyn LoadBalancer> {
        let mut settings = Settings {
            sockets: vec![self.socket(socket)],
            servers: servers.iter().map(|&server| server.to_owned()).collect(),
            ..Settings::default()
        };
        more(&mut settings);
        let host = Host {
            ports: vec![8080],
            ..Host::default()
        };
        connect(settings, &host).expect("settings").remove(0)
    }

    /// Reloads a master, and waits until its new worker answers at both sockets.
    pub fn reload(&self) {
        let pid = |socket| {
            let info = ask(&self.socket(socket), "@1 show info;show info").ok()?;
            Some(
                info.lines()
                    .find_map(|line| line.strip_prefix("Pid: "))?
                    .to_owned(),
            )
        };
        let old = pid("admin.sock").expect("a worker");
        let _ = ask(&self.socket("master.sock"), "reload");
        until("a new worker answers", || {
            pid("admin.sock").is_some_and(|new| new != old)
        });
        until("the master passes on to it", || {
            pid("master.sock") == pid("admin.sock")
        });
    }

    /// Kills it; its directory, with dead sockets, lives on.
    pub fn kill(mut self) -> impl Drop {
        self.end();
        self
    }

    fn end(&mut self) {
        // A master ends its workers; killed, it could not.
        let pid = rustix::process::Pid::from_child(&self.process);
        let _ = rustix::process::kill_process(pid, rustix::process::Signal::TERM);
        let start = Instant::now();
        while start.elapsed() < Duration::from_secs(5) && matches!(self.process.try_wait(), Ok(None)) {
            std::thread::sleep(Duration::from_millis(5));
        }
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl Drop for Haproxy {
    fn drop(&mut self) {
        if matches!(self.process.try_wait(), Ok(None)) {
            self.end();
        }
    }
}

/// Not with `eprintln!`, which the test harness hides where a test passes.
fn skipped(reason: &str) {
    let _ = writeln!(std::io::stderr(), "SKIPPED: {reason}");
}

fn ask(socket: &str, command: &str) -> std::io::Result<String> {
    let mut stream = UnixStream::connect(socket)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.write_all(format!("{command}\n").as_bytes())?;
    stream.shutdown(Shutdown::Write)?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    Ok(answer)
}

/// Waits until something holds, and lets the test's own servers and clients go on meanwhile.
pub async fn eventually(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let start = Instant::now();
    while !holds().await {
        assert!(start.elapsed() < PATIENCE, "not within {PATIENCE:?}: {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// Waits until something holds.
fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let start = Instant::now();
    while !holds() {
        assert!(start.elapsed() < PATIENCE, "not within {PATIENCE:?}: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}
