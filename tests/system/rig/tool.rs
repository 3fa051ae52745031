//! `lb-drain` run directly in a network, without systemd.

use std::env;
use std::path::PathBuf;
use std::process::{Child, Output, Stdio};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

use lb_drain_test_support::secrets::assert_none;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use super::Network;

/// No budget in these tests is as long.
const PATIENCE: Duration = Duration::from_secs(45);

/// The binary under test.
pub(crate) fn binary() -> PathBuf {
    env::var_os("TESTED_BINARY").map_or_else(|| env!("CARGO_BIN_EXE_lb-drain").into(), PathBuf::from)
}

/// Starts it in this network.
pub(crate) fn lb_drain(network: &Network, arguments: &[&str]) -> Running {
    lb_drain_with(network, &[], arguments)
}

/// Starts it in this network, with these variables besides those of the test.
pub(crate) fn lb_drain_with(network: &Network, variables: &[(&str, &str)], arguments: &[&str]) -> Running {
    let mut command = network.command(binary());
    command
        .args(arguments)
        .envs(variables.iter().copied())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let started = Instant::now();
    let process = command.spawn().expect("setpriv starts");
    Running { process, started }
}

/// It runs. setpriv and nsenter have become it, so its process is our child.
pub(crate) struct Running {
    process: Child,
    pub(crate) started: Instant,
}

impl Running {
    #[allow(dead_code, reason = "tests/faults needs it")]
    pub(crate) fn id(&self) -> u32 {
        self.process.id()
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.process), signal).expect("it runs");
    }

    /// Waits for its end, which it is helped to when it overruns every budget of these tests.
    pub(crate) fn wait(self) -> Ended {
        let process = Pid::from_child(&self.process);
        let (_ended, patience) = mpsc::channel::<()>();
        thread::spawn(move || {
            if patience.recv_timeout(PATIENCE) == Err(RecvTimeoutError::Timeout) {
                let _ = kill_process(process, Signal::KILL);
            }
        });
        let Output {
            status,
            stdout,
            stderr,
        } = self.process.wait_with_output().expect("it is our child");
        let at = Instant::now();
        let ended = Ended {
            code: status.code(),
            at,
            elapsed: at - self.started,
            stdout: String::from_utf8(stdout).expect("UTF-8"),
            stderr: String::from_utf8(stderr).expect("UTF-8"),
        };
        // Whatever it is run for.
        assert_none(&ended.stdout);
        assert_none(&ended.stderr);
        ended
    }
}

/// How it ended.
#[derive(Debug)]
pub(crate) struct Ended {
    /// Its exit code; none where a signal killed it.
    pub(crate) code: Option<i32>,
    pub(crate) at: Instant,
    pub(crate) elapsed: Duration,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Ended {
    /// The object that `--output json` printed.
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.stdout)
            .unwrap_or_else(|error| panic!("not one JSON object: {error}: {self:#?}"))
    }

    /// Asserts its exit code, and shows everything where it is another.
    pub(crate) fn assert_code(&self, code: i32) -> &Self {
        assert_eq!(self.code, Some(code), "{self:#?}");
        self
    }
}
