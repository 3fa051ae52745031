//! HAProxy itself changes while a host leaves it.

use std::thread;
use std::time::Duration;

use crate::rig::{DRAIN, Haproxy, Load, Machine, Network, Setup, eventually, unit};

#[test]
fn a_reload_during_the_drain_undoes_nothing_and_loses_nothing() {
    let network = Network::new();
    let machine = Machine::boot(&network);
    let haproxy = Haproxy::start(
        &network,
        &machine.share().join("edge"),
        Setup {
            master: true,
            ..Setup::default()
        },
    );
    machine.start_unit("app2.service", &unit("app2", "127.0.0.1:8082", ""));
    // After a reload the socket shows the new worker only, and not what the old one has in flight: `--port`
    // lets the tool see that for itself.
    let hook = "ExecStop=/share/bin/lb-drain deregister --haproxy /share/edge/admin.sock --haproxy-server web/app1 --port 8081 --budget 25s";
    machine.start_unit("app1.service", &unit("app1", "127.0.0.1:8081", hook));
    let load = Load::start(&[&haproxy], 50, Duration::from_secs(3), &[]);
    load.wait_for(200);

    thread::scope(|scope| {
        let stop = scope.spawn(|| machine.systemctl(&["stop", "app1.service"]));
        eventually("app1 drains", || haproxy.admin_state("app1") & DRAIN != 0);
        haproxy.reload();
        eventually("app1 drains in the new worker", || {
            haproxy.admin_state("app1") & DRAIN != 0
        });
        let stop = stop.join().expect("no panic");
        assert!(stop.status.success(), "{stop:?}");
    });
    assert_eq!(machine.standing("app1.service"), "inactive (dead) success");
    thread::sleep(Duration::from_millis(500));
    load.finish().assert_nothing_lost(300);
    assert_ne!(haproxy.admin_state("app1") & DRAIN, 0);
}

#[test]
fn one_of_two_haproxys_dead_fails_the_unit_unless_it_is_told_to_go_on() {
    for (prefix, standing) in [
        ("", "failed (failed) exit-code"),
        ("-", "inactive (dead) success"),
    ] {
        let network = Network::new();
        let machine = Machine::boot(&network);
        let mut dead = Haproxy::start(&network, &machine.share().join("dead"), Setup::default());
        dead.kill();
        let alive = Haproxy::start(&network, &machine.share().join("alive"), Setup::default());
        machine.start_unit("app2.service", &unit("app2", "127.0.0.1:8082", ""));
        let hook = format!(
            "ExecStop={prefix}/share/bin/lb-drain deregister --haproxy /share/dead/admin.sock \
             --haproxy /share/alive/admin.sock --haproxy-server web/app1 --budget 5s"
        );
        machine.start_unit("app1.service", &unit("app1", "127.0.0.1:8081", &hook));
        let load = Load::start(&[&alive], 20, Duration::from_secs(2), &[]);
        load.wait_for(40);
        let stop = machine.systemctl(&["stop", "app1.service"]);
        assert!(stop.status.success(), "{stop:?}");
        thread::sleep(Duration::from_millis(300));
        load.finish().assert_nothing_lost(40);

        assert_eq!(machine.standing("app1.service"), standing);
        assert_eq!(alive.admin_state("app1"), DRAIN);
        let journal = machine.journal("app1.service");
        let verdict = journal.lines().last().expect("a verdict");
        assert!(verdict.contains("1 of 2"), "the verdict is honest:\n{journal}");
        assert!(
            journal
                .lines()
                .any(|line| line.contains("/share/dead/admin.sock") && line.contains("still in rotation")),
            "the dead one is named:\n{journal}"
        );
    }
}
