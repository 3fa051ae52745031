//! What is measured is what the load balancer was set to.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use lb_drain_test_support::balancer::Manner;

use crate::scene::Scene;

/// So far a figure may be from the truth.
const CLOSE: u64 = 100;

#[test]
fn a_rehearsal_measures_propagation_and_the_longest_request_within_100_ms() {
    // Ten runs, three at a time: propagation and longest request in milliseconds.
    let settings = [
        (0, 400),
        (150, 50),
        (300, 700),
        (450, 20),
        (600, 300),
        (800, 900),
        (1000, 100),
        (1200, 500),
        (1500, 200),
        (1800, 1000),
    ];
    let mut worst = (0, 0);
    let delays = Delays::watch();
    for some in settings.chunks(3) {
        let running: Vec<_> = some
            .iter()
            .map(|&(propagation, longest)| thread::spawn(move || measure(propagation, longest)))
            .collect();
        for (run, &(propagation, longest)) in running.into_iter().zip(some) {
            let (last, slowest, truth) = run.join().expect("a run");
            // Where the machine is busy with other things, clients do wait longer than the service takes: the truth is
            // what the load balancer saw, and never less than the service was set to.
            assert!(truth >= longest, "{truth} ms for a request of {longest} ms");
            assert!(
                slowest + 10 >= truth,
                "no client waits for less: {slowest} and {truth} ms"
            );
            let busy = HOPS * delays.longest();
            let off = (
                last.abs_diff(propagation),
                slowest.saturating_sub(truth).saturating_sub(busy),
            );
            println!(
                "propagation {propagation:4} ms, measured {last:4} ms; longest request {longest:4} ms, measured {slowest:4} ms (seen by the load balancer: {truth} ms)"
            );
            worst = (worst.0.max(off.0), worst.1.max(off.1));
        }
    }
    println!("off by at most {} ms and {} ms", worst.0, worst.1);
    assert!(worst.0 <= CLOSE && worst.1 <= CLOSE, "{worst:?}");
}

/// On the way of a request, so often somebody waits for a processor: client, load balancer, service, and back.
const HOPS: u64 = 5;

/// How long this machine lets somebody wait for a processor.
struct Delays(Arc<AtomicU64>);

impl Delays {
    fn watch() -> Self {
        let longest = Arc::new(AtomicU64::new(0));
        let watched = Arc::downgrade(&longest);
        thread::spawn(move || {
            let nap = Duration::from_millis(5);
            while let Some(longest) = watched.upgrade() {
                let began = Instant::now();
                thread::sleep(nap);
                let late = began.elapsed().saturating_sub(nap);
                longest.fetch_max(
                    late.as_millis().try_into().expect("a short time"),
                    Ordering::Relaxed,
                );
            }
        });
        Self(longest)
    }

