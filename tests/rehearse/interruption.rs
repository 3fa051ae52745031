//! Whatever ends a rehearsal, at whatever moment: this host is in service afterwards.

use std::thread;
use std::time::Duration;

use lb_drain_test_support::balancer::Manner;
use lb_drain_test_support::http::{Fake, Reply};
use rustix::process::Signal;

use crate::scene::Scene;

/// Slow at everything, so that each phase can be met in its middle.
const SLOW: Manner = Manner {
    takes_effect_after: Duration::from_millis(600),
    answers_after: Duration::from_millis(400),
};

fn interrupted_in(phase: &str, later: u64, signal: Signal, code: i32, restart: bool) {
    let scene = Scene::new(SLOW).with_systemctl("exec sleep 0.6");
    let url = scene.url(200);
    let mut options = vec!["--url", &url, "--duration", "3s"];
    if restart {
        options.extend(["--restart", "app1.service"]);
    }
    let running = scene.rehearse(&options);
    running.until_it_says(&format!("now: {phase}"));
    thread::sleep(Duration::from_millis(later));
    running.signal(signal);
    let ended = running.wait();
    ended.assert_code(code);
    assert!(scene.balancer.is_meant_in(), "{phase}: {ended:#?}");
    assert_eq!(ended.report["outcome"], "interrupted", "{ended:#?}");
    assert_eq!(ended.report["phase"], phase, "{ended:#?}");
    assert_eq!(ended.report["troubles"], serde_json::json!([]), "{ended:#?}");
    if ended.sent_in("returning").is_some() && phase != "returning" && phase != "after" {
        assert_eq!(
            ended.sent_in("returning"),
            Some(0),
            "the load ends first: {ended:#?}"
        );
    }
    let told = scene.balancer.told();
    if phase == "before" {
        assert!(
            told.is_empty(),
            "nothing was touched, so nothing is told: {told:?}"
        );
    } else {
        assert_eq!(told.last().map(String::as_str), Some("PUT /in"), "{told:?}");
    }
    // Beside entries there is the lock.
    let record = std::fs::read_dir(scene.path("state"))
        .into_iter()
        .flatten()
        .flatten();
    let entries = record.filter(|file| file.path().extension().is_some_and(|kind| kind == "json"));
    assert_eq!(entries.count(), 0, "nothing is left to bring back");
}

#[test]
fn an_interruption_before_leaving_touches_nothing() {
    interrupted_in("before", 100, Signal::INT, 130, false);
}

#[test]
fn an_interruption_while_the_load_balancer_is_being_told_comes_back() {
    interrupted_in("leaving", 150, Signal::INT, 130, false);
}

#[test]
fn an_interruption_while_draining_comes_back() {
    interrupted_in("leaving", 650, Signal::TERM, 143, false);
}

#[test]
fn an_interruption_while_out_comes_back() {
    interrupted_in("out", 50, Signal::INT, 130, false);
}

#[test]
fn an_interruption_while_the_service_restarts_waits_for_it_and_comes_back() {
    interrupted_in("restarting", 150, Signal::INT, 130, true);
}

#[test]
fn an_interruption_while_coming_back_comes_back() {
    interrupted_in("returning", 150, Signal::TERM, 143, false);
    interrupted_in("returning", 600, Signal::INT, 130, false);
}

#[test]
fn an_interruption_after_coming_back_has_nothing_left_to_do() {
    interrupted_in("after", 100, Signal::INT, 130, false);
}

#[test]
fn a_second_interruption_gives_up_and_says_what_brings_this_host_back() {
    let scene = Scene::new(Manner {
        answers_after: Duration::from_secs(5),
        ..Manner::default()
    });
    let url = scene.url(20);
    let running = scene.rehearse(&["--url", &url, "--duration", "2s"]);
    running.until_it_says("now: leaving");
    running.signal(Signal::INT);
    running.until_it_says("once more gives that up");
    running.signal(Signal::INT);
    let ended = running.wait();
    ended.assert_code(1);
    assert_eq!(ended.report["outcome"], "interrupted", "{ended:#?}");
    let command = format!(
        "run lb-drain register --config {} --state-dir {}",
        scene.path("lb-drain.toml").display(),
        scene.path("state").display()
    );
    for says in [
        "coming back was given up",
        "this host may be out of edge",
        &command,
    ] {
        assert!(ended.troubles().contains(says), "{says}: {ended:#?}");
    }
}

