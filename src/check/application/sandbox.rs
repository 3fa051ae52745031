//! What the unit that runs us forbids.

use lb_drain_api::Severity::{Problem, Warning};

use super::super::{Remark, remark};
use super::{Case, is_ours};
use crate::service_manager::Unit;

/// The signs before a command that lift `User=` and the sandbox (systemd.service(5)); neither the network's.
fn lifts_the_sandbox(line: &str) -> bool {
    line.chars()
        .take_while(|c| "@-:+!|".contains(*c))
        .any(|c| c == '+')
}

pub(super) fn findings(case: &Case<'_>, runner: &Unit) -> Vec<Remark> {
    let mut remarks = network(case, runner);
    let in_app = runner.name == case.app.name;
    let lifted = in_app
        && case
            .app_lines
            .list("ExecStop")
            .into_iter()
            .filter(|line| is_ours(line))
            .all(lifts_the_sandbox);
    if !lifted {
        remarks.extend(families(case, runner));
        if in_app && let Some(user) = &runner.user {
            remarks.push(remark(
                &runner.name,
                Warning,
                format!("runs lb-drain as {user}"),
                "it must be able to read the configuration, its secrets and HAProxy's socket, and can keep no record in /run/lb-drain",
                Some("ExecStop=+lb-drain deregister (\"+\" runs it as root)".to_owned()),
            ));
        }
    }
    // Also with "+", also in a unit of our own.
    let named = ["CREDENTIALS_DIRECTORY", "/run/credentials/"];
    if named.iter().any(|text| case.config.contains(text)) {
        remarks.push(remark(
            &runner.name,
            Problem,
            "the configuration reads a secret from the unit's credentials".to_owned(),
            "systemd gives credentials (LoadCredential=, SetCredential=) to ExecStart= only: a stop would not have the secret",
            Some("{ file = \"/etc/lb-drain/NAME.token\" } with mode 0640, or {env:NAME}".to_owned()),
        ));
    } else if in_app && runner.credentials && case.config.contains("env:") {
        remarks.push(remark(
            &runner.name,
            Warning,
            "has credentials, and the configuration reads variables".to_owned(),
            "systemd gives credentials to ExecStart= only: a variable that leads to one leads nowhere at a stop",
            None,
        ));
    }
    remarks
}

/// What "+" does not lift either.
fn network(case: &Case<'_>, runner: &Unit) -> Vec<Remark> {
    let mut remarks = Vec::new();
    if case.by_network && runner.other_network {
        remarks.push(remark(
            &runner.name,
            Problem,
            "has a network of its own (PrivateNetwork=, NetworkNamespacePath=)".to_owned(),
            "from there no load balancer can be reached, not with \"+\" either",
            Some(format!(
                "the companion: lb-drain unit --kind companion {}",
                case.app.name
            )),
        ));
    }
    if case.by_network && runner.denies_any_address {
        let severity = if runner.allows_some_address {
            Warning
        } else {
            Problem
        };
        remarks.push(remark(
            &runner.name,
            severity,
            "IPAddressDeny=any".to_owned(),
            "holds for lb-drain too, with \"+\" as well: a load balancer that is not in IPAddressAllow= cannot be reached",
            Some("IPAddressAllow= with the addresses of the load balancers, or the companion".to_owned()),
        ));
    }
    remarks
}

fn families(case: &Case<'_>, runner: &Unit) -> Vec<Remark> {
    let allows = |family: &str| runner.families.allow(family);
    let mut remarks = Vec::new();
    let mut missing = |families: &str, severity, why: &str| {
        remarks.push(remark(
            &runner.name,
            severity,
            format!("RestrictAddressFamilies= forbids {families}"),
            why,
            Some(format!(
                "RestrictAddressFamilies={families} (a drop-in adds to the list), or \"+\" before lb-drain"
            )),
        ));
    };
    if !allows("AF_UNIX") {
        let severity = if case.by_socket { Problem } else { Warning };
        missing(
            "AF_UNIX",
            severity,
            "systemd cannot be asked for the budget, and HAProxy's unix socket cannot be reached",
        );
    }
    if case.by_network && !allows("AF_INET") && !allows("AF_INET6") {
        missing(
            "AF_INET AF_INET6",
            Problem,
            "no load balancer can be reached by the network",
        );
    }
    if !allows("AF_NETLINK") {
        missing(
            "AF_NETLINK",
            Warning,
            "requests in flight cannot be told from idle connections, so stops take longer",
        );
    }
    remarks
}