    fn longest(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// One rehearsal with this propagation and this longest request: what it measures, and what the load balancer itself
/// saw of the longest.
fn measure(propagation: u64, longest: u64) -> (u64, u64, u64) {
    let scene = Scene::new(Manner {
        takes_effect_after: Duration::from_millis(propagation),
        ..Manner::default()
    });
    let (quick, slow) = (scene.url(15), scene.url(longest));
    // Two of three requests are quick, and yet longer than a tick of the kernel: of shorter ones on kept connections
    // it may stay open whether they were answered.
    let urls = ["--url", &quick, "--url", &slow, "--url", &quick];
    let ended = scene
        .rehearse(&[&urls[..], &["--duration", "3s", "--rate", "100"]].concat())
        .wait();
    ended.assert_code(0);
    assert_eq!(ended.number("failed"), 0, "{ended:#?}");
    assert_eq!(ended.report["still_arriving"], false, "{ended:#?}");
    assert_eq!(
        ended.report["evidence"],
        format!("nothing in flight on port {} for 300 ms", scene.port())
    );
    let back = ended.number("back_ms");
    assert!(
        back.abs_diff(propagation) <= CLOSE,
        "back after {back} ms: {ended:#?}"
    );
    (
        ended.number("last_new_request_ms"),
        ended.number("longest_request_ms"),
        u64::try_from(scene.balancer.longest().as_millis()).expect("a short time"),
    )
}

#[test]
fn the_lines_to_write_follow_from_what_was_measured() {
    let scene = Scene::new(Manner {
        takes_effect_after: Duration::from_millis(1000),
        ..Manner::default()
    });
    let url = scene.url(100);
    let ended = scene.rehearse(&["--url", &url, "--duration", "3s"]).wait();
    ended.assert_code(0);
    let lines: Vec<&str> = ended.report["advice"]
        .as_array()
        .expect("lines")
        .iter()
        .filter_map(|line| line["line"].as_str())
        .collect();
    // 1.5 times 1 s, and whole seconds.
    assert_eq!(
        lines,
        [r#"min_wait = "2s""#, r#"budget = "5s""#, "TimeoutStopSec=6s"],
        "{ended:#?}"
    );
}

#[test]
fn requests_that_still_come_when_the_watch_ends_are_no_measurement() {
    let scene = Scene::new(Manner {
        takes_effect_after: Duration::from_secs(30),
        ..Manner::default()
    });
    let url = scene.url(10);
    let ended = scene
        .rehearse(&["--url", &url, "--duration", "2s", "--budget", "1500ms"])
        .wait();
    ended.assert_code(1);
    assert_eq!(ended.report["still_arriving"], true, "{ended:#?}");
    assert_eq!(ended.report["advice"], serde_json::json!([]));
    assert!(
        ended.report["troubles"].to_string().contains("not drained"),
        "{ended:#?}"
    );
}

#[test]
fn a_restart_at_once_leaves_no_time_to_see_that_nothing_comes() {
    let scene = Scene::new(Manner::default()).with_systemctl("exec sleep 1");
    let url = scene.url(10);
    // One in 400 ms comes here, so that a watch of less than 2 s shows nothing.
    let options = [
        "--url",
        &url,
        "--duration",
        "9s",
        "--rate",
        "5",
        "--restart",
        "app1.service",
    ];
    let ended = scene.rehearse(&options).wait();
    ended.assert_code(0);
    assert_eq!(
        ended.report["last_new_request_ms"],
        serde_json::Value::Null,
        "{ended:#?}"
    );
    let lines = ended.report["advice"].to_string();
    assert!(!lines.contains("min_wait = "), "{ended:#?}");
    assert!(lines.contains("in [Service] of app1.service"), "{ended:#?}");
    // The same object as that of `deregister`, and more.
    assert_eq!(ended.number("budget_ms"), 10_000);
    assert_eq!(ended.report["budget_source"], "config");
    assert!(ended.number("elapsed_ms") >= 3000, "{ended:#?}");
    assert_eq!(ended.report["load_balancers"][0]["name"], "edge", "{ended:#?}");
    assert_eq!(
        ended.report["load_balancers"][0]["outcome"], "drained",
        "{ended:#?}"
    );
}

#[test]
fn requests_and_connections_that_still_come_are_counted() {
    let scene = Scene::new(Manner {
        takes_effect_after: Duration::from_millis(700),
        ..Manner::default()
    });
    let url = scene.url(100);
    let running = scene.rehearse(&["--url", &url, "--duration", "3s"]);
    running.until_it_says("now: out");
    // A health check, say.
    for _ in 0..3 {
        drop(std::net::TcpStream::connect(("127.0.0.1", scene.port())).expect("connects"));
    }
    let ended = running.wait();
    ended.assert_code(0);
    let came = &ended.report["came_after_leaving"];
    // Half of 50 requests a second, for 0.7 s.
    assert!(
        (10..=25).contains(&came["requests"].as_u64().expect("a number")),
        "{came}"
    );
    assert!(came["connections"].as_u64() >= Some(3), "{came}");
}
