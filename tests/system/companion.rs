//! The companion unit as it is shipped: what HAProxy sees in each of the application's fates, and in what order.

use std::thread;
use std::time::{Duration, Instant};

use crate::rig::{App, DRAIN, Host, Load, address, eventually, median, unit};

/// No pause before a new start, and as many as there are crashes.
const AT_ONCE: &str = "Restart=always\nRestartSec=0\n[Unit]\nStartLimitIntervalSec=0";

/// What a stop waits for, and a crash must not.
const FLOOR: &str = "min_wait = \"15s\"";

/// What keeps leaving and the SIGTERM after it apart, also for who watches on a busy machine.
const APART: &str = "min_wait = \"300ms\"";

/// One more load balancer, which does not answer.
const DEAD: &str = "[[load_balancer]]\nname = \"dead\"\nprovider = \"haproxy\"\n\
                    sockets = [\"/nowhere.sock\"]\nservers = [\"web/app1\"]";

fn exited(host: &Host, unit: &str) -> Instant {
    host.machine.moment(unit, "ExecMainExitTimestampMonotonic")
}

/// The main process of app1.
fn main_pid(host: &Host) -> String {
    host.machine.property("app1.service", "MainPID")
}

#[test]
fn a_stop_leaves_first_and_a_start_comes_back_last() {
    let host = Host::new();
    host.start_with_companion("app1", "");
    host.configure_with("app1", APART);
    let diary = host.diary("app1");
    host.machine.systemctl_ok(&["stop", "app1"]);
    assert_eq!(diary.states(), [0, DRAIN]);
    assert!(
        diary.last_change() < exited(&host, "app1.service"),
        "left before SIGTERM"
    );
    assert_eq!(host.machine.standing("app1.service"), "inactive (dead) success");
    assert_eq!(
        host.machine.standing("lb-drain@app1.service"),
        "inactive (dead) success"
    );

    host.machine.systemctl_ok(&["start", "app1"]);
    eventually("app1 is back", || diary.states() == [0, DRAIN, 0]);
    let started = host
        .machine
        .moment("app1.service", "ActiveEnterTimestampMonotonic");
    assert!(diary.last_change() > started, "back after it has started");

    let journal = host.machine.journal("lb-drain@app1.service");
    let story: Vec<&str> = journal.lines().collect();
    assert!(
        story
            .iter()
            .any(|line| line.contains("TimeoutStopSec=90s of lb-drain@app1.service); stop")),
        "{journal}"
    );
}

#[test]
fn a_crash_leaves_at_once_and_the_restart_comes_back() {
    let host = Host::new();
    host.start_with_companion("app1", AT_ONCE);
    let diary = host.diary("app1");
    let before = main_pid(&host);
    // In flight when it crashes: nobody is left to answer it, so it must not be waited for.
    let load = Load::start(&[&host.haproxy], 2, Duration::from_secs(5), &[]);
    eventually("requests are in flight", || host.haproxy.in_flight("app1") > 0);
    host.machine.run("kill", &["-ABRT", &before]);
    eventually("app1 is back", || diary.states() == [0, DRAIN, 0]);
    assert_eq!(host.machine.standing("app1.service"), "active (running) success");
    assert_ne!(main_pid(&host), before);
    drop(load.finish());
}

#[test]
fn a_main_process_that_ends_by_itself_is_left_without_a_wait() {
    let host = Host::new();
    host.start_with_companion("app1", "");
    let diary = host.diary("app1");
    // SIGTERM that systemd did not send counts as an end with success.
    host.machine.run("kill", &["-TERM", &main_pid(&host)]);
    eventually("app1 has left", || diary.states() == [0, DRAIN]);
    eventually("the companion has ended", || {
        host.machine.standing("lb-drain@app1.service") == "inactive (dead) success"
    });
    let lag = diary
        .last_change()
        .saturating_duration_since(exited(&host, "app1.service"));
    assert!(lag < Duration::from_secs(1), "it took {lag:?}");
    assert_eq!(host.machine.standing("app1.service"), "inactive (dead) success");
}

#[test]
fn an_application_that_does_not_start_is_not_registered() {
    let host = Host::new();
    host.start_with_companion("app1", "");
    host.machine.systemctl_ok(&["stop", "app1"]);
    let diary = host.diary("app1");
    let broken = unit("app1", &address("app1"), "ExecStartPre=/bin/false");
    host.machine.install_unit("app1.service", &broken);
    assert!(!host.machine.systemctl(&["start", "app1"]).status.success());
    assert_eq!(host.machine.standing("app1.service"), "failed (failed) exit-code");
    assert_eq!(
        host.machine.standing("lb-drain@app1.service"),
        "inactive (dead) success"
    );
    assert_eq!(diary.states(), [DRAIN]);
}

#[test]
fn a_stop_while_register_waits_still_leaves() {
    let host = Host::new();
    host.configure_with("app1", APART);
    // Type=exec counts as started before it listens; it never does.
    let deaf = "[Service]\nType=exec\nExecStart=/bin/sleep infinity\n";
    host.machine.install_unit("app1.service", deaf);
    host.machine.systemctl_ok(&["enable", "--quiet", "lb-drain@app1"]);
    host.machine.systemctl_ok(&["start", "--no-block", "app1"]);
    eventually("register waits", || {
        host.machine.property("lb-drain@app1.service", "SubState") == "start"
    });
    let diary = host.diary("app1"); // in rotation, as another load balancer that register reached would have it
    host.machine.systemctl_ok(&["stop", "app1"]);
    assert_eq!(diary.states(), [0, DRAIN]);
    assert!(
        diary.last_change() < exited(&host, "app1.service"),
        "left before SIGTERM"
    );
}

