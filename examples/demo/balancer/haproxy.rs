//! The real HAProxy, with the settings that distributions ship and health checks: it does what a load balancer can.

use std::ffi::OsStr;
use std::fs::File;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use tokio::net::TcpListener;
use tokio::process::{Child, Command};

use super::{BACKEND, CHECK_EVERY, CHECKS_TO_FALL};
use crate::service::Service;
use crate::{Result, children};

/// Where it is installed. `sbin` is not in everybody's `PATH`.
pub(super) fn find() -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .chain(["/usr/local/sbin".into(), "/usr/sbin".into()])
        .map(|directory| directory.join("haproxy"))
        .find(|program| program.is_file())
}

/// What it is, in a line.
pub(super) async fn about(program: &Path) -> Result<String> {
    let said = Command::new(program)
        .arg("-v")
        .kill_on_drop(true)
        .output()
        .await?
        .stdout;
    let said = String::from_utf8_lossy(&said);
    let version = said.split_whitespace().nth(2).unwrap_or("of an unknown version");
    Ok(format!(
        "the real HAProxy {version} ({}): round robin, health checks, redispatch",
        program.display()
    ))
}

/// Starts it with `listener`, which it inherits as its standard input: a port found free and bound again could be
/// somebody else's by then, and HAProxy would share it without a word (SO_REUSEPORT).
pub(super) fn start(
    program: &Path,
    listener: TcpListener,
    socket: &Path,
    copies: [&Service; 2],
    directory: &Path,
) -> Result<Child> {
    let listener = listener.into_std()?;
    let file = directory.join("haproxy.cfg");
    std::fs::write(&file, configuration(socket, copies))?;
    let arguments = ["-db".as_ref(), "-f".as_ref(), file.as_os_str()] as [&OsStr; 3];
    let child = children::follower(program, &arguments)
        .stdin(OwnedFd::from(listener))
        .stdout(Stdio::null())
        .stderr(File::create(log_file(directory))?)
        .spawn()?;
    Ok(child)
}

/// Where what it prints is kept.
pub(super) fn log_file(directory: &Path) -> PathBuf {
    directory.join("haproxy.log")
}

fn configuration(socket: &Path, copies: [&Service; 2]) -> String {
    let socket = socket.display();
    let check_ms = CHECK_EVERY.as_millis();
    let servers = copies.map(|copy| format!("    server {} {}\n", copy.name, copy.address));
    let servers = servers.concat();
    format!(
        "global
    stats socket {socket} mode 600 level admin
defaults
    mode http
    option redispatch
    retries 3
    timeout connect 2s
    timeout client 60s
    timeout server 60s
frontend front
    bind fd@0
    default_backend {BACKEND}
backend {BACKEND}
    balance roundrobin
    default-server check inter {check_ms}ms fall {CHECKS_TO_FALL} rise 1
{servers}"
    )
}
