//! Whether leaving would work.

use lb_drain_api::{Error, Finding, Severity, Target};

use crate::balancer::{Haproxy, Seen};
use crate::command::{Command, Server};
use crate::entry::Entry;

/// Looks at reachability, permission, names and states. Changes nothing.
pub(crate) async fn check(haproxy: &Haproxy) -> Vec<Finding> {
    match findings(haproxy).await {
        Ok(findings) => findings,
        Err(error) => vec![failure(error)],
    }
}

async fn findings(haproxy: &Haproxy) -> lb_drain_api::Result<Vec<Finding>> {
    let mut findings = Vec::new();
    let client = haproxy.client();
    let targets = haproxy.targets().await?;
    // States go with it because only they tell a master's socket from a worker's.
    let first = targets
        .first()
        .and_then(|target| Server::parse(target.as_str()).ok());
    let commands = [
        Command::ShowLevel,
        Command::ShowState(first.map(|server| server.backend)),
    ];
    let level = client
        .read(&commands, |answer| {
            answer.texts.first().map(|&text| text.to_owned())
        })
        .await?;
    findings.push(match level.as_deref() {
        Some("admin") => fine(format!("{client} answers and permits changes")),
        level => Finding {
            severity: Severity::Problem,
            what: format!(r#"{client} has level "{}""#, level.unwrap_or("unknown")),
            why: "a stop would be refused with Permission denied, and this host stay in rotation".to_owned(),
            remedy: Some(r#"write "level admin" on its "stats socket" line"#.to_owned()),
        },
    });
    if targets.is_empty() {
        findings.push(Finding {
            severity: Severity::Problem,
            what: format!("{client} has no server with an address of this host and one of its ports"),
            why: "a stop would take nothing out of rotation there".to_owned(),
            remedy: Some(
                r#"compare "show servers state" with ports, or name them: servers = ["web/app1"]"#.to_owned(),
            ),
        });
    }
    let seen = haproxy.see(&targets).await?;
    for (target, seen) in targets.iter().zip(seen) {
        match (seen, Server::parse(target.as_str())) {
            (Seen::Entry(entry), _) => findings.push(state(haproxy, target, &entry)),
            (absent, Ok(server)) => findings.push(failure(haproxy.absent(server, &absent).await)),
            (_, Err(_)) => {}
        }
    }
    Ok(findings)
}

fn state(haproxy: &Haproxy, target: &Target, entry: &Entry) -> Finding {
    let status = entry.stat.as_ref().map_or("disabled", |stat| &stat.status);
    let what = format!("{} {target}: its state is {status}", haproxy.client());
    if entry.admin.is_out() {
        return Finding {
            severity: Severity::Warning,
            what,
            why: "it is out of rotation already; a stop leaves it so, and so does register afterwards"
                .to_owned(),
            remedy: Some(format!(
                r#"if that is not meant: "set server {target} state ready""#
            )),
        };
    }
    if entry.stat.as_ref().is_some_and(|stat| stat.cookie) && haproxy.maint_after().is_none() {
        return Finding {
            severity: Severity::Warning,
            what: format!("{what}, and its clients stick to it by a cookie"),
            why: "in drain they keep coming, so a stop under traffic ends with its budget".to_owned(),
            remedy: Some(r#"maint_after = "10s""#.to_owned()),
        };
    }
    fine(what)
}

fn fine(what: String) -> Finding {
    Finding {
        severity: Severity::Fine,
        what,
        why: "as it should be".to_owned(),
        remedy: None,
    }
}

fn failure(error: Error) -> Finding {
    Finding {
        severity: Severity::Problem,
        what: error.to_string(),
        why: "a stop could not take this host out of rotation there".to_owned(),
        remedy: None,
    }
}
