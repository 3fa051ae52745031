//! What systemd's answers mean, for the units and moments that differ.

use super::*;

fn unit(texts: &[(&'static str, &str)], numbers: &[(&'static str, u64)]) -> Properties {
    let base = [
        ("Id", "web.service"),
        ("ActiveState", "deactivating"),
        ("SubState", "stop"),
        ("Type", "simple"),
    ];
    let mut unit: Properties = base
        .iter()
        .chain(texts)
        .map(|(name, text)| (*name, Value::Text((*text).to_owned())))
        .collect();
    let base = [
        ("TimeoutStartUSec", 7_000_000),
        ("TimeoutStopUSec", 30_000_000),
        ("MainPID", 0),
        ("ControlPID", 50),
    ];
    unit.extend(
        base.iter()
            .chain(numbers)
            .map(|(name, number)| (*name, Value::Unsigned(*number))),
    );
    unit
}

fn of(own: &Properties, surroundings: &Surroundings) -> Hook {
    hook(own, None, None, Some("running"), surroundings).expect("a hook")
}

fn ended() -> Surroundings {
    Surroundings {
        main_exit: Some(("exited".to_owned(), "0".to_owned())),
        ..Surroundings::default()
    }
}

#[test]
fn a_stop_has_the_stop_timeout_and_a_start_the_start_timeout() {
    let stop = of(&unit(&[], &[]), &Surroundings::default());
    assert_eq!(
        (stop.setting, stop.timeout),
        (Setting::TimeoutStop, Some(Duration::from_secs(30)))
    );
    for state in ["start", "start-post", "reload"] {
        let start = of(&unit(&[("SubState", state)], &[]), &Surroundings::default());
        assert_eq!(
            (start.setting, start.timeout),
            (Setting::TimeoutStart, Some(Duration::from_secs(7)))
        );
    }
}

#[test]
fn infinity_is_no_timeout() {
    assert_eq!(
        of(
            &unit(&[], &[("TimeoutStopUSec", u64::MAX)]),
            &Surroundings::default()
        )
        .timeout,
        None
    );
}

#[test]
fn why_it_stops_is_told_apart() {
    let reason = |job, system| {
        hook(
            &unit(&[], &[("MainPID", 40)]),
            None,
            job,
            system,
            &Surroundings::default(),
        )
        .expect("a hook")
        .reason
    };
    assert_eq!(reason(Some("stop"), Some("running")), Some(Reason::Stop));
    assert_eq!(reason(Some("restart"), Some("running")), Some(Reason::Restart));
    assert_eq!(reason(Some("stop"), Some("stopping")), Some(Reason::Shutdown));
    assert_eq!(reason(None, Some("running")), None);
    assert_eq!(of(&unit(&[], &[]), &ended()).reason, Some(Reason::Ended));
}

#[test]
fn without_a_main_process_a_service_is_gone_but_a_oneshot_is_not() {
    assert_eq!(of(&unit(&[], &[]), &ended()).application, Application::Gone);
    assert_eq!(
        of(&unit(&[("Type", "oneshot")], &[]), &ended()).application,
        Application::Unknown
    );
    // Type=forking without a PID file: systemd does not know the main process, and it may well run.
    assert_eq!(
        of(&unit(&[("Type", "forking")], &[]), &Surroundings::default()).application,
        Application::Unknown
    );
}

