//! Coming back to a target group, against the fake.

mod common;

use std::time::Duration;

use common::{OTHER, all, find, host, leave, one, settings, sources, web, web_of};
use lb_drain_api::{Host, Lifetime, Rotation, Target};
use lb_drain_aws_elbv2::{Settings, Sources, connect_with};
use lb_drain_test_support::elbv2::{Elbv2, TargetGroup};
use lb_drain_test_support::imds::{INSTANCE_ID, Imds, Mode};
use serde_json::json;

/// A target group of addresses in which this host is not.
fn addresses() -> (Elbv2, String) {
    let fake = Elbv2::start();
    let arn = fake.add(TargetGroup {
        target_type: "ip".to_owned(),
        ..TargetGroup::new("web")
    });
    fake.register(&arn, "10.0.0.99", 8080, None, "healthy");
    (fake, arn)
}

fn by_address(fake: &Elbv2, arn: &str) -> Settings {
    Settings {
        target_id: None,
        ..settings(fake, &[arn])
    }
}

#[tokio::test]
async fn another_process_puts_back_what_was_recorded_with_every_port() {
    let (fake, arn) = web();
    fake.register(&arn, INSTANCE_ID, 8081, None, "healthy");
    let leaving = one(settings(&fake, &[&arn]));
    let (_, before) = find(&*leaving).await;
    let (target, _) = leave(&*leaving).await;

    let coming = one(settings(&fake, &[&arn]));
    coming
        .register(&target, Some(&before.before))
        .await
        .expect("accepted");
    for port in [8080, 8081] {
        assert_eq!(
            fake.truth(&arn, INSTANCE_ID, port).as_deref(),
            Some("healthy"),
            "{port}"
        );
    }
    let view = coming.look(&target).await.expect("an answer");
    assert_eq!(view.rotation, Rotation::InService);
}

/// A port that was out before us was taken out by somebody who has yet to bring it back.
#[tokio::test]
async fn of_two_ports_only_the_one_that_was_in_comes_back() {
    let (fake, arn) = web();
    fake.register(&arn, INSTANCE_ID, 8081, None, "healthy");
    fake.drain(&arn, INSTANCE_ID, 8081);
    let leaving = one(settings(&fake, &[&arn]));
    let (_, before) = find(&*leaving).await;
    let (target, view) = leave(&*leaving).await;
    assert_eq!(view.rotation, Rotation::Out);
    let coming = one(settings(&fake, &[&arn]));
    coming
        .register(&target, Some(&before.before))
        .await
        .expect("accepted");
    assert_eq!(fake.truth(&arn, INSTANCE_ID, 8080).as_deref(), Some("healthy"));
    assert_eq!(fake.truth(&arn, INSTANCE_ID, 8081).as_deref(), Some("draining"));
    assert_eq!(
        coming.look(&target).await.expect("an answer").rotation,
        Rotation::InService
    );
}

#[tokio::test]
async fn the_zone_comes_back_as_it_was() {
    let (fake, arn) = addresses();
    let before = json!({ "targets": [{ "id": "10.0.0.7", "port": 8080, "zone": "all" }] });
    let balancer = one(by_address(&fake, &arn));
    let target = Target::new("10.0.0.7:8080");
    balancer.register(&target, Some(&before)).await.expect("accepted");
    let (found, view) = find(&*balancer).await;
    assert_eq!(found, target);
    assert_eq!(view.before, before);
}

#[tokio::test]
async fn it_is_in_service_only_once_it_is_healthy() {
    let (fake, arn) = web_of(TargetGroup {
        warm_up: Duration::from_millis(400),
        drains_for: Duration::ZERO,
        ..TargetGroup::new("web")
    });
    let balancer = one(settings(&fake, &[&arn]));
    let (_, before) = find(&*balancer).await;
    let (target, _) = leave(&*balancer).await;
    balancer
        .register(&target, Some(&before.before))
        .await
        .expect("accepted");
    let view = balancer.look(&target).await.expect("an answer");
    assert_eq!(view.rotation, Rotation::NotInService);
    assert_eq!(view.state, "initial (Elb.RegistrationInProgress)");
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert_eq!(
        balancer.look(&target).await.expect("an answer").rotation,
        Rotation::InService
    );
    fake.set_state(&arn, INSTANCE_ID, 8080, "unhealthy", "Target.Timeout");
    assert_eq!(
        balancer.look(&target).await.expect("an answer").rotation,
        Rotation::NotInService
    );
}

