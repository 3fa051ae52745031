//! When AWS, the way to it, or what this host knows of itself is not as it should be: each failure ends
//! soon, says whether to ask again, and tells the operator what to do.

mod common;

use std::sync::Arc;
use std::time::{Duration, Instant};

use common::{OTHER, find, host, leave, one, settings, sources, web};
use lb_drain_api::{Error, Firmness, Lifetime, LoadBalancer, Rotation};
use lb_drain_aws_elbv2::{Settings, Sources, connect_with};
use lb_drain_test_support::elbv2::{Elbv2, Fault, TargetGroup};
use lb_drain_test_support::imds::{INSTANCE_ID, Imds, Mode};

const TEMPORARY: Lifetime = Lifetime::Temporary { retry_after: None };

/// What `find` fails with, and that it fails in bounded time.
async fn fails(balancer: &dyn LoadBalancer) -> Error {
    let begun = Instant::now();
    let error = balancer.find().await.expect_err("a failure");
    // The budget is 30 s, of which one attempt may take a third and a bit.
    assert!(
        begun.elapsed() < Duration::from_secs(12),
        "{:?}: {error}",
        begun.elapsed()
    );
    println!("{error}");
    error
}

fn says(error: &Error, lifetime: Lifetime, parts: &[&str]) {
    let text = error.to_string();
    assert_eq!(error.lifetime(), lifetime, "{text}");
    assert!(text.starts_with("aws-elbv2 web "), "{text}");
    for part in parts {
        assert!(text.contains(part), "{part}: {text}");
    }
}

/// A host that has to ask the instance metadata for its id.
fn nameless(fake: &Elbv2, arn: &str, metadata: String) -> Arc<dyn LoadBalancer> {
    let settings = Settings {
        target_id: None,
        ..settings(fake, &[arn])
    };
    connected(
        settings,
        Sources {
            metadata: Some(metadata),
            ..sources()
        },
    )
}

/// A host that has to ask the instance metadata for credentials.
fn poor(fake: &Elbv2, arn: &str, metadata: String) -> Arc<dyn LoadBalancer> {
    connected(
        settings(fake, &[arn]),
        Sources {
            credentials: None,
            metadata: Some(metadata),
        },
    )
}

fn connected(settings: Settings, sources: Sources) -> Arc<dyn LoadBalancer> {
    connect_with(settings, &host(), &sources)
        .expect("settings")
        .remove(0)
}

#[tokio::test]
async fn expired_credentials_are_to_be_renewed() {
    let (fake, arn) = web();
    fake.expire_credentials();
    let error = fails(&*one(settings(&fake, &[&arn]))).await;
    says(
        &error,
        Lifetime::Permanent,
        &["ExpiredToken", "renew the credentials"],
    );
}

#[tokio::test]
async fn credentials_that_expire_while_draining_do_not_undo_what_was_done() {
    let (fake, arn) = web();
    let balancer = one(settings(&fake, &[&arn]));
    let (target, view) = leave(&*balancer).await;
    assert_eq!(view.rotation, Rotation::Out);
    fake.expire_credentials();
    let error = balancer.look(&target).await.expect_err("expired");
    says(&error, Lifetime::Permanent, &["ExpiredToken"]);
    let terms = balancer.terms(&target).await.expect("assumed");
    assert!(terms.remark.is_some_and(|remark| remark.contains("ExpiredToken")));
}

#[tokio::test]
async fn a_name_in_the_wrong_region_is_not_found_there() {
    let (fake, _) = web();
    let balancer = one(Settings {
        region: Some("us-east-1".to_owned()),
        ..settings(&fake, &["web"])
    });
    let error = fails(&*balancer).await;
    says(
        &error,
        Lifetime::Permanent,
        &["TargetGroupNotFound", "us-east-1 is its region"],
    );
}

#[tokio::test]
async fn a_deleted_target_group_is_told_with_its_region() {
    let (fake, arn) = web();
    fake.delete(&arn);
    let error = fails(&*one(settings(&fake, &[&arn]))).await;
    says(
        &error,
        Lifetime::Permanent,
        &["TargetGroupNotFound", "eu-west-1 is its region", "account"],
    );
}

#[tokio::test]
async fn an_endpoint_that_refuses_connections_may_come_back() {
    let (fake, arn) = web();
    let balancer = one(Settings {
        endpoint_url: Some(Imds::absent()),
        ..settings(&fake, &[&arn])
    });
    let error = fails(&*balancer).await;
    says(
        &error,
        TEMPORARY,
        &[
            "could not be asked for DescribeTargetHealth",
            "Connection refused",
        ],
    );
}

