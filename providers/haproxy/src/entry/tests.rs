use serde_json::json;

use super::*;

fn row(admin: u32) -> StateRow<'static> {
    StateRow {
        backend_id: "3",
        backend: "web",
        server: "app1",
        address: "10.0.0.7",
        port: 8080,
        running: 2,
        admin,
        weight: 20,
        configured_weight: 10,
    }
}

fn own() -> Own {
    Own {
        addresses: vec![
            "10.0.0.7".parse().expect("an address"),
            "fd00::7".parse().expect("an address"),
        ]
        .into(),
        loopback: false,
    }
}

fn entry(row: &StateRow<'_>) -> Entry {
    let stat = StatRow {
        backend: "web".into(),
        server: "app1".into(),
        queued: 2,
        current: 5,
        status: "UP".into(),
        cookie: false,
    };
    Entry {
        stat: Some(Stat::new(&stat)),
        ..Entry::new(row, &own())
    }
}

#[test]
fn only_the_servers_own_state_holds_it_out() {
    for (admin, expected) in [
        (0x00, Rotation::InService),
        (0x01, Rotation::Out),          // state maint
        (0x05, Rotation::Out),          // disabled in the configuration
        (0x04, Rotation::InService),    // … and made ready since
        (0x08, Rotation::Out),          // state drain, by hand or by an agent
        (0x02, Rotation::NotInService), // maint of the server that it tracks
        (0x10, Rotation::NotInService), // drain of the server that it tracks
        (0x20, Rotation::NotInService), // its name does not resolve
        (0x0a, Rotation::Out),          // drained itself, tracks one in maint
        (0x18, Rotation::Out),          // drained itself, tracks one in drain
        (0x28, Rotation::Out),          // drained itself, and does not resolve
        (0x40, Rotation::InService),    // its name was set at run time
        (0x48, Rotation::Out),
    ] {
        assert_eq!(entry(&row(admin)).view(true).rotation, expected, "{admin:#x}");
    }
}

#[test]
fn what_keeps_traffic_away_for_now_does_not_count_as_left() {
    for (running, expected) in [
        (0, Rotation::NotInService), // down
        (1, Rotation::InService),    // slow start
        (2, Rotation::InService),
        (3, Rotation::NotInService), // NOLB
    ] {
        let row = StateRow { running, ..row(0) };
        assert_eq!(entry(&row).view(true).rotation, expected, "{running}");
    }
    let weightless = StateRow { weight: 0, ..row(0) };
    assert_eq!(entry(&weightless).view(true).rotation, Rotation::NotInService);
}

#[test]
fn a_server_that_is_down_and_drained_has_left() {
    let row = StateRow { running: 0, ..row(8) };
    assert_eq!(entry(&row).view(true).rotation, Rotation::Out);
}

#[test]
fn in_flight_is_what_is_served_and_what_waits() {
    assert_eq!(entry(&row(0)).view(true).in_flight, Some(7));
}

#[test]
fn numbers_that_are_not_the_whole_are_not_told() {
    assert_eq!(entry(&row(0)).view(false).in_flight, None);
}

#[test]
fn before_holds_what_register_needs() {
    assert_eq!(
        entry(&row(0)).view(true).before,
        json!({"admin_state": 0, "weight": 20, "configured_weight": 10})
    );
}

#[test]
fn a_server_of_a_disabled_backend_is_no_member() {
    let entry = Entry::new(&row(0), &own());
    let view = entry.view(true);
    assert_eq!(view.rotation, Rotation::NotAMember);
    assert_eq!(view.in_flight, None);
}

#[test]
fn ports_are_told_where_the_address_is_ours() {
    let ports = |address, port| {
        let row = StateRow {
            address,
            port,
            ..row(0)
        };
        entry(&row).view(true).ports
    };
    assert_eq!(ports("10.0.0.7", 8080), [8080]);
    assert_eq!(ports("fd00::7", 8080), [8080]);
    assert_eq!(ports("::ffff:10.0.0.7", 8080), [8080]);
    assert!(ports("10.0.0.8", 8080).is_empty());
    assert!(ports("10.0.0.7", 0).is_empty());
    assert!(ports("-", 8080).is_empty());
    assert!(ports("/run/app.sock", 0).is_empty());
}

#[test]
fn loopback_is_this_host_only_where_haproxy_is_too() {
    let near = Own {
        loopback: true,
        ..own()
    };
    assert!(near.is_ours("127.0.0.1") && near.is_ours("127.0.0.2") && near.is_ours("::1"));
    assert!(!own().is_ours("127.0.0.1") && !own().is_ours("::1"));
}