#[tokio::test]
async fn without_a_record_the_configuration_tells_what_to_register() {
    let (fake, arn) = web();
    let id = "i-00000000000000abc";
    let balancer = one(Settings {
        target_id: Some(id.to_owned()),
        port: Some(9090),
        ..settings(&fake, &[&arn])
    });
    let (target, view) = find(&*balancer).await;
    assert_eq!(
        (target.as_str(), view.rotation),
        ("i-00000000000000abc:9090", Rotation::NotAMember)
    );
    balancer.register(&target, None).await.expect("accepted");
    assert_eq!(fake.truth(&arn, id, 9090).as_deref(), Some("healthy"));
    // What a stranger's state was is no record of a registration.
    balancer
        .register(&target, Some(&view.before))
        .await
        .expect("accepted");
}

/// A service that starts after a reboot: nothing is on record, and it is registered as it always was.
#[tokio::test]
async fn what_is_registered_is_not_registered_on_another_port_too() {
    let (fake, arn) = web();
    fake.set_state(&arn, INSTANCE_ID, 8080, "unhealthy", "Target.Timeout"); // it has only just started
    let registered = fake.snapshot();
    let balancer = one(settings(&fake, &[&arn]));
    let (target, _) = find(&*balancer).await;
    balancer.register(&target, None).await.expect("accepted");
    assert_eq!(fake.snapshot(), registered);
    fake.drain(&arn, INSTANCE_ID, 8080);
    let balancer = one(settings(&fake, &[&arn]));
    let (target, _) = find(&*balancer).await;
    balancer.register(&target, None).await.expect("accepted");
    assert_eq!(fake.snapshot(), registered.replace("unhealthy", "healthy"));
}

#[tokio::test]
async fn without_a_port_the_groups_default_is_registered_and_seen() {
    let (fake, arn) = web();
    let id = "i-00000000000000abc";
    let balancer = one(Settings {
        target_id: Some(id.to_owned()),
        ..settings(&fake, &[&arn])
    });
    let (target, _) = find(&*balancer).await;
    balancer.register(&target, None).await.expect("accepted");
    assert_eq!(fake.truth(&arn, id, 80).as_deref(), Some("healthy"));
    assert_eq!(
        balancer.look(&target).await.expect("an answer").rotation,
        Rotation::InService
    );
}

#[tokio::test]
async fn a_group_of_addresses_gets_this_hosts_address_and_one_of_instances_its_id() {
    let (fake, arn) = addresses();
    let balancer = one(by_address(&fake, &arn));
    let (target, _) = find(&*balancer).await;
    balancer.register(&target, None).await.expect("accepted");
    assert_eq!(fake.truth(&arn, "10.0.0.7", 80).as_deref(), Some("healthy"));

    let (fake, arn) = web();
    fake.set_state(&arn, INSTANCE_ID, 8080, "healthy", "");
    let imds = Imds::start(Mode::Strict);
    let sources = Sources {
        metadata: Some(imds.url()),
        ..sources()
    };
    let balancer = connect_with(by_address(&fake, &arn), &host(), &sources)
        .expect("settings")
        .remove(0);
    balancer
        .register(&Target::new("whoever"), None)
        .await
        .expect("accepted");
    assert_eq!(fake.truth(&arn, INSTANCE_ID, 80).as_deref(), Some("healthy"));
}

#[tokio::test]
async fn a_host_of_several_addresses_is_asked_which() {
    let (fake, arn) = addresses();
    let host = Host {
        addresses: vec![
            "10.0.0.7".parse().expect("an address"),
            "fd00::7".parse().expect("an address"),
        ]
        .into(),
        ..host()
    };
    let balancer = connect_with(by_address(&fake, &arn), &host, &sources())
        .expect("settings")
        .remove(0);
    let error = balancer
        .register(&Target::new("web1"), None)
        .await
        .expect_err("which?");
    assert_eq!(error.lifetime(), Lifetime::Permanent);
    assert!(
        error
            .to_string()
            .contains("this host has 2 of them; set `target_id`"),
        "{error}"
    );
}

#[tokio::test]
async fn an_address_that_still_drains_is_waited_for_and_that_is_explained() {
    let (fake, arn) = (Elbv2::start(), "web");
    let arn = fake.add(TargetGroup {
        target_type: "ip".to_owned(),
        drains_for: Duration::from_millis(500),
        ..TargetGroup::new(arn)
    });
    fake.register(&arn, "10.0.0.7", 8080, None, "healthy");
    let balancer = one(by_address(&fake, &arn));
    let (_, before) = find(&*balancer).await;
    let (target, _) = leave(&*balancer).await;
    let error = balancer
        .register(&target, Some(&before.before))
        .await
        .expect_err("still draining");
    assert!(
        matches!(error.lifetime(), Lifetime::Temporary { retry_after: Some(wait) } if wait >= Duration::from_secs(1))
    );
    assert_eq!(
        error.to_string(),
        "aws-elbv2 web cannot take this host back yet: 10.0.0.7 is still draining; an address can be \
         registered again only after its deregistration delay; raise the budget or lower the delay"
    );
    assert_eq!(fake.calls("RegisterTargets"), 0);
    tokio::time::sleep(Duration::from_millis(600)).await;
    balancer
        .register(&target, Some(&before.before))
        .await
        .expect("free again");
    assert_eq!(fake.truth(&arn, "10.0.0.7", 8080).as_deref(), Some("healthy"));
}

