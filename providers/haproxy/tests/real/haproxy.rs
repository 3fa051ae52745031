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
        Self::run(sections, "", &[])
    }

    /// The same under a master, whose socket is `master.sock`; states are kept in a file for a reload if
    /// `keep_state`.
    pub fn start_master(sections: &str, keep_state: bool) -> Option<Self> {
        let global = if keep_state {
            "server-state-file {dir}/state"
        } else {
            ""
        };
        Self::run(sections, global, &["-W", "-S", "{dir}/master.sock"])
    }

    fn run(sections: &str, global: &str, arguments: &[&str]) -> Option<Self> {
        let program = std::env::var("HAPROXY_PROGRAM").unwrap_or_else(|_| "haproxy".to_owned());
        if let Err(error) = Command::new(&program).arg("-v").stdout(Stdio::null()).status() {
            assert!(
                std::env::var("CI").as_deref() != Ok("true"),
                "{program} does not start ({error}); install the package haproxy"
            );
            // Not with `eprintln!`, which the test harness hides where a test passes.
            let _ = writeln!(
                std::io::stderr(),
                "SKIPPED: {program} does not start ({error}); install the package haproxy"
            );
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
        let sockets = if arguments.is_empty() {
            &["admin.sock"][..]
        } else {
            &["admin.sock", "master.sock"]
        };
        for socket in sockets {
            until("HAProxy listens", || {
                if let Ok(Some(status)) = haproxy.process.try_wait() {
                    let log = std::fs::read_to_string(haproxy.path("log")).unwrap_or_default();
                    panic!("haproxy ended with {status}: {log}");
                }
                UnixStream::connect(haproxy.path(socket)).is_ok()
            });
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

    /// Reloads a master: a new worker, or an error in the configuration.
    pub fn reload(&self) {
        let pid = self.worker();
        let _ = ask(&self.socket("master.sock"), "reload");
        until("a new worker answers", || {
            self.worker().is_some_and(|new| Some(new) != pid)
        });
    }

    fn worker(&self) -> Option<String> {
        let info = ask(&self.socket("admin.sock"), "show info").ok()?;
        Some(
            info.lines()
                .find_map(|line| line.strip_prefix("Pid: "))?
                .to_owned(),
        )
    }
}

impl Drop for Haproxy {
    fn drop(&mut self) {
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

fn ask(socket: &str, command: &str) -> std::io::Result<String> {
    let mut stream = UnixStream::connect(socket)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.write_all(format!("{command}\n").as_bytes())?;
    stream.shutdown(Shutdown::Write)?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    Ok(answer)
}

/// Waits until something holds.
pub fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let start = Instant::now();
    while !holds() {
        assert!(start.elapsed() < PATIENCE, "not within {PATIENCE:?}: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}
