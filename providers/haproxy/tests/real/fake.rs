//! The fake HAProxy of the other tests answers as the real one does.

use std::io::{Read, Write};
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::path::Path;

use lb_drain_test_support::haproxy as fake;

use crate::haproxy::{Haproxy, PATIENCE};

const SECTIONS: &str = "
backend web
  server app1 10.0.0.7:8080 weight 20
  server app2 [2001:db8::7]:8081
backend api
  server app1 10.0.0.7:8080
";

/// Run one after the other, so that each sees what the ones before have done.
const LINES: &[&str] = &[
    "show cli level",
    "show servers state",
    "show servers state web;show stat web 4 -1",
    "show servers state nope;show stat nope 4 -1;show servers state api",
    "show stat -1 4 -1",
    "show stat 99 4 -1",
    "set server web/app1 state drain;show servers state web;show stat web 4 -1",
    "set server web/app1 state drain;show servers state web",
    "set server web/app1 state maint;show servers state web;show stat web 4 -1",
    "set server web/app1 state drain;show servers state web",
    "set server web/app1 state ready;show servers state web;show stat web 4 -1",
    "set server web/app1 weight 7;show servers state web",
    "set server web/app1 weight 0%;show servers state web",
    "set server web/app1 weight 100%;show servers state web",
    "set server web/app1 weight 300",
    "set server web/app1 state odd",
    "set server web/nope state drain",
    "set server nope/app1 state drain",
    "set server nope state drain",
    "shutdown sessions server web/app1",
    "shutdown sessions server web/nope",
    "frobnicate",
];

fn ask(socket: &Path, line: &str) -> String {
    let mut stream = UnixStream::connect(socket).expect("connects");
    stream.set_read_timeout(Some(PATIENCE)).expect("a limit");
    stream.write_all(format!("{line}\n").as_bytes()).expect("sent");
    stream.shutdown(Shutdown::Write).expect("closed");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("answered");
    answer
}

/// An answer without what differs between two processes: of tables the columns that are read, of help nothing.
fn essence(answer: &str) -> Vec<String> {
    const READ: [&str; 14] = [
        "be_name",
        "srv_name",
        "srv_addr",
        "srv_op_state",
        "srv_admin_state",
        "srv_uweight",
        "srv_iweight",
        "srv_port",
        "pxname",
        "svname",
        "qcur",
        "scur",
        "status",
        "weight",
    ];
    let mut essence = Vec::new();
    let mut header: Option<(char, Vec<&str>)> = None;
    for line in answer.lines() {
        if line.is_empty() {
            header = None;
            essence.push(String::new());
        } else if let Some(names) = line.strip_prefix("# ") {
            let separator = if names.contains(',') { ',' } else { ' ' };
            header = Some((separator, names.split(separator).collect()));
        } else if let Some((separator, names)) = &header {
            let row = names.iter().zip(line.split(*separator));
            let row = row.filter(|(name, _)| READ.contains(name));
            // Up to 2.3 the master's own plumbing is shown.
            if line.contains(" MASTER ") {
                continue;
            }
            essence.push(
                row.map(|(name, field)| format!("{name}={field}"))
                    .collect::<Vec<_>>()
                    .join(" "),
            );
        } else if line.contains("Unknown command") {
            let severity = line.split("Unknown").next().unwrap_or_default();
            essence.push(format!(
                "{} Unknown command",
                severity.trim_matches(|c: char| c.is_ascii_alphanumeric())
            ));
        } else if !line.starts_with("  ") {
            essence.push(line.to_owned());
        }
    }
    essence
}

fn servers() -> Vec<fake::Server> {
    let app1 = fake::Server {
        weight: 20,
        configured_weight: 20,
        ..fake::Server::new("web/app1", "10.0.0.7:8080")
    };
    vec![
        app1,
        fake::Server::new("web/app2", "[2001:db8::7]:8081"),
        fake::Server::new("api/app1", "10.0.0.7:8080"),
    ]
}

async fn same(real: &Haproxy, socket: &str, dialect: fake::Dialect, level: &'static str, prefix: &str) {
    let fake = fake::Haproxy::start(dialect, servers()).await;
    fake.model().level = level;
    for line in LINES {
        let line = line
            .split(';')
            .map(|command| format!("{prefix}{command}"))
            .collect::<Vec<_>>()
            .join(";");
        let path = fake.socket();
        let asked = line.clone();
        let answered = tokio::task::spawn_blocking(move || ask(&path, &asked))
            .await
            .expect("answers");
        let truth = ask(&real.path(socket), &line);
        assert_eq!(essence(&answered), essence(&truth), "{socket}: {line}\n{truth}");
    }
}

#[tokio::test]
async fn the_fake_answers_like_the_real_one() {
    use fake::Dialect::{Master, Numbers, Words, Worker};
    let Some(real) = Haproxy::start_master(SECTIONS, false) else {
        return;
    };
    same(&real, "admin.sock", Worker, "admin", "").await;
    same(&real, "operator.sock", Worker, "operator", "").await;
    same(&real, "words.sock", Words, "admin", "").await;
    same(&real, "numbers.sock", Numbers, "admin", "").await;
    same(&real, "master.sock", Master, "admin", "@1 ").await;
    for line in ["show servers state", "set server web/app1 state drain"] {
        let answer = ask(&real.path("master.sock"), line);
        assert!(answer.starts_with("Unknown command"), "without prefix: {answer}");
    }
}
