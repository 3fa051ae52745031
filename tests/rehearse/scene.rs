//! Two services behind a load balancer that takes its time, and `lb-drain` beside the first.

use std::fs;
use std::io::{BufRead, BufReader};
use std::net::{SocketAddr, TcpListener};
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use lb_drain_test_support::balancer::{Manner, SlowBalancer};
use lb_drain_test_support::slow_service;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tempfile::TempDir;

/// No rehearsal here takes as long.
const PATIENCE: Duration = Duration::from_secs(60);

/// All of it; the services and the load balancer are threads of the test.
pub(crate) struct Scene {
    pub(crate) balancer: SlowBalancer,
    pub(crate) folder: TempDir,
    port: u16,
}

impl Scene {
    pub(crate) fn new(manner: Manner) -> Self {
        let [one, two] = ["app1", "app2"].map(service);
        Self::between(one, two, manner)
    }

    /// One where this host is the only one.
    pub(crate) fn alone() -> Self {
        let one = service("app1");
        Self::between(one, one, Manner::default())
    }

    fn between(one: SocketAddr, two: SocketAddr, manner: Manner) -> Self {
        let balancer = SlowBalancer::start([one, two], manner);
        let folder = tempfile::tempdir().expect("a folder");
        let text = format!(
            "ports = [{}]\nquiet = \"300ms\"\nbudget = \"10s\"\n[[load_balancer]]\nname = \"edge\"\nprovider = \"http\"\n\
             deregister = {{ method = \"PUT\", url = \"{control}/out\" }}\nregister = {{ method = \"PUT\", url = \"{control}/in\" }}\n",
            one.port(),
            control = balancer.control()
        );
        fs::write(folder.path().join("lb-drain.toml"), text).expect("writes the configuration");
        Self {
            balancer,
            folder,
            port: one.port(),
        }
    }

    /// With more in the configuration.
    pub(crate) fn with_configuration(self, more: &str) -> Self {
        let path = self.path("lb-drain.toml");
        let text = fs::read_to_string(&path).expect("reads the configuration");
        fs::write(path, text + more).expect("writes the configuration");
        self
    }

    /// With this configuration and no other.
    pub(crate) fn configured(self, text: &str) -> Self {
        fs::write(self.path("lb-drain.toml"), text).expect("writes the configuration");
        self
    }

    /// A `systemctl` of this scene's own, which only takes its time, since nothing here is a unit.
    pub(crate) fn with_systemctl(self, script: &str) -> Self {
        let path = self.folder.path().join("systemctl");
        fs::write(&path, format!("#!/bin/sh\n{script}\n")).expect("writes the script");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).expect("it is ours");
        self
    }

    pub(crate) fn url(&self, millis: u64) -> String {
        format!("http://{}/sleep/{millis}", self.balancer.front())
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// A command of the tool, with this scene's configuration and record.
    pub(crate) fn command(&self, verb: &str) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_lb-drain"));
        let path = std::env::var("PATH").unwrap_or_default();
        command
            .env("PATH", format!("{}:{path}", self.folder.path().display()))
            .arg(verb)
            .arg("--config")
            .arg(self.path("lb-drain.toml"))
            .arg("--state-dir")
            .arg(self.path("state"));
        command
    }

    /// Starts a rehearsal with these options more.
    pub(crate) fn rehearse(&self, options: &[&str]) -> Running {
        self.rehearse_with(&[], options)
    }

    /// Starts a rehearsal with these variables and these options more.
    pub(crate) fn rehearse_with(&self, variables: &[(&str, &str)], options: &[&str]) -> Running {
        let mut command = self.command("rehearse");
        command
            .args(["--output", "json", "-v"])
            .args(options)
            .envs(variables.iter().copied())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut process = command.spawn().expect("lb-drain starts");
        let lines = Arc::new(Mutex::new(Vec::new()));
        let stderr = process.stderr.take().expect("piped");
        let reading = {
            let lines = Arc::clone(&lines);
            thread::spawn(move || {
                for line in BufReader::new(stderr).lines().map_while(Result::ok) {
                    lines.lock().expect("no panic").push(line);
                }
            })
        };
        Running {
            process,
            lines,
            reading,
        }
    }

    /// The service's port here.
    pub(crate) fn port(&self) -> u16 {
        self.port
    }
}

fn service(name: &'static str) -> SocketAddr {
    let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a free port");
    let address = listener.local_addr().expect("it is bound");
    thread::spawn(move || slow_service::serve(&listener, name));
    address
}

/// A rehearsal that runs.
pub(crate) struct Running {
    process: Child,
    lines: Arc<Mutex<Vec<String>>>,
    reading: thread::JoinHandle<()>,
}

/// How it ended.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) code: Option<i32>,
    pub(crate) report: Value,
    pub(crate) lines: Vec<String>,
    pub(crate) stdout: String,
}

impl Running {
    /// Waits until it has said so.
    pub(crate) fn until_it_says(&self, text: &str) {
        let end = Instant::now() + PATIENCE;
        while !self
            .lines
            .lock()
            .expect("no panic")
            .iter()
            .any(|line| line.contains(text))
        {
            assert!(Instant::now() < end, "never said {text:?}: {:#?}", self.lines);
            thread::sleep(Duration::from_millis(5));
        }
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.process), signal).expect("it runs");
    }

    pub(crate) fn has_ended(&mut self) -> bool {
        self.process.try_wait().expect("it is our child").is_some()
    }

    pub(crate) fn wait(self) -> Ended {
        let output = self.process.wait_with_output().expect("it is our child");
        self.reading.join().expect("no panic");
        let lines = self.lines.lock().expect("no panic").clone();
        let text = String::from_utf8(output.stdout).expect("UTF-8");
        Ended {
            code: output.status.code(),
            report: serde_json::from_str(&text)
                .unwrap_or_else(|error| panic!("{error}: {text:?} {lines:#?}")),
            lines,
            stdout: text,
        }
    }
}

impl Ended {
    /// A number of the report.
    pub(crate) fn number(&self, name: &str) -> u64 {
        self.report[name]
            .as_u64()
            .unwrap_or_else(|| panic!("no {name}: {self:#?}"))
    }

    /// The troubles of the report.
    pub(crate) fn troubles(&self) -> String {
        self.report["troubles"].to_string()
    }

    /// How many requests were sent in a phase, where there was one.
    pub(crate) fn sent_in(&self, phase: &str) -> Option<u64> {
        let phases = self.report["phases"].as_array()?;
        phases.iter().find(|each| each["phase"] == phase)?["sent"].as_u64()
    }

    pub(crate) fn assert_code(&self, code: i32) -> &Self {
        assert_eq!(self.code, Some(code), "{self:#?}");
        self
    }
}
