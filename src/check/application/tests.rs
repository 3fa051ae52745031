use std::time::Duration;

use lb_drain_api::Severity::{self, Fine, Problem, Warning};

use super::*;
use crate::service_manager::Families;

const OURS: &str = "[Service]\nExecStartPost=-lb-drain register\nExecStop=\nExecStop=lb-drain deregister\n\
                    ExecStopPost=-/bin/sh -c 'x || exec lb-drain deregister'\n";

fn unit(name: &str, timeout: u64) -> Unit {
    Unit {
        name: name.to_owned(),
        load_state: "loaded".to_owned(),
        active_state: "active".to_owned(),
        file_state: "enabled".to_owned(),
        timeout_stop: Some(Duration::from_secs(timeout)),
        kill_mode: "control-group".to_owned(),
        after: vec!["network-online.target".to_owned(), "web.service".to_owned()],
        ..Unit::default()
    }
}

fn case<'a>(lines: &[&str], delays: &'a [Delay]) -> Case<'a> {
    Case {
        app: unit("web.service", 30),
        app_lines: Lines::read(lines.iter().copied()),
        companion: None,
        delays,
        given: None,
        config: String::new(),
        by_network: true,
        by_socket: true,
    }
}

/// Everything but what is fine: how bad, and what.
fn found(case: &Case<'_>) -> Vec<(Severity, String)> {
    let mut remarks = hooks::findings(case);
    if let Some(runner) = case.runner() {
        remarks.extend(budget::findings(case, runner));
        remarks.extend(stop::findings(case, runner));
        remarks.extend(sandbox::findings(case, runner));
    }
    remarks
        .into_iter()
        .filter(|remark| remark.finding.severity != Fine)
        .map(|remark| {
            let finding = remark.finding;
            assert!(!finding.why.is_empty(), "{finding:?}");
            (finding.severity, finding.what)
        })
        .collect()
}

#[track_caller]
fn assert_found(case: &Case<'_>, severity: Severity, what: &str) {
    let found = found(case);
    assert!(
        found
            .iter()
            .any(|(bad, said)| *bad == severity && said.contains(what)),
        "{severity:?} {what}: {found:?}"
    );
}

#[test]
fn the_shipped_drop_in_and_the_companion_are_fine() {
    assert_eq!(found(&case(&[OURS], &[])), []);
    let companion = Case {
        companion: Some(unit("lb-drain@web.service", 90)),
        ..case(&[], &[])
    };
    assert_eq!(found(&companion), []);
}

#[test]
fn a_unit_without_our_lines_is_a_problem_and_one_with_both_is_told() {
    assert_found(
        &case(&["[Service]\nExecStart=/x\n"], &[]),
        Problem,
        "nothing runs lb-drain",
    );
    let mut both = case(&[OURS], &[]);
    both.companion = Some(unit("lb-drain@web.service", 90));
    assert_found(&both, Warning, "both");
    let mut disabled = case(&[], &[]);
    disabled.companion = Some(Unit {
        file_state: "disabled".to_owned(),
        ..unit("lb-drain@web.service", 90)
    });
    assert_found(&disabled, Warning, "is active and not enabled");
}

#[test]
fn a_companion_that_does_not_run_beside_its_application_is_a_problem() {
    let beside = |app: &str, companion: &str| {
        let mut case = case(&[], &[]);
        case.app.active_state = app.to_owned();
        case.companion = Some(Unit {
            active_state: companion.to_owned(),
            ..unit("lb-drain@web.service", 90)
        });
        case
    };
    for state in ["inactive", "failed"] {
        assert_found(
            &beside("active", state),
            Problem,
            "does not run beside web.service",
        );
        assert_eq!(found(&beside("inactive", state)), [], "both are stopped");
    }
    assert_eq!(found(&beside("active", "activating")), [], "it registers");
}

