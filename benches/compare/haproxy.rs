//! Leaving a real HAProxy in which nothing is in flight.

use std::path::Path;
use std::process::Command;

use crate::build;
use crate::edge::Haproxy;
use crate::limits::Limits;
use crate::side::{Side, Table, compare};

/// The command that leaves it, by this binary.
pub(crate) fn leave(binary: &Path, haproxy: &Haproxy) -> Command {
    let mut command = Command::new(binary);
    command
        .args(["deregister", "--haproxy-server", "web/app1", "--haproxy"])
        .arg(haproxy.socket(0))
        .env("LB_DRAIN_STATE_DIR", haproxy.folder());
    command
}

const LINE: &str = "set server web/app1 state drain\n";

/// Prints the table.
pub(crate) fn run(limits: &mut Limits) {
    let haproxy = &Haproxy::start(1, "127.0.0.1:1");
    let socket = haproxy.socket(0).display().to_string();
    let bare = build::c("drain", haproxy.folder());
    let line = haproxy.folder().join("line");
    std::fs::write(&line, LINE).expect("written");
    let sides = [
        Side::new("lb-drain: state, drain, verify, in flight", || {
            leave(build::lb_drain(), haproxy)
        }),
        Side::new("echo … | socat, as a shell runs it", || {
            let mut command = Command::new("sh");
            command
                .arg("-c")
                .arg(format!("echo '{}' | socat - {socket}", LINE.trim()));
            command
        })
        .at_most(0.45),
        Side::new("socat, the line on its standard input", || {
            let mut command = Command::new("socat");
            command.args(["-", &socket]);
            command
        })
        .reading(&line)
        .at_most(0.6),
        Side::new("C: connect, write the line, read to the end", || {
            let mut command = Command::new(&bare);
            command.arg(&socket);
            command
        })
        .at_most(3.5),
    ];
    let table = Table {
        title: "HAProxy, nothing in flight",
        runs: 101,
        memory: 8.0,
    };
    compare(&table, &|| haproxy.put_in(), &sides, limits);
}