#[tokio::test]
async fn an_instance_that_still_drains_comes_back_at_once() {
    let (fake, arn) = web();
    let balancer = one(settings(&fake, &[&arn]));
    let (_, before) = find(&*balancer).await;
    let (target, view) = leave(&*balancer).await;
    assert_eq!(view.rotation, Rotation::Out);
    balancer
        .register(&target, Some(&before.before))
        .await
        .expect("accepted");
    assert_eq!(
        balancer.look(&target).await.expect("an answer").rotation,
        Rotation::InService
    );
    assert_eq!(
        fake.calls("DescribeTargetHealth"),
        4, // find twice, verify, look
        "no look before registering an instance"
    );
}

#[tokio::test]
async fn a_record_that_is_not_ours_is_told() {
    let (fake, arn) = web();
    let balancer = one(settings(&fake, &[&arn]));
    let error = balancer
        .register(&Target::new("web1"), Some(&json!({ "weight": 3 })))
        .await
        .expect_err("not ours");
    assert_eq!(error.lifetime(), Lifetime::Permanent);
    assert!(error.to_string().contains("remove the record"), "{error}");
    assert_eq!(fake.all_calls(), 0);
}

#[tokio::test]
async fn with_register_denied_the_permission_is_named() {
    let (fake, arn) = web();
    fake.deny("RegisterTargets");
    for balancer in all(settings(&fake, &[&arn])) {
        let (target, before) = find(&*balancer).await;
        let error = balancer
            .register(&target, Some(&before.before))
            .await
            .expect_err("denied");
        assert!(
            error
                .to_string()
                .contains("allow elasticloadbalancing:RegisterTargets on arn:"),
            "{error}"
        );
    }
    assert_eq!(fake.truth(&arn, OTHER, 8080).as_deref(), Some("healthy"));
}

#[tokio::test]
async fn with_describe_denied_it_comes_back_on_trust() {
    let (fake, arn) = web();
    let before = find(&*one(settings(&fake, &[&arn]))).await.1.before;
    let (target, _) = leave(&*one(settings(&fake, &[&arn]))).await;
    fake.deny("DescribeTargetHealth");
    let balancer = one(settings(&fake, &[&arn]));
    balancer.register(&target, Some(&before)).await.expect("accepted");
    assert_eq!(
        balancer.look(&target).await.expect("on trust").rotation,
        Rotation::Unknown
    );
    assert_eq!(fake.truth(&arn, INSTANCE_ID, 8080).as_deref(), Some("healthy"));
}

/// What was registered by the configuration alone has not been seen either: nobody may wait for it for ever.
#[tokio::test]
async fn with_describe_denied_and_nothing_on_record_it_comes_back_on_trust_too() {
    let (fake, arn) = web();
    fake.deny("DescribeTargetHealth");
    let balancer = one(Settings {
        port: Some(9090),
        ..settings(&fake, &[&arn])
    });
    let (target, _) = find(&*balancer).await;
    balancer.register(&target, None).await.expect("accepted");
    assert_eq!(fake.truth(&arn, INSTANCE_ID, 9090).as_deref(), Some("healthy"));
    let view = balancer.look(&target).await.expect("on trust");
    assert_eq!(view.rotation, Rotation::Unknown);
    assert!(view.state.starts_with("could not be verified"), "{}", view.state);
}

#[tokio::test]
async fn with_describe_denied_an_address_that_still_drains_is_waited_for() {
    let (fake, arn) = addresses();
    fake.register(&arn, "10.0.0.7", 8080, None, "healthy");
    fake.drain(&arn, "10.0.0.7", 8080);
    fake.deny("DescribeTargetHealth");
    let balancer = one(Settings {
        target_id: Some("10.0.0.7".to_owned()),
        port: Some(8080),
        ..settings(&fake, &[&arn])
    });
    let (target, _) = find(&*balancer).await;
    let error = balancer
        .register(&target, None)
        .await
        .expect_err("still draining");
    assert!(
        matches!(error.lifetime(), Lifetime::Temporary { retry_after: Some(wait) } if wait >= Duration::from_secs(1))
    );
    let text = error.to_string();
    for part in [
        "refused RegisterTargets: InvalidTarget",
        "deregistration delay",
        "`target_id`",
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
}