#[test]
fn a_restart_that_takes_longer_than_the_budget_is_waited_for_before_coming_back() {
    let scene = Scene::new(Manner::default()).with_systemctl("sleep 4; touch \"${0%systemctl}restarted\"");
    let url = scene.url(20);
    let options = [
        "--url",
        &url,
        "--duration",
        "2s",
        "--budget",
        "3s",
        "--restart",
        "app1.service",
    ];
    let running = scene.rehearse(&options);
    running.until_it_says("now: restarting");
    running.signal(Signal::INT);
    let ended = running.wait();
    ended.assert_code(130);
    assert!(scene.path("restarted").exists(), "{ended:#?}");
    assert_eq!(scene.balancer.told(), ["PUT /out", "PUT /in"], "{ended:#?}");
}

#[test]
fn an_interruption_while_the_last_answers_are_awaited_ends_in_the_whole_report() {
    let scene = Scene::new(Manner::default());
    let (quick, slow) = (scene.url(20), scene.url(4000));
    let options = [
        "--url",
        &quick,
        "--url",
        &slow,
        "--url",
        &quick,
        "--duration",
        "2s",
    ];
    let running = scene.rehearse(&options);
    running.until_it_says("now: waiting for the last answers");
    running.signal(Signal::INT);
    let ended = running.wait();
    ended.assert_code(130);
    assert_eq!(ended.report["outcome"], "interrupted", "{ended:#?}");
    assert!(
        ended.number("unanswered") > 0,
        "it does not wait for them: {ended:#?}"
    );
    assert!(ended.report["drained_ms"].is_u64(), "{ended:#?}");
    assert_eq!(
        ended.report["load_balancers"][0]["outcome"], "drained",
        "{ended:#?}"
    );
}

#[test]
fn an_interruption_does_not_hide_what_went_wrong() {
    let scene = Scene::new(Manner::default());
    let (quick, slow) = (scene.url(20), scene.url(4000));
    let options = [
        "--url",
        &quick,
        "--url",
        &slow,
        "--url",
        &quick,
        "--duration",
        "2s",
        "--budget",
        "1s",
    ];
    let running = scene.rehearse(&options);
    running.until_it_says("now: waiting for the last answers");
    running.signal(Signal::INT);
    let ended = running.wait();
    ended.assert_code(1);
    assert_eq!(ended.report["outcome"], "interrupted", "{ended:#?}");
    assert!(
        ended.troubles().contains("not drained within the budget"),
        "{ended:#?}"
    );
}

#[test]
fn a_restart_that_fails_is_told_and_this_host_comes_back() {
    let scene =
        Scene::new(Manner::default()).with_systemctl("echo 'Unit app1.service not found.' >&2; exit 5");
    let url = scene.url(20);
    let ended = scene
        .rehearse(&["--url", &url, "--duration", "2s", "--restart", "app1.service"])
        .wait();
    ended.assert_code(1);
    assert!(scene.balancer.is_meant_in(), "{ended:#?}");
    let troubles = ended.report["troubles"].to_string();
    assert!(troubles.contains("Unit app1.service not found."), "{ended:#?}");
}

#[test]
fn one_load_balancer_that_does_not_let_go_ends_it_and_this_host_comes_back_to_all() {
    let stubborn = Fake::start(|asked| match asked.line().as_str() {
        "PUT /out" => Reply::new(403, "not you"),
        _ => Reply::new(200, ""),
    });
    let scene = Scene::new(Manner::default()).with_configuration(&format!(
        "[[load_balancer]]\nname = \"stubborn\"\nprovider = \"http\"\n\
         deregister = {{ method = \"PUT\", url = \"{url}/out\" }}\nregister = {{ method = \"PUT\", url = \"{url}/in\" }}\n",
        url = stubborn.url()
    ));
    let url = scene.url(20);
    let ended = scene.rehearse(&["--url", &url, "--duration", "2s"]).wait();
    ended.assert_code(1);
    assert_eq!(scene.balancer.told(), ["PUT /out", "PUT /in"], "{ended:#?}");
    assert_eq!(
        stubborn.lines().last().map(String::as_str),
        Some("PUT /in"),
        "{ended:#?}"
    );
    let troubles = ended.report["troubles"].to_string();
    for says in ["not out of every load balancer", "stubborn", "403"] {
        assert!(troubles.contains(says), "{ended:#?}");
    }
}
