//! What the operator reads after a stop: a short story, each line true, the last one the verdict.

use std::time::Duration;

use serde_json::Value;

use crate::rig::{Haproxy, Host, Load, Machine, Network, Setup, assert_story, eventually, lb_drain, unit};

#[test]
fn the_journal_tells_the_stop_as_a_story() {
    let network = Network::new();
    let machine = Machine::boot(&network);
    let haproxy = Haproxy::start(&network, &machine.share().join("edge"), Setup::default());
    machine.start_unit("app2.service", &unit("app2", "127.0.0.1:8082", ""));
    let hook = "ExecStop=/share/bin/lb-drain deregister --haproxy /share/edge/admin.sock --haproxy-server web/app1 --budget 20s";
    machine.start_unit("app1.service", &unit("app1", "127.0.0.1:8081", hook));
    let load = Load::start(&[&haproxy], 20, Duration::from_secs(2), &[]);
    load.wait_for(40);
    eventually("a request is in flight", || haproxy.in_flight("app1") > 0);
    let stopped = machine.systemctl(&["stop", "app1.service"]);
    assert!(stopped.status.success(), "{stopped:?}");
    load.finish().assert_nothing_lost(40);

    assert_story(
        &machine.journal("app1.service"),
        &[
            &["leaving 1 load balancer; ", "budget 20 s"],
            &[
                "haproxy",
                "/share/edge/admin.sock",
                "web/app1",
                "out of rotation after",
                "in flight",
            ],
            &["drained after", "HAProxy reports nothing in flight"],
            &["out of 1 of 1 load balancer and drained; ", " of 20 s used"],
        ],
    );
}

/// What the journal shows of a unit, as `journalctl -u` selects it, each entry with its fields.
fn entries(machine: &Machine, unit: &str) -> Vec<Value> {
    machine.run("journalctl", &["--sync"]);
    machine
        .run("journalctl", &["--output=json", "--no-pager", "--unit", unit])
        .lines()
        .map(|line| serde_json::from_str(line).expect("JSON"))
        .filter(|entry: &Value| entry["SYSLOG_IDENTIFIER"] == "lb-drain")
        .collect()
}

#[test]
fn the_applications_journal_has_the_companions_lines_with_priority_and_fields() {
    let host = Host::new();
    host.start_with_companion("app1", "");
    host.machine.systemctl_ok(&["stop", "app1"]);
    let entries = entries(&host.machine, "app1.service");
    let with = |words: &str| {
        entries
            .iter()
            .find(|entry| {
                entry["MESSAGE"]
                    .as_str()
                    .is_some_and(|message| message.contains(words))
            })
            .unwrap_or_else(|| panic!("no {words} in {entries:#?}"))
    };
    let out = with("out of rotation after");
    for (field, value) in [
        ("PRIORITY", "6"),
        ("LB_DRAIN_LOAD_BALANCER", "edge"),
        ("LB_DRAIN_ENDPOINT", "/share/edge/admin.sock"),
        ("LB_DRAIN_OUTCOME", "undrained"),
        ("LB_DRAIN_IN_FLIGHT", "0"),
        ("OBJECT_SYSTEMD_UNIT", "app1.service"),
        ("_SYSTEMD_UNIT", "lb-drain@app1.service"),
    ] {
        assert_eq!(out[field], value, "{field} of {out:#}");
    }
    with("out of 1 of 1 load balancer and drained");
}

#[test]
fn a_mistake_in_the_configuration_or_the_command_line_is_an_error_of_the_journal() {
    let host = Host::new();
    host.machine.write("/etc/lb-drain/web.toml", "prts = [8080]\n");
    for (unit, option) in [("typo", "--confg"), ("mistake", "--config")] {
        let arguments = [
            "--quiet",
            "--wait",
            "--unit",
            unit,
            "lb-drain",
            "deregister",
            option,
            "web",
        ];
        let output = host
            .machine
            .command("systemd-run")
            .args(arguments)
            .output()
            .expect("tests/rig/machine starts");
        assert!(!output.status.success());
        let entries = entries(&host.machine, unit);
        assert!(!entries.is_empty());
        for entry in &entries {
            assert_eq!(entry["PRIORITY"], "3", "{entry:#}");
        }
    }
}

#[test]
fn lines_as_json_are_json_each_of_them() {
    let network = Network::new();
    let folder = tempfile::tempdir().expect("a folder");
    let haproxy = Haproxy::start(&network, &folder.path().join("edge"), Setup::default());
    let socket = haproxy.socket();
    let good = ["--haproxy", &socket, "--haproxy-server", "web/app1"];
    for (arguments, code, level) in [
        (&good[..], 0, "info"),
        (&["--config", "/nowhere/web.toml"], 2, "error"),
    ] {
        let all = [&["deregister", "--log-format", "json"], arguments].concat();
        let ended = lb_drain(&network, &all).wait();
        ended.assert_code(code);
        let lines: Vec<Value> = ended
            .stderr
            .lines()
            .map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}")))
            .collect();
        let last = lines.last().expect("a line");
        assert_eq!(last["level"], level, "{last}");
        for line in &lines {
            assert!(line["time"].is_string() && line["message"].is_string(), "{line}");
        }
        if code == 0 {
            assert!(
                lines.iter().any(|line| line["load_balancer"] == "haproxy"),
                "{lines:#?}"
            );
        }
    }
}