#[test]
fn a_companion_goes_by_the_applications_unit_not_by_its_own() {
    let companion = unit(&[("Type", "oneshot"), ("Id", "lb-drain@web.service")], &[]);
    let by = |texts: &[(&'static str, &str)], main| {
        let other = unit(texts, &[("MainPID", main)]);
        hook(&companion, Some(&other), Some("stop"), Some("running"), &ended())
            .expect("a hook")
            .application
    };
    assert_eq!(
        by(&[("ActiveState", "active"), ("SubState", "running")], 77),
        Application::Runs(77)
    );
    assert_eq!(
        by(&[("ActiveState", "activating"), ("SubState", "auto-restart")], 0),
        Application::Gone
    );
    assert_eq!(
        by(&[("ActiveState", "failed"), ("SubState", "failed")], 0),
        Application::Gone
    );
    assert_eq!(
        by(&[("ActiveState", "active"), ("SubState", "running")], 0),
        Application::Unknown
    );
}

#[test]
fn a_restart_that_waits_is_known_for_a_companion_and_for_the_units_own_last_lines() {
    let companion = unit(&[("Type", "oneshot"), ("Id", "lb-drain@web.service")], &[]);
    let by = |active, state, main| {
        let texts = [("ActiveState", active), ("SubState", state)];
        let other = unit(&texts, &[("MainPID", main), ("RestartUSec", 5_000_000)]);
        let hook = hook(&companion, Some(&other), Some("stop"), Some("running"), &ended()).expect("a hook");
        (hook.restart_waits, hook.restart_pause.as_secs(), hook.reason)
    };
    assert_eq!(
        by("activating", "auto-restart", 0),
        (true, 5, Some(Reason::Ended))
    );
    assert_eq!(
        by("failed", "failed", 0),
        (false, 0, Some(Reason::Ended)),
        "a crash that nothing follows"
    );
    assert_eq!(by("active", "running", 77), (false, 0, Some(Reason::Stop)));
}

/// Whether a unit that has ended by itself with this result, and now runs its last lines, will start again.
fn restarts(state: &str, result: &str, restart: &str) -> bool {
    let texts = [("SubState", state), ("Result", result), ("Restart", restart)];
    of(&unit(&texts, &[("RestartUSec", 5_000_000)]), &ended()).restart_waits
}

#[test]
fn a_unit_starts_again_as_its_restart_setting_says() {
    let all = [
        "always",
        "on-success",
        "on-failure",
        "on-abnormal",
        "on-abort",
        "on-watchdog",
        "no",
    ];
    for (state, result, by) in [
        ("stop", "success", &["always", "on-success"][..]),
        ("stop-post", "exit-code", &["always", "on-failure"]),
        (
            "stop-post",
            "core-dump",
            &["always", "on-failure", "on-abnormal", "on-abort"],
        ),
        (
            "stop-post",
            "watchdog",
            &["always", "on-failure", "on-abnormal", "on-watchdog"],
        ),
        ("stop-post", "oom-kill", &["always", "on-failure", "on-abnormal"]),
    ] {
        for restart in all {
            assert_eq!(
                restarts(state, result, restart),
                by.contains(&restart),
                "{result} {restart}"
            );
        }
    }
    let texts = [("SubState", "stop"), ("Result", "success"), ("Restart", "always")];
    let with = |job| {
        hook(&unit(&texts, &[]), None, Some(job), Some("running"), &ended())
            .expect("a hook")
            .restart_waits
    };
    assert!(with("start"), "it ended while it started");
    assert!(!with("stop") && !with("restart"), "somebody stops it");
    let running = unit(&texts, &[("MainPID", 40)]);
    assert!(
        !of(&running, &Surroundings::default()).restart_waits,
        "it still runs"
    );
    let crashed = [
        ("SubState", "stop-post"),
        ("Result", "signal"),
        ("Restart", "always"),
    ];
    let pause = of(&unit(&crashed, &[("RestartUSec", 5_000_000)]), &ended()).restart_pause;
    assert_eq!(pause, Duration::ZERO, "systemd counts it after our line");
}

#[test]
fn a_person_is_told_of_an_application_that_runs_and_not_of_one_that_may_yet_start() {
    let running = unit(
        &[("ActiveState", "active"), ("SubState", "running")],
        &[("MainPID", 77)],
    );
    assert_eq!(by_hand(&running), Application::Runs(77));
    let dead = unit(&[("ActiveState", "inactive"), ("SubState", "dead")], &[]);
    assert_eq!(by_hand(&dead), Application::Unknown);
}

#[test]
fn only_the_line_that_runs_counts_as_ours() {
    let started_by_systemd = |pid| Surroundings {
        exec_pid: Some(pid),
        ..Surroundings::default()
    };
    let stopping = unit(&[], &[("MainPID", 40)]);
    assert!(runs_us(&stopping, &started_by_systemd(50)));
    assert!(
        !runs_us(&stopping, &started_by_systemd(40)),
        "a child of the service itself"
    );
    let oneshot = unit(
        &[("Type", "oneshot"), ("SubState", "start")],
        &[("MainPID", 40), ("ControlPID", 0)],
    );
    assert!(
        runs_us(&oneshot, &started_by_systemd(40)),
        "ExecStart= of a companion"
    );
}

#[test]
fn the_timeout_can_be_extended_by_whom_systemd_listens_to() {
    let may = |access, pid| {
        of(
            &unit(&[("NotifyAccess", access)], &[("ControlPID", pid)]),
            &Surroundings::default(),
        )
        .may_extend
    };
    let us = u64::from(std::process::id());
    assert!(may("all", 50));
    assert!(may("exec", us));
    assert!(!may("exec", 50), "sh -c stands between");
    assert!(!may("main", us));
}

#[test]
fn a_name_without_a_suffix_is_a_service() {
    assert_eq!(unit_name("web"), "web.service");
    assert_eq!(unit_name("web.socket"), "web.socket");
}
