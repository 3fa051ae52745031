//! A signal in the middle of the wait: what was done is told, and stays done.

use std::fs::OpenOptions;
use std::io::Write;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use lb_drain_test_support::http1::Connection;
use rustix::fs::{CWD, FileType, Mode, mknodat};
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

/// A configuration that takes as long to read as the test wants: nobody has written it yet.
fn slow_configuration(folder: &Path) -> String {
    let path = folder.join("slow.toml");
    mknodat(CWD, &path, FileType::Fifo, Mode::RWXU, 0).expect("makes the pipe");
    path.display().to_string()
}

#[test]
fn a_signal_before_the_configuration_is_read_is_heard() {
    for (signal, code) in [(Signal::TERM, 143), (Signal::INT, 130), (Signal::HUP, 0)] {
        let network = Network::new();
        let folder = tempdir().expect("a folder");
        let haproxy = Haproxy::start(&network, &folder.path().join("edge"), Setup::default());
        let path = slow_configuration(folder.path());
        let running = lb_drain(&network, &["deregister", "--config", &path, "--output", "json"]);
        // Opening it waits for who reads.
        let mut pipe = OpenOptions::new().write(true).open(&path).expect("it is there");
        running.signal(signal);
        let text = format!(
            "[[load_balancer]]\nprovider = \"haproxy\"\nsockets = [\"{}\"]\nservers = [\"web/app1\"]\n",
            haproxy.socket()
        );
        pipe.write_all(text.as_bytes()).expect("it reads");
        drop(pipe);
        let ended = running.wait();
        ended.assert_code(code);
        let (outcome, state) = if code == 0 {
            ("drained", DRAIN)
        } else {
            ("interrupted", 0)
        };
        assert_eq!(ended.json()["outcome"], outcome, "{ended:#?}");
        assert_eq!(haproxy.admin_state("app1"), state, "{ended:#?}");
    }
}

#[test]
fn a_configuration_that_cannot_be_read_in_time_ends_with_the_budget() {
    let network = Network::new();
    let folder = tempdir().expect("a folder");
    let path = slow_configuration(folder.path());
    let ended = lb_drain(&network, &["deregister", "--config", &path, "--budget", "1s"]).wait();
    ended.assert_code(1);
    assert!(ended.elapsed < Duration::from_secs(1), "{ended:#?}");
    assert!(ended.stderr.contains("nothing was touched"), "{ended:#?}");
}
