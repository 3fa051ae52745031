//! A real HAProxy with connections to the server: a pool shared by all clients, or one for each.

use std::process::{Child, Command};
use std::time::{Duration, Instant};

use tempfile::TempDir;

pub(crate) struct HaProxy {
    pub(crate) port: u16,
    process: Child,
    _folder: TempDir,
}

impl Drop for HaProxy {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Starts it in front of the server on this port, with this `http-reuse`.
pub(crate) fn start(server: u16, reuse: &str) -> HaProxy {
    let folder = TempDir::new().expect("a folder");
    // HAProxy binds with SO_REUSEPORT, so it must not be a port that another test's HAProxy may take: one that
    // the kernel has just given out is not given out again soon.
    let free = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    let port = free.local_addr().expect("bound").port();
    drop(free);
    let configuration = folder.path().join("haproxy.cfg");
    let text = format!(
        "global\n  maxconn 5000\n\
         defaults\n  mode http\n  timeout connect 5s\n  timeout client 60s\n  timeout server 60s\n  http-reuse {reuse}\n\
         frontend clients\n  bind 127.0.0.1:{port}\n  default_backend servers\n\
         backend servers\n  server one 127.0.0.1:{server} pool-purge-delay 60s\n"
    );
    std::fs::write(&configuration, text).expect("a writable folder");
    let process = Command::new("haproxy")
        .arg("-db")
        .arg("-f")
        .arg(&configuration)
        .spawn();
    let process = process.expect("haproxy is installed (Debian package haproxy)");
    let haproxy = HaProxy {
        port,
        process,
        _folder: folder,
    };
    let patience = Instant::now() + Duration::from_secs(10);
    while std::net::TcpStream::connect(("127.0.0.1", port)).is_err() {
        assert!(Instant::now() < patience, "haproxy does not listen");
        std::thread::sleep(Duration::from_millis(20));
    }
    haproxy
}
