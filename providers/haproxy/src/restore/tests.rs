use lb_drain_api::Addresses;
use serde_json::json;

use super::*;
use crate::entry::Own;
use crate::table::StateRow;

const READY: u32 = 0;
const MAINT: u32 = 0x01;
const DRAIN: u32 = 0x08;

fn now(admin: u32, weight: u32, configured_weight: u32) -> Entry {
    let row = StateRow {
        backend_id: "3",
        backend: "web",
        server: "app1",
        address: "10.0.0.7",
        port: 8080,
        running: 2,
        admin,
        weight,
        configured_weight,
    };
    let own = Own {
        addresses: Addresses::default(),
        loopback: false,
    };
    Entry::new(&row, &own)
}

fn before(admin_state: u32) -> Before {
    Before {
        admin_state,
        weight: 1,
        configured_weight: 1,
    }
}

#[test]
fn only_what_we_did_is_undone() {
    use State::{Drain, Ready};
    for (was, is, maint_is_ours, expected) in [
        (Some(READY), DRAIN, false, Ok(Some(Ready))),
        (Some(READY), READY, false, Ok(None)),
        (Some(READY), MAINT, true, Ok(Some(Ready))),
        (Some(READY), MAINT, false, Err(SomebodyElses)),
        (Some(DRAIN), DRAIN, true, Ok(None)),
        (Some(DRAIN), MAINT, true, Ok(Some(Drain))),
        (Some(DRAIN), MAINT, false, Err(SomebodyElses)),
        (Some(DRAIN), READY, true, Ok(None)),
        (Some(MAINT), MAINT, true, Ok(None)),
        (Some(MAINT), MAINT, false, Ok(None)),
        (Some(MAINT), DRAIN, true, Ok(None)),
        (Some(MAINT), READY, true, Ok(None)),
        (Some(0x05), 0x05, true, Ok(None)),
        // What a tracked server or a resolver did is not ours, then or now.
        (Some(0x02), 0x0a, false, Ok(Some(Ready))),
        (Some(READY), 0x10, false, Ok(None)),
        (Some(0x20), 0x28, false, Ok(Some(Ready))),
        // Nothing is known: drain is what a deregister does.
        (None, DRAIN, false, Ok(Some(Ready))),
        (None, READY, false, Ok(None)),
        (None, MAINT, true, Ok(Some(Ready))),
        (None, MAINT, false, Err(SomebodyElses)),
    ] {
        let plan = plan(was.map(before), &now(is, 1, 1), maint_is_ours);
        assert_eq!(
            plan.map(|plan| plan.state),
            expected,
            "{was:?} → {is:#x}, {maint_is_ours}"
        );
    }
}

#[test]
fn the_weight_is_what_it_was() {
    use Weight::{Absolute, Configured, Zero};
    for (was, now, expected) in [
        ((20, 20), (20, 20), None),
        ((7, 20), (7, 20), None),
        ((7, 20), (20, 20), Some(Absolute(7))),
        ((0, 20), (20, 20), Some(Zero)),
        ((20, 20), (7, 20), Some(Configured)),
        // The configuration has changed since: its new weight is meant.
        ((20, 20), (30, 30), None),
        ((20, 20), (5, 30), Some(Configured)),
    ] {
        let before = Before {
            admin_state: READY,
            weight: was.0,
            configured_weight: was.1,
        };
        assert_eq!(
            weight(before, &self::now(DRAIN, now.0, now.1)),
            expected,
            "{was:?} → {now:?}"
        );
    }
}

#[test]
fn without_a_record_the_weight_stays() {
    assert_eq!(
        plan(None, &now(DRAIN, 7, 20), false).map(|plan| plan.weight),
        Ok(None)
    );
}

#[test]
fn what_is_kept_can_be_read_back() {
    let before = Before {
        admin_state: 5,
        weight: 7,
        configured_weight: 20,
    };
    assert_eq!(Before::from_value(&before.to_value(), || "x".into()), Ok(before));
}

#[test]
fn what_cannot_be_read_back_is_told_with_what_to_do() {
    let error =
        Before::from_value(&json!({"weight": 3}), || "haproxy /s web/app1".into()).expect_err("damaged");
    let text = error.to_string();
    assert!(
        text.starts_with(
            "haproxy /s web/app1: cannot read the state that was kept when it left: missing field"
        ),
        "{text}"
    );
    assert!(text.contains("state ready"), "{text}");
}
