//! What the fake answers to each command. Words and columns are those of HAProxy 2.6.

use std::fmt::Write;

use super::{Dialect, Model, Server};

const FORCED_MAINT: u32 = 0x01;
const FORCED_DRAIN: u32 = 0x08;

impl Model {
    /// Runs one line and returns its whole answer.
    pub(super) fn run(&mut self, line: &str) -> String {
        let mut answer = String::new();
        for command in line.split(';') {
            let command = command.trim_start();
            let (for_worker, command) = match command.strip_prefix("@1 ") {
                Some(command) => (true, command),
                None => (false, command),
            };
            if for_worker != (self.dialect == Dialect::Master) {
                answer += &self.unknown();
                continue;
            }
            answer += &self.command(command);
        }
        answer
    }

    fn command(&mut self, command: &str) -> String {
        let words = command.split_ascii_whitespace().collect::<Vec<_>>();
        match words.as_slice() {
            ["show", "info"] => format!(
                "Name: HAProxy\nVersion: 2.6.12\nPid: {}\nUptime_sec: 9\n\n",
                self.pid
            ),
            ["show", "cli", "level"] => self.message("info", "6", self.level),
            ["show", "servers", "state"] => self.states(None),
            ["show", "servers", "state", backend] => match self.has(backend) {
                true => self.states(Some(backend)),
                false => self.refusal("Can't find backend."),
            },
            ["show", "stat", "-1", "4", "-1"] => self.stats(None),
            ["show", "stat", proxy, "4", "-1"] if self.has(proxy) => self.stats(Some(proxy)),
            ["show", "stat", proxy, "4", "-1"] if proxy.parse::<u32>().is_ok() => self.stats(Some("")),
            ["show", "stat", _, "4", "-1"] => self.refusal("No such proxy."),
            ["set", "server", server, what @ ..] => self.change(server, |server| set(server, what)),
            ["shutdown", "sessions", "server", server] => self.change(server, |server| {
                server.current = 0;
                Ok(())
            }),
            _ => self.unknown(),
        }
    }

    fn has(&self, backend: &str) -> bool {
        self.servers.iter().any(|server| server.backend == backend)
    }

    fn change(&mut self, name: &str, change: impl FnOnce(&mut Server) -> Result<(), &'static str>) -> String {
        if self.level != "admin" {
            return self.refusal("Permission denied");
        }
        let Some((backend, name)) = name.split_once('/') else {
            return self.refusal("Require 'backend/server'.");
        };
        if !self.has(backend) {
            return self.refusal("No such backend.");
        }
        let server = self
            .servers
            .iter_mut()
            .find(|server| server.backend == backend && server.name == name);
        match server.map(change) {
            None => self.refusal("No such server."),
            Some(Err(why)) => self.refusal(why),
            Some(Ok(())) => "\n".to_owned(),
        }
    }

    fn refusal(&self, text: &str) -> String {
        self.message("err", "3", text)
    }

    fn unknown(&self) -> String {
        let text = "Unknown command, but maybe one of the following ones is a better match:\n  help";
        self.message("info", "6", text)
    }

    fn message(&self, word: &str, number: &str, text: &str) -> String {
        match self.dialect {
            Dialect::Worker | Dialect::Master => format!("{text}\n\n"),
            Dialect::Words => format!("[{word}]: {text}\n\n"),
            Dialect::Numbers => format!("[{number}]: {text}\n\n"),
        }
    }

    fn states(&self, backend: Option<&str>) -> String {
        let mut table = "1\n# be_id be_name srv_id srv_name srv_addr srv_op_state srv_admin_state srv_uweight srv_iweight srv_time_since_last_change srv_check_status srv_check_result srv_check_health srv_check_state srv_agent_state bk_f_forced_id srv_f_forced_id srv_fqdn srv_port srvrecord srv_use_ssl srv_check_port srv_check_addr srv_agent_addr srv_agent_port\n".to_owned();
        for (number, server) in self.of(backend) {
            let Server {
                backend,
                name,
                address,
                port,
                running,
                admin,
                weight,
                configured_weight,
                ..
            } = server;
            let _ = writeln!(
                table,
                "3 {backend} {number} {name} {address} {running} {admin} {weight} {configured_weight} 5 1 0 2 0 0 0 0 - {port} - 0 0 - - 0"
            );
        }
        table + "\n"
    }

    fn stats(&self, backend: Option<&str>) -> String {
        let mut table =
            "# pxname,svname,qcur,qmax,scur,smax,slim,stot,status,weight,last_agt,cookie,\n".to_owned();
        for (_, server) in self.of(backend) {
            let Server {
                backend,
                name,
                queued,
                current,
                weight,
                ..
            } = server;
            let status = server.status();
            let _ = writeln!(
                table,
                "{backend},{name},{queued},9,{current},9,,99,{status},{weight},\"up (\"\"fine\"\", all)\",,"
            );
        }
        table + "\n"
    }

    fn of(&self, backend: Option<&str>) -> impl Iterator<Item = (usize, &Server)> {
        let wanted = move |server: &&Server| backend.is_none_or(|backend| server.backend == backend);
        self.servers
            .iter()
            .filter(wanted)
            .enumerate()
            .map(|(index, server)| (index + 1, server))
    }
}

impl Server {
    fn status(&self) -> &'static str {
        match self.admin {
            admin if admin & 0x20 != 0 => "MAINT (resolution)",
            admin if admin & 0x02 != 0 => "MAINT (via web/other)",
            admin if admin & FORCED_MAINT != 0 => "MAINT",
            _ if self.running == 0 => "DOWN",
            admin if admin & 0x18 != 0 => "DRAIN",
            _ if self.running == 3 => "NOLB",
            _ => "no check",
        }
    }
}

/// Sets one of the forced states or none: each clears the other one's bit, and neither touches what is
/// inherited. A server in maintenance is stopped; without health checks it runs as soon as it is not.
fn put(server: &mut Server, forced: u32) {
    if forced == FORCED_MAINT {
        server.running = 0;
    } else if server.admin & FORCED_MAINT != 0 {
        server.running = 2;
    }
    server.admin = server.admin & !(FORCED_MAINT | FORCED_DRAIN) | forced;
}

/// `set server …`.
fn set(server: &mut Server, what: &[&str]) -> Result<(), &'static str> {
    match what {
        ["state", "ready"] => put(server, 0),
        ["state", "drain"] => put(server, FORCED_DRAIN),
        ["state", "maint"] => put(server, FORCED_MAINT),
        ["state", ..] => return Err("'set server <srv> state' expects 'ready', 'drain' and 'maint'."),
        ["weight", "100%"] => server.weight = server.configured_weight,
        ["weight", "0%"] => server.weight = 0,
        ["weight", weight] => match weight.parse() {
            Ok(weight @ 0..=256) => server.weight = weight,
            _ => return Err("Absolute weight can only be between 0 and 256 inclusive."),
        },
        _ => return Err("usage: set server <backend>/<server> addr | agent | state | weight"),
    }
    Ok(())
}
