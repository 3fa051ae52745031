//! Units that limit what their lines may do: leaving works, or says what is in its way.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::Duration;

use crate::rig::{DRAIN, Host, address, eventually, unit};

/// Lines in the application's own unit, with load balancers by options. The wait keeps leaving and the SIGTERM after it
/// apart, also for who watches on a busy machine.
const HOOKS: &str = "\
ExecStartPost=-/share/bin/lb-drain register --haproxy /share/edge/admin.sock --haproxy-server web/app1 --port 8081
ExecStop=/share/bin/lb-drain deregister --haproxy /share/edge/admin.sock --haproxy-server web/app1 --port 8081 --min-wait 300ms
TimeoutStopSec=20s";

/// app1 with these lines and a socket of HAProxy that everybody may use.
fn host(lines: &str) -> Host {
    let host = Host::new();
    let everybody = fs::Permissions::from_mode(0o666);
    fs::set_permissions(Path::new(&host.haproxy.socket()), everybody).expect("it is there");
    host.machine.start_unit(
        "app1.service",
        &unit("app1", &address("app1"), &format!("{HOOKS}\n{lines}")),
    );
    host
}

/// Stops and starts app1, and returns what the journal says of the stop.
fn round(host: &Host) -> String {
    let diary = host.diary("app1");
    host.machine.systemctl_ok(&["stop", "app1"]);
    assert_eq!(diary.states(), [0, DRAIN]);
    let exited = host
        .machine
        .moment("app1.service", "ExecMainExitTimestampMonotonic");
    assert!(diary.last_change() < exited, "left before SIGTERM");
    assert_eq!(host.machine.standing("app1.service"), "inactive (dead) success");
    let journal = host.machine.journal("app1.service");
    host.machine.systemctl_ok(&["start", "app1"]);
    assert_eq!(diary.states(), [0, DRAIN, 0]);
    journal
}

#[test]
fn a_user_and_a_strict_file_system_take_neither_the_budget_nor_the_record() {
    let known = "(TimeoutStopSec=20s of app1.service); stop";
    for (limit, budget) in [
        ("User=nobody", known),
        ("ProtectSystem=strict", known),
        // Debian without nss-systemd: a dynamic user has no name, and the bus talks to nobody without one.
        (
            "DynamicUser=yes",
            "closed the connection, as it does where DynamicUser= meets no nss-systemd",
        ),
    ] {
        let host = host(&format!(
            "{limit}\nRuntimeDirectory=app1\nRuntimeDirectoryPreserve=yes"
        ));
        let journal = round(&host);
        assert!(journal.contains(budget), "{limit}: {journal}");
        assert!(!journal.contains("cannot be recorded"), "{limit}: {journal}");
    }
}

#[test]
fn without_a_place_for_the_record_the_configuration_says_how_to_come_back_and_that_is_told() {
    let host = host("ProtectSystem=strict");
    let journal = round(&host);
    assert!(journal.contains("how it was cannot be recorded"), "{journal}");
}

#[test]
fn without_a_bus_a_user_has_the_default_budget_and_that_is_told() {
    let host = host("User=nobody");
    host.machine
        .systemctl_ok(&["mask", "--runtime", "--now", "dbus.socket", "dbus.service"]);
    let journal = round(&host);
    assert!(
        journal.contains("the timeout of this unit is not known (/run/dbus/system_bus_socket: ")
            && journal.contains("; the budget is 30 s (set budget to less than TimeoutStopSec=)"),
        "{journal}"
    );
}

#[test]
fn an_application_with_a_network_of_its_own_is_seen_from_outside() {
    let host = Host::new();
    host.start_with_companion("app1", "PrivateNetwork=yes");
    let journal = host.machine.journal("lb-drain@app1.service");
    assert!(
        !journal.contains("waiting for"),
        "its port was seen to listen at once: {journal}"
    );
    let diary = host.diary("app1");
    // By hand it is found by its unit's name.
    host.machine.run("lb-drain", &["deregister", "--config", "app1"]);
    host.machine
        .run("lb-drain", &["register", "--service", "app1", "--budget", "5s"]);
    assert_eq!(diary.states(), [0, DRAIN, 0]);
    host.machine.systemctl_ok(&["stop", "app1"]);
    assert_eq!(diary.states(), [0, DRAIN, 0, DRAIN]);
    assert_eq!(host.machine.standing("app1.service"), "inactive (dead) success");
}

#[test]
fn a_users_own_manager_gives_its_budget() {
    let host = Host::new();
    let everybody = fs::Permissions::from_mode(0o666);
    fs::set_permissions(Path::new(&host.haproxy.socket()), everybody).expect("it is there");
    host.machine.write(
        "/etc/systemd/user/app1.service",
        &unit("app1", &address("app1"), HOOKS),
    );
    host.machine.run("useradd", &["--create-home", "someone"]);
    let id = host.machine.run("id", &["-u", "someone"]).trim().to_owned();
    host.machine.systemctl_ok(&["start", &format!("user@{id}")]);
    let as_user = |arguments: &[&str]| {
        let directory = format!("XDG_RUNTIME_DIR=/run/user/{id}");
        let all = [&["-u", "someone", "--", "env", &directory], arguments].concat();
        host.machine.run("runuser", &all)
    };
    let diary = host.diary("app1");
    as_user(&["systemctl", "--user", "start", "app1"]);
    assert_eq!(diary.states(), [0]);
    as_user(&["systemctl", "--user", "stop", "app1"]);
    assert_eq!(diary.states(), [0, DRAIN]);
    let result = as_user(&[
        "systemctl",
        "--user",
        "show",
        "--value",
        "--property=Result",
        "app1",
    ]);
    assert_eq!(result.trim(), "success");
    as_user(&["systemctl", "--user", "start", "app1"]);
    assert_eq!(diary.states(), [0, DRAIN, 0]);
    let journal = host.machine.run(
        "journalctl",
        &["--output=cat", "--no-pager", "SYSLOG_IDENTIFIER=lb-drain"],
    );
    assert!(
        journal.contains("(TimeoutStopSec=20s of app1.service); stop"),
        "{journal}"
    );
}

#[test]
fn the_last_request_of_a_sandboxed_service_is_waited_for() {
    // No AF_NETLINK: connections instead of requests.
    let host = host("RestrictAddressFamilies=AF_UNIX AF_INET");
    let load = crate::rig::Load::start(&[&host.haproxy], 4, Duration::from_millis(800), &[]);
    eventually("requests are in flight", || host.haproxy.in_flight("app1") > 0);
    host.machine
        .start_unit("app2.service", &unit("app2", &address("app2"), ""));
    host.machine.systemctl_ok(&["stop", "app1"]);
    assert_eq!(host.machine.standing("app1.service"), "inactive (dead) success");
    load.finish().assert_nothing_lost(4);
}
