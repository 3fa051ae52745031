//! A signal in the middle of the wait: what was done is told, and stays done.

use std::os::unix::net::UnixStream;
use std::thread;
use std::time::{Duration, Instant};

use lb_drain_test_support::http1::Connection;
use rustix::process::Signal;
use tempfile::tempdir;

use crate::rig::{App, DRAIN, Haproxy, Network, Setup, eventually, lb_drain};

#[test]
fn a_signal_ends_the_wait_with_its_code_and_a_report() {
    for (signal, code) in [(Signal::TERM, 143), (Signal::INT, 130)] {
        let network = Network::new();
        let folder = tempdir().expect("a folder");
        let haproxy = Haproxy::start(&network, &folder.path().join("edge"), Setup::default());
        haproxy.tell("set server web/app2 state maint");
        let _app = App::start(&network, "app1", "127.0.0.1:8081");
        let front = haproxy.front();
        let client = thread::spawn(move || {
            Connection::new(UnixStream::connect(front).expect("connects")).get("/sleep/5000", &[])
        });
        eventually("a request is in flight", || haproxy.in_flight("app1") == 1);

        let socket = haproxy.socket();
        let mut arguments = vec!["deregister", "--haproxy", &socket];
        arguments.extend([
            "--haproxy-server",
            "web/app1",
            "--budget",
            "30s",
            "--output",
            "json",
        ]);
        let running = lb_drain(&network, &arguments);
        eventually("app1 drains", || haproxy.admin_state("app1") == DRAIN);
        thread::sleep(Duration::from_millis(300)); // it waits now
        let signalled = Instant::now();
        running.signal(signal);
        let ended = running.wait();

        ended.assert_code(code);
        let lag = ended.at - signalled;
        assert!(lag < Duration::from_secs(1), "it took {lag:?}: {ended:#?}");
        let report = ended.json();
        assert_eq!(report["outcome"], "interrupted", "{report}");
        assert!(
            report["load_balancers"][0]["deregistered_ms"].is_number(),
            "{report}"
        );
        assert!(ended.stderr.contains("out of rotation"), "{ended:#?}");
        assert_eq!(haproxy.admin_state("app1"), DRAIN, "what was done stays done");
        assert_eq!(client.join().expect("no panic").expect("an answer").status, 200);
    }
}