#[test]
fn a_line_that_runs_only_after_the_stop_is_a_problem() {
    let late = "[Service]\nExecStartPost=-lb-drain register\nExecStopPost=-lb-drain deregister\n";
    assert_found(&case(&[late], &[]), Problem, "leaves only in ExecStopPost=");
}

#[test]
fn a_comment_names_no_credential() {
    let text = "  # file = \"/run/credentials/web.service/token\"\nports = [80]";
    assert_eq!(without_comments(text), "ports = [80]");
}

#[test]
fn the_order_of_the_stop_matters() {
    let vendor = "[Service]\nExecStop=/usr/sbin/web --stop\n";
    let appended = "[Service]\nExecStop=lb-drain deregister\n";
    assert_found(
        &case(&[vendor, appended], &[]),
        Problem,
        "its ExecStop= runs before ours",
    );
    assert_found(&case(&[vendor, appended], &[]), Warning, "not after a crash");
    let repeated = "[Service]\nExecStop=/usr/sbin/web --stop\n";
    assert_found(&case(&[vendor, OURS, repeated], &[]), Warning, "has no \"-\"");
}

#[test]
fn a_timeout_shorter_than_the_floor_loses_requests_and_than_the_delay_cuts_them() {
    let delay = |min: u64, max: u64| Delay {
        name: "public".to_owned(),
        min_wait: Some(Duration::from_secs(min)),
        max_wait: Some(Duration::from_secs(max)),
        unknown: None,
    };
    assert_found(
        &case(&[OURS], &[delay(120, 300)]),
        Problem,
        "120 s that changes need at public",
    );
    assert_found(
        &case(&[OURS], &[delay(15, 300)]),
        Warning,
        "deregistration delay of 300 s",
    );
    assert_eq!(found(&case(&[OURS], &[delay(15, 28)])), []);
    let mut given = case(&[OURS], &[]);
    given.given = Some(Duration::from_secs(60));
    assert_found(
        &given,
        Warning,
        "a budget of 60 s is more than TimeoutStopSec=30s leaves",
    );
}

#[test]
fn what_would_blind_us_is_told() {
    let restricted = |families: &[&str]| {
        let mut case = case(&[OURS], &[]);
        let list = families.iter().map(|&family| family.to_owned()).collect();
        case.app.families = Families::new(true, list);
        case
    };
    assert_found(&restricted(&["AF_UNIX", "AF_INET"]), Warning, "AF_NETLINK");
    assert_found(&restricted(&["AF_INET", "AF_NETLINK"]), Problem, "AF_UNIX");
    assert_found(
        &restricted(&["AF_UNIX", "AF_NETLINK"]),
        Problem,
        "AF_INET AF_INET6",
    );
    let mut lifted = restricted(&["AF_INET"]);
    lifted.app_lines = Lines::read([OURS.replace("ExecStop=lb", "ExecStop=+lb").as_str()]);
    assert_eq!(found(&lifted), []);
    // The network's own limits hold with "+" too.
    lifted.app.other_network = true;
    assert_found(&lifted, Problem, "a network of its own");
    lifted.app.denies_any_address = true;
    assert_found(&lifted, Problem, "IPAddressDeny=any");
    lifted.by_network = false;
    assert_eq!(found(&lifted), [], "a unix socket needs no network");
}

#[test]
fn the_rest_of_the_unit_is_looked_at() {
    let mut case = case(&[OURS], &[]);
    case.app.kill_mode = "none".to_owned();
    case.app.after.clear();
    case.app.user = Some("www-data".to_owned());
    case.app.stale = true;
    case.config = "file = \"/run/credentials/web.service/token\"".to_owned();
    for (severity, what) in [
        (Warning, "KillMode=none"),
        (Warning, "is not ordered after the network"),
        (Warning, "runs lb-drain as www-data"),
        (Warning, "its files have changed"),
        (Problem, "credentials"),
    ] {
        assert_found(&case, severity, what);
    }
}
