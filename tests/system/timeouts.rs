//! The budget is never overrun: stops of units with all sorts of `TimeoutStopSec=` behind a load balancer that never
//! drains.
//!
//! Every stop takes as long as its unit allows, so they run side by side: 50 of them, as when a machine goes down.
//! `STOP_TIMEOUTS=2,5,30,300` says which timeouts; 300 s take five minutes, so the usual run goes without.

use std::collections::BTreeMap;
use std::env;
use std::os::unix::net::UnixStream;
use std::thread;
use std::time::{Duration, Instant};

use lb_drain_test_support::http1::Connection;

use crate::rig::{DRAIN, Host, Setup, address, eventually, unit};

const STOPS: usize = 50;

#[test]
fn fifty_stops_behind_a_load_balancer_that_never_drains_end_in_time() {
    let timeouts = env::var("STOP_TIMEOUTS").unwrap_or_else(|_| "2,5,30".to_owned());
    let timeouts: Vec<u64> = timeouts
        .split(',')
        .map(|timeout| timeout.parse().expect("STOP_TIMEOUTS are seconds"))
        .collect();
    let longest = *timeouts.iter().max().expect("at least one");
    let host = Host::behind(Setup {
        backend: "timeout server 1h",
        ..Setup::default()
    });
    host.haproxy.tell("set server web/app2 state maint");
    host.machine
        .start_unit("app1.service", &unit("app1", &address("app1"), ""));
    // The request that never ends, for as long as this test is interested.
    let front = host.haproxy.front();
    thread::spawn(move || {
        let stream = UnixStream::connect(front).expect("connects");
        let path = format!("/sleep/{}", (longest + 60) * 1000);
        drop(Connection::new(stream).get(&path, &[]));
    });
    eventually("a request is in flight", || host.haproxy.in_flight("app1") == 1);

    let units: BTreeMap<String, u64> = (0..STOPS)
        .map(|number| {
            let timeout = timeouts[number % timeouts.len()];
            (format!("stop-{timeout:03}s-{number:02}.service"), timeout)
        })
        .collect();
    for (name, timeout) in &units {
        let text = format!(
            "[Service]\nExecStart=/bin/sleep infinity\nTimeoutStopSec={timeout}s\n\
             ExecStop=/usr/local/bin/lb-drain deregister --haproxy /share/edge/admin.sock --haproxy-server web/app1\n"
        );
        host.machine.write(&format!("/run/systemd/system/{name}"), &text);
    }
    host.machine.systemctl_ok(&["daemon-reload"]);
    let names: Vec<&str> = units.keys().map(String::as_str).collect();
    host.machine
        .systemctl_ok(&[&["add-wants", "--runtime", "multi-user.target"], &names[..]].concat());
    host.machine.systemctl_ok(&[&["start"], &names[..]].concat());

    let stops = Instant::now();
    host.machine.systemctl_ok(&[&["stop"], &names[..]].concat());
    println!("{STOPS} stops at once took {:?}", stops.elapsed());
    assert_eq!(host.haproxy.admin_state("app1"), DRAIN);

    let mut left: BTreeMap<u64, Vec<Duration>> = BTreeMap::new();
    let mut others = Vec::new();
    for (name, timeout) in &units {
        let standing = host.machine.standing(name);
        if standing != "inactive (dead) success" {
            others.push((name, standing));
        }
        // From the end of ExecStop= to the moment at which systemd would have called it late.
        let begun = host.machine.moment(name, "ActiveExitTimestampMonotonic");
        let ended = host.machine.moment(name, "ExecMainExitTimestampMonotonic");
        let used = ended.saturating_duration_since(begun);
        left.entry(*timeout)
            .or_default()
            .push(Duration::from_secs(*timeout).saturating_sub(used));
        assert!(
            used * 2 > Duration::from_secs(*timeout),
            "{name} waited for {used:?} only: it saw something drain"
        );
    }
    for (timeout, left) in &left {
        println!(
            "TimeoutStopSec={timeout}: {} stops, the closest ended {:?} before it",
            left.len(),
            left.iter().min().expect("at least one")
        );
    }
    println!("results other than success: {}", others.len());
    assert!(others.is_empty(), "{others:#?}");
}
