//! A real HAProxy.

use std::fs;
use std::io::{Read, Write};
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

impl Drop for Haproxy {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
