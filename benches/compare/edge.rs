//! A real HAProxy.

use std::fs::{self, File};
use std::io::{Read, Write};
use std::os::unix::fs::FileExt;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::side::memory_folder;

/// One with a backend `web` that has the servers `app1` and `app2`. It ends when this is dropped.
pub(crate) struct Haproxy {
    process: Child,
    folder: TempDir,
}

impl Haproxy {
    /// With so many admin sockets, and `app1` at this address.
    pub(crate) fn start(sockets: usize, app1: &str) -> Self {
        let folder = memory_folder();
        let path = folder.path().display();
        let sockets: String = (0..sockets)
            .map(|number| format!("  stats socket {path}/admin{number}.sock level admin\n"))
            .collect();
        let text = format!(
            "global\n  stats maxconn 2000\n{sockets}\
             defaults\n  mode http\n  timeout client 60s\n  timeout server 60s\n  timeout connect 1s\n\
             frontend clients\n  bind unix@{path}/clients.sock\n  default_backend web\n\
             backend web\n  server app1 {app1}\n  server app2 127.0.0.1:2 disabled\n"
        );
        let configuration = folder.path().join("haproxy.cfg");
        fs::write(&configuration, text).expect("written");
        let process = Command::new("haproxy")
            .arg("-db")
            .arg("-f")
            .arg(&configuration)
            .stderr(Stdio::null())
            .spawn()
            .expect("haproxy is installed");
        let this = Self { process, folder };
        let patience = Instant::now() + Duration::from_secs(10);
        while UnixStream::connect(this.socket(0)).is_err() {
            assert!(Instant::now() < patience, "haproxy does not listen");
            std::thread::sleep(Duration::from_millis(10));
        }
        this
    }

    /// Makes it one that has run for hours, as most have that a host leaves: by what it remembers of its start, in its
    /// memory. To wait for it would take an hour.
    pub(crate) fn grow_old(&self) {
        let process = PathBuf::from(format!("/proc/{}", self.process.id()));
        let run = Command::new("nm")
            .args(["--dynamic", "--defined-only"])
            .arg(process.join("exe"))
            .output()
            .expect("nm is installed");
        let symbols = String::from_utf8(run.stdout).expect("names");
        let maps = fs::read_to_string(process.join("maps")).expect("it runs");
        let base = maps.split('-').next().and_then(hexadecimal).expect("an address");
        let memory = File::options()
            .read(true)
            .write(true)
            .open(process.join("mem"))
            .expect("a process of ours");
        // In seconds up to 2.7, and in nanoseconds since.
        for (name, unit) in [("start_date", 1), ("start_time_ns", 1_000_000_000)] {
            let found = symbols
                .lines()
                .find_map(|line| line.strip_suffix(name)?.split(' ').next().and_then(hexadecimal));
            let Some(offset) = found else { continue };
            let mut start = [0; 8];
            memory.read_exact_at(&mut start, base + offset).expect("mapped");
            let start = u64::from_ne_bytes(start).wrapping_sub(HOURS.as_secs() * unit);
            memory
                .write_all_at(&start.to_ne_bytes(), base + offset)
                .expect("mapped");
        }
        let uptime = self.ask("show info\n");
        let uptime = uptime.lines().find_map(|line| line.strip_prefix("Uptime_sec: "));
        let uptime = uptime.and_then(|seconds| seconds.parse().ok()).unwrap_or(0);
        assert!(
            uptime >= HOURS.as_secs(),
            "this HAProxy keeps its start elsewhere"
        );
    }

    /// A folder in memory that lives as long.
    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// One of its admin sockets.
    pub(crate) fn socket(&self, number: usize) -> PathBuf {
        self.folder.path().join(format!("admin{number}.sock"))
    }

    /// Where its clients connect.
    pub(crate) fn clients(&self) -> PathBuf {
        self.folder.path().join("clients.sock")
    }

    /// Puts `app1` into rotation.
    pub(crate) fn put_in(&self) {
        let answer = self.ask("set server web/app1 state ready\n");
        assert!(answer.trim().is_empty(), "{answer}");
    }

    fn ask(&self, line: &str) -> String {
        let mut stream = UnixStream::connect(self.socket(0)).expect("it listens");
        stream.write_all(line.as_bytes()).expect("written");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("an answer");
        answer
    }
}

const HOURS: Duration = Duration::from_secs(2 * 60 * 60);

fn hexadecimal(digits: &str) -> Option<u64> {
    u64::from_str_radix(digits, 16).ok()
}

impl Drop for Haproxy {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
