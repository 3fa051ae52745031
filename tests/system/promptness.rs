//! No second longer than needed: how soon after the last answer the tool ends.

use std::os::unix::net::UnixStream;
use std::thread;
use std::time::{Duration, Instant};

use lb_drain_test_support::http1::Connection;
use tempfile::tempdir;

use crate::rig::{App, Haproxy, Network, Setup, eventually, lb_drain, median};

/// Stops to measure.
const STOPS: u64 = 24;

#[test]
fn from_the_last_answer_to_the_exit_it_takes_a_moment() {
    let network = Network::new();
    let folder = tempdir().expect("a folder");
    let haproxy = Haproxy::start(&network, &folder.path().join("edge"), Setup::default());
    haproxy.tell("set server web/app2 state maint");
    let _app = App::start(&network, "app1", "127.0.0.1:8081");
    let socket = haproxy.socket();
    let mut arguments = vec!["deregister", "--haproxy", &socket];
    arguments.extend(["--haproxy-server", "web/app1", "--budget", "20s"]);

    let lags = (0..STOPS)
        .map(|stop| {
            haproxy.tell("set server web/app1 state ready");
            let front = haproxy.front();
            let client = thread::spawn(move || {
                let mut connection = Connection::new(UnixStream::connect(front).expect("connects"));
                // Lengths that no rhythm of polls divides.
                let answer = connection.get(&format!("/sleep/{}", 200 + stop * 37), &[]);
                (Instant::now(), answer.expect("an answer").status, connection)
            });
            eventually("the request is in flight", || haproxy.in_flight("app1") == 1);
            let ended = lb_drain(&network, &arguments).wait();
            ended.assert_code(0);
            let (answered, status, _idle_connection) = client.join().expect("no panic");
            assert_eq!(status, 200);
            // This process may notice the answer some milliseconds after the tool did.
            assert!(
                ended.at + Duration::from_millis(50) > answered,
                "it did not wait for the answer: {ended:#?}"
            );
            ended.at.saturating_duration_since(answered)
        })
        .collect::<Vec<_>>();

    let median = median(lags.clone());
    println!("from the last answer to the exit, median of {STOPS} stops: {median:?}; all: {lags:?}");
    assert!(median <= Duration::from_millis(50), "{median:?} of {lags:?}");
}
