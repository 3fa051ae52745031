//! What an operator gets when something is wrong.

use std::sync::Arc;
use std::time::Duration;

use lb_drain_api::{Error, Firmness, LoadBalancer, Severity, Target};
use serde_json::Value;

use super::{
    Fixture, Trouble, assert_names_the_endpoint, assert_shows_out, cannot, done, found, is_temporary, left,
    looked,
};

/// All verbs that can fail, told by name, with the error of each; a success is a failure of the test. Where
/// there is no state to show, finding and looking may not even ask.
async fn errors(fixture: &impl Fixture, before: &Value) -> Vec<(&'static str, Error)> {
    let (balancer, target) = (fixture.balancer(), fixture.target());
    let mut errors = Vec::new();
    let mut fails = |verb, outcome: Result<(), Error>| match outcome {
        Ok(()) => panic!("{verb} succeeds"),
        Err(error) => errors.push((verb, error)),
    };
    if fixture.capabilities().shows_state {
        fails("find", find(&balancer, &target).await);
        fails("look", done(balancer.look(&target)).await.map(drop));
    }
    fails(
        "deregister",
        done(balancer.deregister(&target, Firmness::Drain, None))
            .await
            .map(drop),
    );
    fails("register", done(balancer.register(&target, Some(before))).await);
    errors
}

/// `find`, where the failure may be of the whole or of the entry.
async fn find(balancer: &Arc<dyn LoadBalancer>, target: &Target) -> Result<(), Error> {
    for found in done(balancer.find()).await? {
        if found.target == *target {
            found.view?;
        }
    }
    Ok(())
}

/// A load balancer that restarts will answer again.
pub async fn a_refused_connection_is_temporary_and_names_the_endpoint(fixture: &impl Fixture) {
    fails_temporarily(fixture, Trouble::Refused).await;
}

/// The same while it ends.
pub async fn a_connection_that_is_closed_is_temporary_and_names_the_endpoint(fixture: &impl Fixture) {
    fails_temporarily(fixture, Trouble::HangsUp).await;
}

async fn fails_temporarily(fixture: &impl Fixture, trouble: Trouble) {
    let before = found(fixture).await.before;
    let snapshot = fixture.snapshot();
    fixture.suffer(trouble).await;
    for (verb, error) in errors(fixture, &before).await {
        assert!(is_temporary(&error), "{verb}: {error}");
        assert_names_the_endpoint(fixture, &error);
    }
    fixture.recover().await;
    assert_eq!(fixture.snapshot(), snapshot);
    left(fixture).await.expect("leaves after all");
    assert!(!fixture.routes_here());
}

/// Retrying does not help, a person has to.
pub async fn a_denial_is_permanent_and_changes_nothing(fixture: &impl Fixture) {
    if cannot(fixture.capabilities().denies, "cannot tell a denial") {
        return;
    }
    let snapshot = fixture.snapshot();
    fixture.suffer(Trouble::Denied).await;
    let (balancer, target) = (fixture.balancer(), fixture.target());
    let error = done(balancer.deregister(&target, Firmness::Drain, None))
        .await
        .expect_err("is denied");
    assert!(!is_temporary(&error), "{error}");
    assert_names_the_endpoint(fixture, &error);
    assert_eq!(fixture.snapshot(), snapshot);
    assert!(fixture.routes_here());
}

/// An answer that is not understood proves nothing.
pub async fn noise_is_an_error_and_never_a_success(fixture: &impl Fixture) {
    let before = found(fixture).await.before;
    fixture.suffer(Trouble::Garbage).await;
    for (_, error) in errors(fixture, &before).await {
        assert_names_the_endpoint(fixture, &error);
        assert!(error.to_string().len() < 1000, "not all of the noise: {error}");
    }
}

/// A check finds out before a stop does.
pub async fn check_tells_what_is_wrong(fixture: &impl Fixture) {
    let foreseen = fixture.capabilities().foresees;
    cannot(!foreseen.is_empty(), "is not asked by a check");
    for &trouble in foreseen {
        fixture.suffer(trouble).await;
        let findings = done(fixture.balancer().check()).await;
        let told = findings
            .iter()
            .any(|finding| finding.severity == Severity::Problem);
        assert!(told, "{trouble:?}: {findings:#?}");
        fixture.recover().await;
    }
    assert_eq!(fixture.changes(), 0);
}

