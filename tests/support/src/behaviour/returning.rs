//! Back into rotation.

use lb_drain_api::View;
use serde_json::Value;

use super::{Fixture, assert_shows_in_service, assert_shows_out, cannot, done, found, left, looked};

/// Leaves and lets pass what has to; returns the view from before.
async fn leave(fixture: &impl Fixture) -> View {
    let before = found(fixture).await;
    left(fixture).await.expect("leaves");
    fixture.settle().await;
    assert!(!fixture.routes_here());
    before
}

/// Comes back by another process, with what was kept in a file.
async fn come_back(fixture: &impl Fixture, before: &Value) {
    let kept: Value = serde_json::from_str(&before.to_string()).expect("JSON");
    done(fixture.balancer().register(&fixture.target(), Some(&kept)))
        .await
        .expect("comes back");
    fixture.settle().await;
}

/// The way back.
pub async fn register_brings_back_what_deregister_took_out(fixture: &impl Fixture) {
    let before = leave(fixture).await;
    come_back(fixture, &before.before).await;
    assert!(fixture.routes_here());
    assert_shows_in_service(fixture, &looked(fixture).await);
}

/// As it was: state, weight, port, zone.
pub async fn register_restores_what_find_saw(fixture: &impl Fixture) {
    let snapshot = fixture.snapshot();
    let before = leave(fixture).await;
    come_back(fixture, &before.before).await;
    assert_eq!(fixture.snapshot(), snapshot);
    let after = found(fixture).await;
    assert_eq!(after.rotation, before.rotation);
    assert_eq!(after.state, before.state);
    assert_eq!(after.ports, before.ports);
    assert_eq!(after.before, before.before);
}

/// After a reboot there is no record.
pub async fn register_works_without_a_record(fixture: &impl Fixture) {
    if cannot(
        fixture.capabilities().registers_from_configuration,
        "has to be told how it was",
    ) {
        return;
    }
    leave(fixture).await;
    done(fixture.balancer().register(&fixture.target(), None))
        .await
        .expect("comes back");
    fixture.settle().await;
    assert!(fixture.routes_here());
}

/// After an unknown outcome it is asked for again.
pub async fn register_twice_is_as_good_as_once(fixture: &impl Fixture) {
    let before = leave(fixture).await;
    come_back(fixture, &before.before).await;
    let once = fixture.snapshot();
    come_back(fixture, &before.before).await;
    assert_eq!(fixture.snapshot(), once);
    assert!(fixture.routes_here());
}

/// A restart a day.
pub async fn a_host_can_leave_again_after_it_came_back(fixture: &impl Fixture) {
    for _ in 0..3 {
        let before = leave(fixture).await;
        assert_shows_out(fixture, &looked(fixture).await);
        come_back(fixture, &before.before).await;
        assert!(fixture.routes_here());
    }
}