#[tokio::test]
async fn an_endpoint_whose_name_does_not_resolve_may_come_back() {
    let (fake, arn) = web();
    let balancer = one(Settings {
        endpoint_url: Some("http://elb.invalid".to_owned()),
        ..settings(&fake, &[&arn])
    });
    let error = fails(&*balancer).await;
    says(
        &error,
        TEMPORARY,
        &["could not be asked for DescribeTargetHealth"],
    );
}

#[tokio::test]
async fn an_endpoint_that_never_answers_does_not_take_the_whole_budget() {
    let (fake, arn) = web();
    fake.fail("DescribeTargetHealth", Fault::Silence, 1);
    let balancer = one(settings(&fake, &[&arn]));
    let error = fails(&*balancer).await;
    says(
        &error,
        TEMPORARY,
        &["got no answer to DescribeTargetHealth in time"],
    );
    assert_eq!(
        leave(&*balancer).await.1.rotation,
        Rotation::Out,
        "the next attempt succeeds"
    );
}

#[tokio::test]
async fn a_call_that_is_dropped_while_it_waits_leaves_the_next_one_free() {
    let (fake, arn) = web();
    fake.fail("DescribeTargetHealth", Fault::Silence, 1);
    let balancer = one(settings(&fake, &[&arn]));
    let dropped = tokio::time::timeout(Duration::from_millis(300), balancer.find()).await;
    assert!(dropped.is_err());
    assert_eq!(leave(&*balancer).await.1.rotation, Rotation::Out);
}

#[tokio::test]
async fn a_connection_that_breaks_may_hold_the_next_time() {
    let (fake, arn) = web();
    fake.fail("DescribeTargetHealth", Fault::HangUp, 1);
    let balancer = one(settings(&fake, &[&arn]));
    says(
        &fails(&*balancer).await,
        TEMPORARY,
        &["could not be asked for DescribeTargetHealth"],
    );
    assert_eq!(leave(&*balancer).await.1.rotation, Rotation::Out);
}

#[tokio::test]
async fn something_else_behind_the_endpoint_is_told_apart() {
    let (fake, arn) = web();
    fake.fail("DescribeTargetHealth", Fault::Garbage, 1);
    let error = fails(&*one(settings(&fake, &[&arn]))).await;
    says(
        &error,
        TEMPORARY,
        &[
            "did not understand the answer to DescribeTargetHealth",
            "status 200",
            "`endpoint_url`",
        ],
    );
}

#[tokio::test]
async fn an_answer_without_end_is_not_read_to_its_end() {
    let (fake, arn) = web();
    fake.fail("DescribeTargetHealth", Fault::Endless, 1);
    let error = fails(&*one(settings(&fake, &[&arn]))).await;
    says(
        &error,
        TEMPORARY,
        &[
            "did not understand",
            "the answer is longer than 4 MiB",
            "`endpoint_url`",
        ],
    );
    let imds = Imds::start(Mode::Endless);
    let error = fails(&*nameless(&fake, &arn, imds.url())).await;
    says(
        &error,
        TEMPORARY,
        &[
            "could not learn the instance's id",
            "the answer is longer than 4 MiB",
        ],
    );
}

#[tokio::test]
async fn a_service_in_trouble_is_asked_again() {
    let (fake, arn) = web();
    for (status, code) in [(503, "ServiceUnavailable"), (500, "InternalFailure")] {
        let fault = Fault::Refuse {
            status,
            code: code.to_owned(),
        };
        fake.fail("DeregisterTargets", fault, 1);
        let balancer = one(settings(&fake, &[&arn]));
        let (target, _) = find(&*balancer).await;
        let error = balancer
            .deregister(&target, Firmness::Drain, None)
            .await
            .expect_err(code);
        says(&error, TEMPORARY, &["refused DeregisterTargets", code]);
        balancer
            .deregister(&target, Firmness::Drain, None)
            .await
            .expect("accepted");
        fake.set_state(&arn, INSTANCE_ID, 8080, "healthy", "");
    }
}

#[tokio::test]
async fn a_certificate_that_nobody_trusts_is_not_asked_twice() {
    let fake = Elbv2::start_tls();
    let arn = fake.add(TargetGroup::new("web"));
    let error = fails(&*one(settings(&fake, &[&arn]))).await;
    says(&error, Lifetime::Permanent, &["certificate", "AWS_CA_BUNDLE"]);
}

#[tokio::test]
async fn absent_metadata_may_come_and_tells_what_to_set_meanwhile() {
    let (fake, arn) = web();
    let error = fails(&*nameless(&fake, &arn, Imds::absent())).await;
    says(
        &error,
        TEMPORARY,
        &["could not learn the instance's id", "refused", "set `target_id`"],
    );
}

