//! Out of rotation.

use lb_drain_api::Firmness;

use super::{Fixture, assert_shows_out, cannot, done, left, looked};

/// The promise.
pub async fn after_deregister_nothing_is_routed_here(fixture: &impl Fixture) {
    left(fixture).await.expect("leaves");
    assert!(!fixture.routes_here());
    assert_shows_out(fixture, &looked(fixture).await);
}

/// Leaving with a state that was seen a moment ago is leaving, and a state that comes with the answer is what a look sees.
pub async fn what_was_seen_need_not_be_asked_for_and_what_comes_back_is_true(fixture: &impl Fixture) {
    let (balancer, target) = (fixture.balancer(), fixture.target());
    for is_out in [false, true] {
        let found = done(balancer.find()).await.expect("finds");
        let seen = found.into_iter().find(|found| found.target == target);
        let seen = seen.map(|found| found.view.expect("can be read"));
        assert!(!is_out || seen.as_ref().is_none_or(|view| !view.rotation.may_route()));
        let after = done(balancer.deregister(&target, Firmness::Drain, seen.as_ref()))
            .await
            .expect("leaves");
        assert!(!fixture.routes_here());
        if let Some(view) = after {
            assert_shows_out(fixture, &view);
            assert_eq!(view, looked(fixture).await);
        }
    }
}

/// After an unknown outcome it is asked for again.
pub async fn deregister_twice_is_as_good_as_once(fixture: &impl Fixture) {
    let (balancer, target) = (fixture.balancer(), fixture.target());
    done(balancer.deregister(&target, Firmness::Drain, None))
        .await
        .expect("leaves");
    let once = fixture.snapshot();
    done(balancer.deregister(&target, Firmness::Drain, None))
        .await
        .expect("is out already");
    assert_eq!(fixture.snapshot(), once);
    done(fixture.balancer().deregister(&target, Firmness::Drain, None))
        .await
        .expect("so says another process");
    assert_eq!(fixture.snapshot(), once);
    assert_shows_out(fixture, &looked(fixture).await);
}

/// Two units of one host may stop in the same moment.
pub async fn two_deregisters_at_once_are_as_good_as_one(fixture: &impl Fixture) {
    let (first, second, target) = (fixture.balancer(), fixture.balancer(), fixture.target());
    let (first, second) = done(async {
        tokio::join!(
            first.deregister(&target, Firmness::Drain, None),
            second.deregister(&target, Firmness::Drain, None)
        )
    })
    .await;
    first.expect("leaves");
    second.expect("leaves");
    assert!(!fixture.routes_here());
    assert_shows_out(fixture, &looked(fixture).await);
}

/// Leaving cuts nobody off.
pub async fn requests_in_flight_survive_deregister(fixture: &impl Fixture) {
    if cannot(fixture.capabilities().counts, "does not count requests in flight") {
        return;
    }
    fixture.put_in_flight(2);
    left(fixture).await.expect("leaves");
    assert_eq!(looked(fixture).await.in_flight, Some(2));
}

/// A repeated drain must not bring back what has gone further.
pub async fn firm_goes_further_and_drain_does_not_go_back(fixture: &impl Fixture) {
    if cannot(fixture.capabilities().firm, "knows no firmer state than drain") {
        return;
    }
    let (balancer, target) = (fixture.balancer(), fixture.target());
    done(balancer.deregister(&target, Firmness::Drain, None))
        .await
        .expect("leaves");
    let drained = fixture.snapshot();
    // That it is out is not enough, however lately it was seen.
    let seen = looked(fixture).await;
    done(balancer.deregister(&target, Firmness::Firm, Some(&seen)))
        .await
        .expect("goes further");
    let firm = fixture.snapshot();
    assert_ne!(drained, firm);
    for firmness in [Firmness::Drain, Firmness::Firm] {
        done(balancer.deregister(&target, firmness, None))
            .await
            .expect("is out already");
        assert_eq!(fixture.snapshot(), firm, "{firmness:?}");
    }
    assert_shows_out(fixture, &looked(fixture).await);
}

/// The last means before the budget ends.
pub async fn cut_ends_what_is_in_flight(fixture: &impl Fixture) {
    let capabilities = fixture.capabilities();
    if cannot(capabilities.cuts, "cannot end what is in flight") {
        return;
    }
    let (balancer, target) = (fixture.balancer(), fixture.target());
    assert!(balancer.schedule().cut, "the fixture configures it");
    if capabilities.counts {
        fixture.put_in_flight(2);
    }
    done(balancer.deregister(&target, Firmness::Drain, None))
        .await
        .expect("leaves");
    done(balancer.cut(&target)).await.expect("cuts");
    if capabilities.counts {
        assert_eq!(looked(fixture).await.in_flight, Some(0));
    }
    assert_shows_out(fixture, &looked(fixture).await);
}