/// The engine bounds each call, and drops what takes too long.
pub async fn a_verb_dropped_midway_can_be_repeated(fixture: &impl Fixture) {
    /// Enough for a verb to be in the middle of it, in any case not enough for it to end by itself.
    const MIDWAY: Duration = Duration::from_millis(200);
    let before = found(fixture).await;
    let (balancer, target) = (fixture.balancer(), fixture.target());
    fixture.suffer(Trouble::Silent).await;
    let dropped = tokio::time::timeout(MIDWAY, balancer.deregister(&target, Firmness::Drain, None)).await;
    assert!(
        dropped.is_err(),
        "nobody answers, so nothing is known: {dropped:?}"
    );
    fixture.recover().await;
    done(balancer.deregister(&target, Firmness::Drain, None))
        .await
        .expect("leaves");
    assert!(!fixture.routes_here());
    assert_shows_out(fixture, &looked(fixture).await);
    fixture.settle().await;

    fixture.suffer(Trouble::Silent).await;
    let dropped = tokio::time::timeout(MIDWAY, balancer.register(&target, Some(&before.before))).await;
    assert!(
        dropped.is_err(),
        "nobody answers, so nothing is known: {dropped:?}"
    );
    fixture.recover().await;
    done(balancer.register(&target, Some(&before.before)))
        .await
        .expect("comes back");
    fixture.settle().await;
    assert!(fixture.routes_here());
}

/// It was done, and nobody said so.
pub async fn a_change_whose_answer_was_lost_can_be_repeated(fixture: &impl Fixture) {
    let before = found(fixture).await;
    let (balancer, target) = (fixture.balancer(), fixture.target());
    fixture.suffer(Trouble::AnswerLost).await;
    let error = done(balancer.deregister(&target, Firmness::Drain, None))
        .await
        .expect_err("nothing is known");
    assert!(is_temporary(&error), "{error}");
    fixture.recover().await;
    done(balancer.deregister(&target, Firmness::Drain, None))
        .await
        .expect("leaves, or has left");
    assert!(!fixture.routes_here());
    fixture.settle().await;

    fixture.suffer(Trouble::AnswerLost).await;
    let error = done(balancer.register(&target, Some(&before.before)))
        .await
        .expect_err("nothing is known");
    assert!(is_temporary(&error), "{error}");
    fixture.recover().await;
    done(balancer.register(&target, Some(&before.before)))
        .await
        .expect("comes back, or has come back");
    fixture.settle().await;
    assert!(fixture.routes_here());
}

/// Journals are read by many.
pub async fn no_secret_is_shown(fixture: &impl Fixture) {
    let view = found(fixture).await;
    let mut shown = format!("{:?} {view:?}", fixture.balancer());
    let troubles = [
        Trouble::Denied,
        Trouble::Garbage,
        Trouble::HangsUp,
        Trouble::Refused,
    ];
    for trouble in troubles {
        if trouble == Trouble::Denied && !fixture.capabilities().denies {
            continue;
        }
        fixture.suffer(trouble).await;
        let (balancer, target) = (fixture.balancer(), fixture.target());
        let outcomes = [
            find(&balancer, &target).await,
            done(balancer.look(&target)).await.map(drop),
            done(balancer.deregister(&target, Firmness::Drain, None))
                .await
                .map(drop),
            done(balancer.register(&target, Some(&view.before))).await,
        ];
        for error in outcomes.into_iter().filter_map(Result::err) {
            shown += &format!("\n{error} {error:?}");
        }
        shown += &format!("\n{:?}", done(balancer.check()).await);
        fixture.recover().await;
    }
    for secret in fixture.secrets() {
        assert!(
            !secret.is_empty() && !shown.contains(&secret),
            "{secret:?} is shown in: {shown}"
        );
    }
}
