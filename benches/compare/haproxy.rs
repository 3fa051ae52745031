//! Leaving a real HAProxy in which nothing is in flight.

use std::fs::File;
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::side::{Side, compare, lb_drain, memory_folder};

const RUNS: usize = 101;

const LINE: &str = "set server web/app1 state drain\n";

/// Prints the table.
pub(crate) fn run() {
    let haproxy = Haproxy::start();
    let socket = haproxy.socket.display().to_string();
    let bare = bare_c(haproxy.folder.path());
    let line = haproxy.folder.path().join("line");
    std::fs::write(&line, LINE).expect("written");
    let sides = [
        Side::new("lb-drain: state, drain, verify, in flight", || {
            let mut command = lb_drain(haproxy.folder.path());
            command.args(["--haproxy", &socket, "--haproxy-server", "web/app1"]);
            command
        }),
        Side::new("socat, the line on its standard input", || {
            let mut command = Command::new("socat");
            command
                .args(["-", &socket])
                .stdin(File::open(&line).expect("just written"));
            command
        }),
        Side::new("echo … | socat, as a shell runs it", || {
            let mut command = Command::new("sh");
            command
                .arg("-c")
                .arg(format!("echo '{}' | socat - {socket}", LINE.trim()));
            command
        }),
        Side::new("C: connect, write the line, read to the end", || {
            let mut command = Command::new(&bare);
            command.arg(&socket);
            command
        }),
    ];
    compare(
        "HAProxy, nothing in flight",
        RUNS,
        &|| haproxy.tell("set server web/app1 state ready\n"),
        &sides,
    );
}

/// The least that a process can do to send one line: `drain.c`, built here.
fn bare_c(folder: &Path) -> PathBuf {
    let program = folder.join("drain");
    let built = Command::new("cc")
        .args(["-O2", "-o"])
        .arg(&program)
        .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/benches/compare/drain.c"))
        .status()
        .expect("cc is installed");
    assert!(built.success(), "cc: {built}");
    program
}

struct Haproxy {
    process: Child,
    socket: PathBuf,
    folder: TempDir,
}

impl Haproxy {
    fn start() -> Self {
        let folder = memory_folder();
        let socket = folder.path().join("admin.sock");
        let configuration = folder.path().join("haproxy.cfg");
        let text = format!(
            "global\n  stats socket {} level admin\n\
             defaults\n  mode http\n  timeout client 5s\n  timeout server 5s\n  timeout connect 1s\n\
             frontend clients\n  bind unix@{}\n  default_backend web\n\
             backend web\n  server app1 127.0.0.1:1\n  server app2 127.0.0.1:2\n",
            socket.display(),
            folder.path().join("clients.sock").display()
        );
        std::fs::write(&configuration, text).expect("written");
        let process = Command::new("haproxy")
            .arg("-db")
            .arg("-f")
            .arg(&configuration)
            .stderr(Stdio::null())
            .spawn()
            .expect("haproxy is installed");
        let patience = Instant::now() + Duration::from_secs(10);
        while UnixStream::connect(&socket).is_err() {
            assert!(Instant::now() < patience, "haproxy does not listen");
            std::thread::sleep(Duration::from_millis(10));
        }
        Self {
            process,
            socket,
            folder,
        }
    }

    fn tell(&self, line: &str) {
        let mut stream = UnixStream::connect(&self.socket).expect("it listens");
        stream.write_all(line.as_bytes()).expect("written");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("an answer");
        assert!(answer.trim().is_empty(), "{answer}");
    }
}

impl Drop for Haproxy {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
