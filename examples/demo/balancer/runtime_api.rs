//! HAProxy's runtime API, as far as `lb-drain` and the demo use it, over the built-in load balancer's servers.
//!
//! Formats and texts: HAProxy management guide, sections 9.1 (CSV) and 9.3 (commands); compared with HAProxy 2.6.

use std::fmt::Write as _;
use std::io;
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::{UnixListener, UnixStream};

use super::BACKEND;
use super::servers::{Admin, Server, Servers};

/// The columns of `show stat` that are known here; readers go by their names. HAProxy has some hundred.
const STAT_COLUMNS: &str =
    "# pxname,svname,qcur,qmax,scur,smax,slim,stot,status,weight,lastchg,type,addr,mode,\n";

/// Version and columns of `show servers state`.
const STATE_COLUMNS: &str = "1\n# be_id be_name srv_id srv_name srv_addr srv_op_state srv_admin_state \
    srv_uweight srv_iweight srv_time_since_last_change srv_check_status srv_check_result srv_check_health \
    srv_check_state srv_agent_state bk_f_forced_id srv_f_forced_id srv_fqdn srv_port srvrecord srv_use_ssl \
    srv_check_port srv_check_addr srv_agent_addr srv_agent_port\n";

/// The weight each server was configured with.
const CONFIGURED_WEIGHT: u32 = 1;

/// HAProxy's greatest weight.
const GREATEST_WEIGHT: u32 = 256;

/// Serves operators for ever.
pub(super) async fn serve(listener: UnixListener, servers: Servers) {
    loop {
        match listener.accept().await {
            // An operator who hangs up concerns nobody else.
            Ok((operator, _)) => drop(tokio::spawn(serve_one(operator, servers.clone()))),
            Err(_) => tokio::time::sleep(Duration::from_millis(10)).await,
        }
    }
}

/// One line for a connection; each of its commands is answered, and an empty line follows.
async fn serve_one(operator: UnixStream, servers: Servers) -> io::Result<()> {
    let mut operator = BufReader::new(operator);
    let mut line = String::new();
    operator.read_line(&mut line).await?;
    if !line.ends_with('\n') {
        return Ok(());
    }
    let mut answer = String::new();
    for command in line.split(';') {
        answer += &run(command, &servers);
        answer.push('\n');
    }
    operator.write_all(answer.as_bytes()).await
}

/// What a command answers. Success is silent.
fn run(command: &str, servers: &Servers) -> String {
    let words: Vec<&str> = command.split_whitespace().collect();
    match *words {
        ["show", "cli", "level"] => "admin\n".to_owned(),
        ["show", "info"] => info(),
        // One of all proxies, or all (-1); of type 4, servers (there is nothing else to show here); all of them.
        ["show", "stat"] | ["show", "stat", BACKEND | "-1", "4", "-1"] => stat(&servers.lock()),
        ["show", "stat", _, "4", "-1"] => "No such proxy.\n".to_owned(),
        ["show", "servers", "state"] | ["show", "servers", "state", BACKEND] => state(&servers.lock()),
        ["show", "servers", "state", _] => "Can't find backend.\n".to_owned(),
        ["set", "server", target, "state", state] => on(target, servers, |server| set_state(server, state)),
        ["set", "server", target, "weight", weight] => {
            on(target, servers, |server| set_weight(server, weight))
        }
        ["shutdown", "sessions", "server", target] => on(target, servers, |server| {
            server.cut.notify_waiters();
            Ok(())
        }),
        _ => "Unknown command. Please enter one of the following commands only:\n\
            show cli level, show info, show stat, show servers state,\n\
            set server <bk>/<srv> state|weight, shutdown sessions server <bk>/<srv>\n"
            .to_owned(),
    }
}

/// Runs `change` on the server that `target` names.
fn on(
    target: &str,
    servers: &Servers,
    change: impl FnOnce(&mut Server) -> Result<(), &'static str>,
) -> String {
    let found = match target.split_once('/') {
        None => Err("Require 'backend/server'."),
        Some((BACKEND, name)) => {
            let mut servers = servers.lock();
            let server = servers.iter_mut().find(|server| server.name == name);
            server.ok_or("No such server.").and_then(change)
        }
        Some(_) => Err("No such backend."),
    };
    found.map_or_else(|refusal| format!("{refusal}\n"), |()| String::new())
}

fn set_state(server: &mut Server, state: &str) -> Result<(), &'static str> {
    server.administer(match state {
        "ready" => Admin::Ready,
        "drain" => Admin::Drain,
        "maint" => Admin::Maint,
        _ => return Err("'set server <srv> state' expects 'ready', 'drain' and 'maint'."),
    });
    Ok(())
}

/// An absolute weight, or a percentage of the configured one.
fn set_weight(server: &mut Server, weight: &str) -> Result<(), &'static str> {
    let weight = match weight.strip_suffix('%') {
        Some(percent) => percent
            .parse()
            .map(|percent: u32| CONFIGURED_WEIGHT * percent / 100),
        None => weight.parse(),
    };
    server.weight = weight.map_err(|_| "Empty weight string empty or preceded by garbage")?;
    server.weight = server.weight.min(GREATEST_WEIGHT);
    Ok(())
}

fn info() -> String {
    format!(
        "Name: HAProxy\nVersion: 2.6.12-demo\nPid: {}\nStopping: 0\n",
        std::process::id()
    )
}

fn stat(servers: &[Server]) -> String {
    let mut answer = STAT_COLUMNS.to_owned();
    for server in servers {
        let status = match (server.admin, server.up) {
            (Admin::Maint, _) => "MAINT",
            (_, false) => "DOWN",
            (Admin::Drain, true) => "DRAIN",
            (Admin::Ready, true) => "UP",
        };
        let (name, address, weight) = (server.name, server.address, server.weight);
        let (now, most, all) = (server.sessions, server.most_sessions, server.all_sessions);
        let changed = server.changed.elapsed().as_secs();
        // Writing to a String does not fail.
        let _ = writeln!(
            answer,
            "{BACKEND},{name},0,0,{now},{most},,{all},{status},{weight},{changed},2,{address},http,"
        );
    }
    answer
}

fn state(servers: &[Server]) -> String {
    let mut answer = STATE_COLUMNS.to_owned();
    for (id, server) in (1..).zip(servers) {
        let admin = match server.admin {
            Admin::Ready => 0,
            Admin::Maint => 1,
            Admin::Drain => 8,
        };
        let operational = if server.up && server.admin != Admin::Maint {
            2
        } else {
            0
        };
        let (name, weight) = (server.name, server.weight);
        let (host, port) = (server.address.ip(), server.address.port());
        let changed = server.changed.elapsed().as_secs();
        // Writing to a String does not fail.
        let _ = writeln!(
            answer,
            "3 {BACKEND} {id} {name} {host} {operational} {admin} {weight} {CONFIGURED_WEIGHT} {changed} \
             6 3 2 6 0 0 0 - {port} - 0 0 - - 0"
        );
    }
    answer
}
