//! What the operator reads after a stop: a short story, each line true, the last one the verdict.

use std::time::Duration;

use crate::rig::{Haproxy, Load, Machine, Network, Setup, assert_story, eventually, unit};

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