#[test]
fn one_load_balancer_that_never_answers_keeps_the_host_neither_out_of_the_others_nor_in_them() {
    let host = Host::new();
    host.machine
        .write("/etc/lb-drain/app1.env", "LB_DRAIN_BUDGET=2s\n");
    host.configure_with("app1", &format!("{APART}\n{DEAD}"));
    host.machine
        .install_unit("app1.service", &unit("app1", &address("app1"), ""));
    host.machine.systemctl_ok(&["enable", "--quiet", "lb-drain@app1"]);
    let diary = host.diary("app1");
    host.machine.systemctl_ok(&["start", "app1"]);
    eventually("register has given up on one of them", || {
        host.machine.standing("lb-drain@app1.service") == "active (exited) success"
    });
    assert_eq!(diary.states(), [0]);
    host.machine.systemctl_ok(&["stop", "app1"]);
    assert_eq!(diary.states(), [0, DRAIN]);
    assert!(
        diary.last_change() < exited(&host, "app1.service"),
        "left before SIGTERM"
    );
    assert_eq!(host.machine.standing("app1.service"), "inactive (dead) success");
    assert_eq!(
        host.machine.standing("lb-drain@app1.service"),
        "failed (failed) exit-code",
        "the other one may still route here"
    );
}

#[test]
fn the_shutdown_of_the_machine_loses_no_request() {
    let host = Host::new();
    let _app2 = App::start(&host.network, "app2", "127.0.0.1:8082"); // on another machine
    host.start_with_companion("app1", "");
    let diary = host.diary("app1");
    let load = Load::start(&[&host.haproxy], 20, Duration::from_secs(1), &[]);
    load.wait_for(60);
    host.machine.systemctl_ok(&["poweroff", "--no-block"]);
    eventually("app1 has left", || diary.states() == [0, DRAIN]);
    eventually("the machine is off", || !host.machine.is_up());
    thread::sleep(Duration::from_millis(300));
    load.finish().assert_nothing_lost(60);
}

#[test]
fn two_of_them_leave_and_come_back_each_for_itself() {
    let host = Host::new();
    host.start_with_companion("app1", "");
    host.start_with_companion("app2", "");
    let (one, two) = (host.diary("app1"), host.diary("app2"));
    host.machine.systemctl_ok(&["stop", "app1"]);
    assert_eq!((one.states(), two.states()), (vec![0, DRAIN], vec![0]));
    host.machine.systemctl_ok(&["restart", "app2"]);
    eventually("app2 is back", || two.states() == [0, DRAIN, 0]);
    assert_eq!(one.states(), [0, DRAIN], "what app1 took out is not app2's");
    host.machine.systemctl_ok(&["start", "app1"]);
    eventually("app1 is back", || one.states() == [0, DRAIN, 0]);
    host.machine.systemctl_ok(&["stop", "app1", "app2"]);
    assert_eq!((one.last_state(), two.last_state()), (DRAIN, DRAIN));
}

#[test]
fn twenty_restarts_under_load_lose_nothing() {
    let host = Host::new();
    let _app2 = App::start(&host.network, "app2", "127.0.0.1:8082");
    // No rest between starts: the tenth within ten seconds would be refused.
    host.start_with_companion("app1", "[Unit]\nStartLimitIntervalSec=0");
    let diary = host.diary("app1");
    let load = Load::start(&[&host.haproxy], 20, Duration::from_millis(400), &[]);
    load.wait_for(50);
    for round in 1..=20 {
        host.machine.systemctl_ok(&["restart", "app1"]);
        eventually("app1 is in rotation again", || {
            diary.states().len() > 2 * round && diary.last_state() == 0
        });
        assert_eq!(
            diary.states()[2 * round - 1..],
            [DRAIN, 0],
            "round {round}: {:?}",
            diary.states()
        );
        thread::sleep(Duration::from_millis(50));
    }
    load.finish().assert_nothing_lost(500);
    println!("20 restarts through the companion under load: in rotation again every time");
}

#[test]
fn a_crash_is_delayed_by_less_than_a_second() {
    let delays = |keys: Option<&str>| -> Vec<Duration> {
        let host = Host::new();
        if let Some(keys) = keys {
            host.start_with_companion("app1", AT_ONCE);
            host.configure_with("app1", keys);
        } else {
            host.machine
                .start_unit("app1.service", &unit("app1", &address("app1"), AT_ONCE));
        }
        let load = Load::start(&[&host.haproxy], 4, Duration::from_secs(1), &[]);
        let delays = (0..3).map(|_| {
            let crashed = main_pid(&host);
            eventually("requests are in flight", || host.haproxy.in_flight("app1") > 0);
            let kills = Instant::now();
            host.machine.run("kill", &["-ABRT", &crashed]);
            eventually("it runs again", || {
                !["0", &crashed].contains(&main_pid(&host).as_str())
                    && host.machine.standing("app1.service") == "active (running) success"
            });
            let starts = host
                .machine
                .moment("app1.service", "ExecMainStartTimestampMonotonic");
            if keys == Some(FLOOR) {
                eventually("it is in rotation", || host.haproxy.admin_state("app1") == 0);
            }
            starts.saturating_duration_since(kills)
        });
        let delays = delays.collect();
        drop(load.finish());
        delays
    };
    let (without, with, dead) = (delays(None), delays(Some(FLOOR)), delays(Some(DEAD)));
    println!(
        "from the crash to the next start: {without:?} without the companion, {with:?} with it, {dead:?} while a load balancer does not answer"
    );
    for delayed in [with, dead] {
        let added = median(delayed).saturating_sub(median(without.clone()));
        assert!(added <= Duration::from_secs(1), "the companion adds {added:?}");
    }
}