#[tokio::test]
async fn slow_metadata_costs_seconds_and_no_more() {
    let (fake, arn) = web();
    for mode in [Mode::Silent, Mode::Slow(Duration::from_secs(20))] {
        let imds = Imds::start(mode);
        let balancer = nameless(&fake, &arn, imds.url());
        let begun = Instant::now();
        let error = fails(&*balancer).await;
        assert!(begun.elapsed() < Duration::from_secs(4), "{:?}", begun.elapsed());
        says(
            &error,
            TEMPORARY,
            &[
                "could not learn the instance's id",
                "set `target_id`",
                "hop limit",
            ],
        );
        imds.set(Mode::Strict);
        assert_eq!(
            leave(&*balancer).await.1.rotation,
            Rotation::Out,
            "once it answers"
        );
        fake.set_state(&arn, INSTANCE_ID, 8080, "healthy", "");
    }
}

#[tokio::test]
async fn metadata_of_version_one_is_not_spoken() {
    let (fake, arn) = web();
    let imds = Imds::start(Mode::Version1);
    let error = fails(&*nameless(&fake, &arn, imds.url())).await;
    says(
        &error,
        Lifetime::Permanent,
        &["no IMDSv2 token (status 404)", "set `target_id`"],
    );
}

#[tokio::test]
async fn metadata_that_is_switched_off_is_told() {
    let (fake, arn) = web();
    let imds = Imds::start(Mode::Disabled);
    let error = fails(&*nameless(&fake, &arn, imds.url())).await;
    says(
        &error,
        Lifetime::Permanent,
        &["disabled", "enable the instance's metadata", "`target_id`"],
    );
}

#[tokio::test]
async fn two_hundred_target_groups_wait_for_dead_metadata_once() {
    let fake = Elbv2::start();
    let arns: Vec<String> = (0..200)
        .map(|n| fake.add(TargetGroup::new(&format!("web-{n}"))))
        .collect();
    for arn in &arns {
        fake.register(arn, OTHER, 8080, None, "healthy");
    }
    let imds = Imds::start(Mode::Silent);
    let groups: Vec<&str> = arns.iter().map(String::as_str).collect();
    let settings = Settings {
        target_id: None,
        ..settings(&fake, &groups)
    };
    let sources = Sources {
        credentials: None,
        metadata: Some(imds.url()),
    };
    let begun = Instant::now();
    let mut asking = tokio::task::JoinSet::new();
    for balancer in connect_with(settings, &host(), &sources).expect("settings") {
        asking.spawn(async move { balancer.find().await.expect_err("no credentials").to_string() });
    }
    assert_eq!(asking.join_all().await.len(), 200);
    assert!(begun.elapsed() < Duration::from_secs(8), "{:?}", begun.elapsed());
}

#[tokio::test]
async fn an_instance_without_a_role_has_no_credentials() {
    let (fake, arn) = web();
    let imds = Imds::start(Mode::NoRole);
    let error = fails(&*poor(&fake, &arn, imds.url())).await;
    says(
        &error,
        Lifetime::Permanent,
        &[
            "has no AWS credentials",
            "they tell of no role",
            "attach an IAM role",
        ],
    );
}

#[tokio::test]
async fn credentials_from_dead_metadata_are_asked_for_again() {
    let (fake, arn) = web();
    let error = fails(&*poor(&fake, &arn, Imds::absent())).await;
    says(&error, TEMPORARY, &["has no AWS credentials"]);
    let imds = Imds::start(Mode::Silent);
    let balancer = poor(&fake, &arn, imds.url());
    says(&fails(&*balancer).await, TEMPORARY, &["has no AWS credentials"]);
    imds.set(Mode::Strict);
    assert_eq!(
        leave(&*balancer).await.1.rotation,
        Rotation::Out,
        "once it answers"
    );
}

#[tokio::test]
async fn secrets_are_in_no_error() {
    let (fake, arn) = web();
    let balancer = one(settings(&fake, &[&arn]));
    let mut texts = vec![format!("{balancer:?}")];
    for code in ["SignatureDoesNotMatch", "InvalidClientTokenId", "AccessDenied"] {
        let fault = Fault::Refuse {
            status: 403,
            code: code.to_owned(),
        };
        fake.fail("DescribeTargetHealth", fault, 1);
        match balancer.find().await {
            Err(error) => texts.push(format!("{error:?} {error}")),
            Ok(found) => panic!("{found:?}"),
        }
    }
    for text in texts {
        assert!(
            !text.contains("fake-secret") && !text.contains("AKIAFAKE"),
            "{text}"
        );
    }
}
