//! Verbs that change nothing.

use lb_drain_api::{Rotation, Severity};

use super::{Absence, Fixture, Trouble, assert_shows_in_service, cannot, done, found, is_temporary, looked};

/// Every line that an operator reads starts with these.
pub async fn the_identity_names_provider_and_endpoint(fixture: &impl Fixture) {
    let balancer = fixture.balancer();
    let identity = balancer.identity();
    assert!(!identity.provider.is_empty());
    assert!(!identity.endpoint.is_empty());
    assert_eq!(
        identity,
        fixture.balancer().identity(),
        "the same in each process"
    );
}

/// What is in service is shown so.
pub async fn find_shows_this_host_in_service(fixture: &impl Fixture) {
    assert!(fixture.routes_here(), "the fixture starts in service");
    let view = found(fixture).await;
    assert_shows_in_service(fixture, &view);
    assert!(
        !view.state.is_empty() || !fixture.capabilities().shows_state,
        "{view:?}"
    );
}

/// Two ways to the same answer.
pub async fn look_shows_what_find_shows(fixture: &impl Fixture) {
    let (found, looked) = (found(fixture).await, looked(fixture).await);
    assert_eq!(found.rotation, looked.rotation);
    assert_eq!(found.state, looked.state);
    assert_eq!(found.ports, looked.ports);
}

/// Looking must be safe on a production load balancer.
pub async fn find_look_terms_and_check_change_nothing(fixture: &impl Fixture) {
    let before = fixture.snapshot();
    let (balancer, target) = (fixture.balancer(), fixture.target());
    done(balancer.find()).await.expect("find answers");
    done(balancer.look(&target)).await.expect("look answers");
    done(balancer.terms(&target)).await.expect("terms answers");
    done(balancer.check()).await;
    assert_eq!(fixture.snapshot(), before);
    assert_eq!(fixture.changes(), 0);
}

/// A check that cries wolf is not read.
pub async fn check_has_no_complaint_where_all_is_well(fixture: &impl Fixture) {
    let findings = done(fixture.balancer().check()).await;
    let problems = findings
        .iter()
        .filter(|finding| finding.severity == Severity::Problem)
        .collect::<Vec<_>>();
    assert!(problems.is_empty(), "{problems:#?}");
}

/// The number that ends a drain.
pub async fn requests_in_flight_are_told(fixture: &impl Fixture) {
    if cannot(fixture.capabilities().counts, "does not count requests in flight") {
        assert_eq!(looked(fixture).await.in_flight, None);
        return;
    }
    assert_eq!(looked(fixture).await.in_flight, Some(0));
    fixture.put_in_flight(3);
    assert_eq!(looked(fixture).await.in_flight, Some(3));
    assert_eq!(found(fixture).await.in_flight, Some(3));
}

/// Whether anybody is left when this host leaves: the last one is not taken out for a test.
pub async fn the_others_in_service_are_told(fixture: &impl Fixture) {
    let balancer = fixture.balancer();
    let target = fixture.target();
    let others = || done(balancer.others_in_service(&target, std::slice::from_ref(&target)));
    if cannot(
        fixture.capabilities().knows_others,
        "does not tell of other hosts",
    ) {
        assert_eq!(others().await, Ok(None));
        return;
    }
    let before = fixture.snapshot();
    assert_eq!(others().await, Ok(Some(1)));
    assert_eq!(fixture.snapshot(), before);
    assert_eq!(fixture.changes(), 0);
    fixture.take_others_out();
    assert_eq!(others().await, Ok(Some(0)));
}

/// A host in rotation that is not there would be waited for; one that is left out would stay in.
pub async fn a_host_that_is_not_a_member_is_not_told_to_be_one(fixture: &impl Fixture) {
    fixture.suffer(Trouble::NotAMember).await;
    let balancer = fixture.balancer();
    let entries = done(balancer.find()).await.expect("find answers");
    let entry = entries.into_iter().find(|found| found.target == fixture.target());
    match fixture.capabilities().absence {
        Absence::NotAMember => {
            let view = entry.map(|found| found.view.expect("its state can be read"));
            assert!(
                view.as_ref()
                    .is_none_or(|view| view.rotation == Rotation::NotAMember),
                "{view:?}"
            );
        }
        Absence::Mistake => {
            let error = entry
                .expect("the configured name is answered")
                .view
                .expect_err("it is a mistake");
            assert!(!is_temporary(&error), "{error}");
            assert!(error.to_string().contains(fixture.target().as_str()), "{error}");
        }
        Absence::Hidden => {
            cannot(false, "does not show that a host is not known to it");
        }
    }
    if let Ok(view) = done(balancer.look(&fixture.target())).await {
        assert!(!view.rotation.may_route(), "{view:?}");
    }
}
