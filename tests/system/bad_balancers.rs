//! Load balancers that hang, babble or are unreachable: the budget is kept, and the healthy one does not wait.

use std::io::Write;
use std::os::unix::net::{UnixListener, UnixStream};
use std::thread;
use std::time::Duration;

use serde_json::Value;
use tempfile::tempdir;

use crate::rig::{App, DRAIN, Haproxy, Network, Setup, eventually, lb_drain};

/// The budget of each run, and the time in which the healthy one must be out: alone it takes some
/// milliseconds, after any time-out of the sick one more than this.
const BUDGET: Duration = Duration::from_secs(3);
const AS_IF_ALONE: Duration = Duration::from_millis(700);

#[test]
fn one_that_accepts_and_never_answers() {
    sick_beside_healthy(|_, path| {
        serve(path, |connection| {
            thread::sleep(Duration::from_secs(60));
            drop(connection);
        })
    });
}

#[test]
fn one_that_answers_garbage_for_ever() {
    sick_beside_healthy(|_, path| {
        serve(path, |mut connection| {
            let garbage: Vec<u8> = (0..4096_u32)
                .map(|n| (n.wrapping_mul(0x9E37_79B9) >> 24) as u8)
                .collect();
            while connection.write_all(&garbage).is_ok() {}
        })
    });
}

#[test]
fn one_that_answers_garbage_drop_by_drop() {
    sick_beside_healthy(|_, path| {
        serve(path, |mut connection| {
            while connection.write_all(b"#").is_ok() {
                thread::sleep(Duration::from_millis(50));
            }
        })
    });
}

#[test]
fn one_that_closes_without_an_answer() {
    // An empty answer is what success looks like: only the state, read back, can tell.
    sick_beside_healthy(|_, path| serve(path, drop));
}

#[test]
fn one_whose_host_drops_packets() {
    sick_beside_healthy(|network, _| {
        for rule in [
            "add table inet drops",
            "add chain inet drops output { type filter hook output priority 0; }",
            "add rule inet drops output ip daddr 127.0.0.9 drop",
        ] {
            network.run("nft", &[rule]);
        }
        "tcp://127.0.0.9:9999".to_owned()
    });
}

/// Deregisters from a healthy HAProxy and from the sick one that `sick` makes and names, given a free path.
fn sick_beside_healthy(sick: impl FnOnce(&Network, String) -> String) {
    let network = Network::new();
    let folder = tempdir().expect("a folder");
    let healthy = Haproxy::start(&network, &folder.path().join("healthy"), Setup::default());
    let _app = App::start(&network, "app1", "127.0.0.1:8081");
    let path = folder.path().join("sick.sock").display().to_string();
    let sick = sick(&network, path);

    let socket = healthy.socket();
    let mut arguments = vec!["deregister", "--haproxy", &sick, "--haproxy", &socket];
    arguments.extend([
        "--haproxy-server",
        "web/app1",
        "--budget",
        "3s",
        "--output",
        "json",
    ]);
    let running = lb_drain(&network, &arguments);
    let out =
        eventually("the healthy one is told", || healthy.admin_state("app1") == DRAIN) - running.started;
    let ended = running.wait();

    println!(
        "healthy one out after {out:?}, exit {:?} before the deadline",
        BUDGET.saturating_sub(ended.elapsed)
    );
    ended.assert_code(1);
    assert!(ended.elapsed < BUDGET, "{ended:#?}");
    assert!(
        out < AS_IF_ALONE,
        "the healthy one had to wait {out:?}: {ended:#?}"
    );
    let report = ended.json();
    assert_eq!(report["outcome"], "failed", "{report}");
    let balancers = report["load_balancers"].as_array().expect("a list");
    let about = |endpoint: &str| -> &Value {
        balancers
            .iter()
            .find(|balancer| {
                balancer["endpoint"]
                    .as_str()
                    .is_some_and(|text| text.contains(endpoint))
            })
            .unwrap_or_else(|| panic!("{endpoint} in {report}"))
    };
    assert_eq!(about("healthy/admin.sock")["outcome"], "drained", "{report}");
    let failed = about(&sick);
    assert_eq!(failed["outcome"], "failed", "{report}");
    assert!(
        failed["error"]
            .as_str()
            .is_some_and(|error| error.contains(&sick)),
        "{report}"
    );
    let verdict = ended.stderr.lines().last().expect("a verdict");
    assert!(verdict.contains("1 of 2"), "{ended:#?}");
}

/// Serves each connection at this path in a thread of its own, for as long as the test runs.
fn serve(path: String, each: impl Fn(UnixStream) + Send + Sync + Copy + 'static) -> String {
    let listener = UnixListener::bind(&path).expect("binds");
    thread::spawn(move || {
        for connection in listener.incoming() {
            let connection = connection.expect("accepts");
            thread::spawn(move || each(connection));
        }
    });
    path
}
