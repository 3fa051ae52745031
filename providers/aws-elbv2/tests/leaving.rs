//! Leaving a target group, against the fake that behaves as the real service is documented to.

mod common;

use std::time::Duration;

use common::{OTHER, all, find, host, leave, one, settings, sources, web, web_of};
use lb_drain_api::{Firmness, Host, Lifetime, Rotation};
use lb_drain_aws_elbv2::{Settings, Sources, connect_with};
use lb_drain_test_support::elbv2::{Bucket, Elbv2, Fault, Limits, TargetGroup};
use lb_drain_test_support::imds::{INSTANCE_ID, Imds, Mode};

#[tokio::test]
async fn an_idle_host_leaves_with_five_calls() {
    let (fake, arn) = web();
    let balancer = one(settings(&fake, &[&arn]));
    let (target, before) = find(&*balancer).await;
    assert_eq!(target.as_str(), "i-0123456789abcdef0:8080");
    assert_eq!(
        (before.rotation, before.state.as_str()),
        (Rotation::InService, "healthy")
    );
    assert_eq!(before.ports, [8080]);
    assert_eq!(before.in_flight, None);

    balancer
        .deregister(&target, Firmness::Drain, None)
        .await
        .expect("accepted");
    let view = balancer.look(&target).await.expect("an answer");
    assert_eq!(view.rotation, Rotation::Out);
    assert_eq!(view.state, "draining (Target.DeregistrationInProgress)");
    let terms = balancer.terms(&target).await.expect("terms");
    assert_eq!(terms.min_wait, Some(Duration::from_secs(15)));
    assert_eq!(terms.max_wait, Some(Duration::from_secs(300)));
    assert_eq!(terms.remark, None);

    assert_eq!(fake.all_calls(), 5);
    // The next look would be the sixth: it comes after an idle host has gone.
    assert!(balancer.schedule().pace.first > Duration::from_secs(16));
    assert_eq!(fake.truth(&arn, OTHER, 8080).as_deref(), Some("healthy"));
}

#[tokio::test]
async fn a_name_costs_no_more_than_an_arn() {
    let (fake, arn) = web();
    let balancer = one(settings(&fake, &["web"]));
    let (target, view) = leave(&*balancer).await;
    assert_eq!(view.rotation, Rotation::Out);
    balancer.terms(&target).await.expect("terms");
    assert_eq!(fake.truth(&arn, INSTANCE_ID, 8080).as_deref(), Some("draining"));
    assert_eq!(fake.all_calls(), 5);
}

#[tokio::test]
async fn an_alb_shows_draining_for_the_whole_delay_and_then_forgets_the_target() {
    let (fake, arn) = web_of(TargetGroup {
        drains_for: Duration::from_millis(300),
        ..TargetGroup::new("web")
    });
    let balancer = one(settings(&fake, &[&arn]));
    let (target, view) = leave(&*balancer).await;
    assert_eq!(view.rotation, Rotation::Out);
    assert_eq!(
        balancer.look(&target).await.expect("an answer").rotation,
        Rotation::Out
    );
    tokio::time::sleep(Duration::from_millis(400)).await;
    let view = balancer.look(&target).await.expect("an answer");
    assert_eq!(view.rotation, Rotation::NotAMember);
    assert_eq!(view.state, "unused (Target.NotRegistered)");
}

#[tokio::test]
async fn every_port_of_the_host_leaves_though_none_is_the_groups_default() {
    let (fake, arn) = web();
    fake.register(&arn, INSTANCE_ID, 8081, None, "unhealthy");
    let balancer = one(settings(&fake, &[&arn]));
    let (target, view) = leave(&*balancer).await;
    assert_eq!(target.as_str(), "i-0123456789abcdef0:8080,8081");
    assert_eq!(view.rotation, Rotation::Out);
    assert_eq!(view.ports, [8080, 8081]);
    for port in [8080, 8081] {
        assert_eq!(
            fake.truth(&arn, INSTANCE_ID, port).as_deref(),
            Some("draining"),
            "{port}"
        );
    }
    assert_eq!(fake.calls("DeregisterTargets"), 1);
}

#[tokio::test]
async fn a_configured_port_leaves_alone() {
    let (fake, arn) = web();
    fake.register(&arn, INSTANCE_ID, 8081, None, "healthy");
    let balancer = one(Settings {
        port: Some(8081),
        ..settings(&fake, &[&arn])
    });
    let (target, _) = leave(&*balancer).await;
    assert_eq!(target.as_str(), "i-0123456789abcdef0:8081");
    assert_eq!(fake.truth(&arn, INSTANCE_ID, 8080).as_deref(), Some("healthy"));
    assert_eq!(fake.truth(&arn, INSTANCE_ID, 8081).as_deref(), Some("draining"));
}

#[tokio::test]
async fn the_zone_is_echoed_as_described() {
    let (fake, arn) = web_of(TargetGroup {
        target_type: "ip".to_owned(),
        ..TargetGroup::new("web")
    });
    fake.register(&arn, "10.0.0.7", 8080, Some("all"), "healthy");
    let balancer = one(Settings {
        target_id: Some("10.0.0.7".to_owned()),
        ..settings(&fake, &[&arn])
    });
    let (_, view) = leave(&*balancer).await;
    assert_eq!(view.rotation, Rotation::Out);
    assert_eq!(view.before["targets"][0]["zone"], "all");
}

#[tokio::test]
async fn a_group_of_addresses_knows_this_host_by_its_address_without_metadata() {
    let (fake, arn) = (Elbv2::start(), "web");
    let group = fake.add(TargetGroup {
        target_type: "ip".to_owned(),
        ..TargetGroup::new(arn)
    });
    fake.register(&group, "10.0.0.7", 8080, None, "healthy");
    fake.register(&group, "10.0.0.8", 8080, None, "healthy");
    let balancer = one(Settings {
        target_id: None,
        ..settings(&fake, &[&group])
    });
    let (target, view) = leave(&*balancer).await;
    assert_eq!(target.as_str(), "10.0.0.7:8080");
    assert_eq!(view.rotation, Rotation::Out);
    assert_eq!(fake.truth(&group, "10.0.0.8", 8080).as_deref(), Some("healthy"));
}

/// Whether this host is in cannot be told then, and must not be taken for a no.
#[tokio::test]
async fn a_host_that_cannot_read_its_own_addresses_is_no_stranger() {
    let fake = Elbv2::start();
    let group = fake.add(TargetGroup {
        target_type: "ip".to_owned(),
        ..TargetGroup::new("web")
    });
    let host = Host {
        addresses: Vec::new().into(),
        ..host()
    };
    let settings = Settings {
        target_id: None,
        ..settings(&fake, &[&group])
    };
    let balancer = connect_with(settings, &host, &sources())
        .expect("settings")
        .remove(0);
    let (_, view) = find(&*balancer).await;
    assert_eq!(view.rotation, Rotation::NotAMember, "nobody is in an empty group");
    fake.register(&group, "10.0.0.7", 8080, None, "healthy");
    let error = balancer.find().await.expect_err("who is it?");
    assert_eq!(error.lifetime(), Lifetime::Permanent);
    assert_eq!(
        error.to_string(),
        "aws-elbv2 web does not know this host: its targets are addresses, and this host's own cannot be read; \
         set `target_id` to the address that is registered"
    );
}

#[tokio::test]
async fn an_instance_learns_its_id_and_region_from_the_metadata() {
    let (fake, arn) = web();
    let imds = Imds::start(Mode::Strict);
    let settings = Settings {
        target_id: None,
        region: None,
        ..settings(&fake, &["web"])
    };
    let sources = Sources {
        credentials: None, // the instance's role
        metadata: Some(imds.url()),
    };
    let balancers = connect_with(settings, &host(), &sources).expect("settings");
    let (target, view) = leave(&*balancers[0]).await;
    assert_eq!(target.as_str(), "i-0123456789abcdef0:8080");
    assert_eq!(view.rotation, Rotation::Out);
    assert_eq!(fake.truth(&arn, INSTANCE_ID, 8080).as_deref(), Some("draining"));
    // Token, region, role, credentials, id: each once.
    assert_eq!(imds.requests(), 5);
}

#[tokio::test]
async fn a_stranger_is_no_member_and_nothing_is_changed() {
    let (fake, arn) = web();
    let balancer = one(Settings {
        target_id: Some("i-00000000000000abc".to_owned()),
        ..settings(&fake, &[&arn])
    });
    let (target, view) = find(&*balancer).await;
    assert_eq!(view.rotation, Rotation::NotAMember);
    assert_eq!(target.as_str(), "i-00000000000000abc");
    assert_eq!(fake.all_calls(), 1);
    // To deregister it all the same is harmless, and asks for nothing.
    balancer
        .deregister(&target, Firmness::Drain, None)
        .await
        .expect("nothing to do");
    assert_eq!(fake.calls("DeregisterTargets"), 0);
}

#[tokio::test]
async fn what_drains_already_is_joined_and_not_deregistered_again() {
    let (fake, arn) = web();
    fake.drain(&arn, INSTANCE_ID, 8080);
    let balancer = one(settings(&fake, &[&arn]));
    let (target, view) = find(&*balancer).await;
    assert_eq!(view.rotation, Rotation::Out);
    assert_eq!(target.as_str(), "i-0123456789abcdef0:8080");
    balancer
        .deregister(&target, Firmness::Drain, None)
        .await
        .expect("nothing to do");
    assert_eq!(fake.calls("DeregisterTargets"), 0);
}

#[tokio::test]
async fn of_two_ports_only_the_one_that_is_in_is_deregistered() {
    let (fake, arn) = web();
    fake.register(&arn, INSTANCE_ID, 8081, None, "healthy");
    fake.drain(&arn, INSTANCE_ID, 8081);
    let balancer = one(settings(&fake, &[&arn]));
    let (_, before) = find(&*balancer).await;
    assert_eq!(before.rotation, Rotation::NotInService);
    assert_eq!(
        before.state,
        "8080 healthy, 8081 draining (Target.DeregistrationInProgress)"
    );
    assert_eq!(leave(&*balancer).await.1.rotation, Rotation::Out);
}

#[tokio::test]
async fn a_target_that_is_unused_or_unhealthy_or_unavailable_is_registered_and_leaves() {
    for (state, reason) in [
        ("unused", "Target.NotInUse"),
        ("unhealthy.draining", "Target.FailedHealthChecks"),
        ("unavailable", "Elb.InternalError"),
        ("initial", "Elb.RegistrationInProgress"),
    ] {
        let (fake, arn) = web();
        fake.set_state(&arn, INSTANCE_ID, 8080, state, reason);
        let balancer = one(settings(&fake, &[&arn]));
        let (_, before) = find(&*balancer).await;
        assert_eq!(before.rotation, Rotation::NotInService, "{state}");
        assert_eq!(leave(&*balancer).await.1.rotation, Rotation::Out, "{state}");
    }
}

#[tokio::test]
async fn a_target_that_no_longer_exists_is_gone() {
    let (fake, arn) = web();
    let balancer = one(settings(&fake, &[&arn]));
    let (target, _) = find(&*balancer).await;
    fake.terminate(INSTANCE_ID);
    balancer
        .deregister(&target, Firmness::Drain, None)
        .await
        .expect("gone is out");
    let view = balancer.look(&target).await.expect("an answer");
    assert_eq!(view.rotation, Rotation::NotAMember);
    assert_eq!(view.state, "not registered");
}

/// Where the state may not be read, a refusal is all that is known of the host: it may be in under another id.
#[tokio::test]
async fn a_refusal_that_no_look_can_explain_is_no_success() {
    let (fake, arn) = web();
    fake.deny("DescribeTargetHealth");
    fake.terminate(INSTANCE_ID);
    let balancer = one(Settings {
        port: Some(8080),
        ..settings(&fake, &[&arn])
    });
    let (target, _) = find(&*balancer).await;
    let error = balancer
        .deregister(&target, Firmness::Drain, None)
        .await
        .expect_err("it has left nothing");
    assert_eq!(error.lifetime(), Lifetime::Permanent);
    let text = error.to_string();
    for part in [
        "aws-elbv2 web refused DeregisterTargets: InvalidTarget",
        "check `target_id`",
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
}

#[tokio::test]
async fn one_address_that_no_longer_exists_does_not_hide_the_other() {
    let fake = Elbv2::start();
    let arn = fake.add(TargetGroup {
        target_type: "ip".to_owned(),
        ..TargetGroup::new("web")
    });
    let addresses = ["10.0.0.7", "10.0.0.8"];
    for address in addresses {
        fake.register(&arn, address, 8080, None, "healthy");
    }
    let host = Host {
        addresses: addresses
            .iter()
            .map(|address| address.parse().expect("an address"))
            .collect::<Vec<_>>()
            .into(),
        ..host()
    };
    let settings = Settings {
        target_id: None,
        ..settings(&fake, &[&arn])
    };
    let balancer = connect_with(settings, &host, &sources())
        .expect("settings")
        .remove(0);
    let (target, _) = find(&*balancer).await;
    assert_eq!(target.as_str(), "10.0.0.7:8080 10.0.0.8:8080");
    fake.terminate("10.0.0.7");
    assert_eq!(
        balancer.look(&target).await.expect("an answer").rotation,
        Rotation::NotInService
    );
    balancer
        .deregister(&target, Firmness::Drain, None)
        .await
        .expect("accepted");
    assert_eq!(fake.truth(&arn, "10.0.0.8", 8080).as_deref(), Some("draining"));
    assert_eq!(
        balancer.look(&target).await.expect("an answer").rotation,
        Rotation::Out
    );
}

#[tokio::test]
async fn a_target_group_that_is_deleted_while_draining_routes_nothing_more() {
    let (fake, arn) = web();
    let balancer = one(settings(&fake, &[&arn]));
    let (target, view) = leave(&*balancer).await;
    assert_eq!(view.rotation, Rotation::Out);
    fake.delete(&arn);
    let view = balancer.look(&target).await.expect("an answer");
    assert_eq!(
        (view.rotation, view.state.as_str()),
        (Rotation::NotAMember, "the target group no longer exists")
    );
}

#[tokio::test]
async fn what_is_put_back_behind_our_back_is_seen_and_taken_out_again() {
    let (fake, arn) = web();
    let balancer = one(settings(&fake, &[&arn]));
    let (target, _) = leave(&*balancer).await;
    fake.set_state(&arn, INSTANCE_ID, 8080, "healthy", "");
    assert_eq!(
        balancer.look(&target).await.expect("an answer").rotation,
        Rotation::InService
    );
    balancer
        .deregister(&target, Firmness::Drain, None)
        .await
        .expect("accepted");
    assert_eq!(
        balancer.look(&target).await.expect("an answer").rotation,
        Rotation::Out
    );
}

/// In the order of the engine, which asks for the schedule again once the floor is known.
#[tokio::test]
async fn an_idle_host_of_a_network_load_balancer_leaves_with_five_calls() {
    let (fake, arn) = web_of(of_protocol("TCP"));
    let balancer = one(settings(&fake, &[&arn]));
    let (target, _) = leave(&*balancer).await;
    balancer.schedule();
    let terms = balancer.terms(&target).await.expect("terms");
    let floor = Duration::from_secs(120);
    assert_eq!(terms.min_wait, Some(floor));
    assert_eq!(terms.remark, None);
    // The next look would be the sixth: it comes after an idle host has gone.
    assert!(balancer.schedule().pace.first > floor + Duration::from_secs(1));
    assert_eq!(fake.all_calls(), 5);
}

/// A target group of this protocol, with a delay of 60 s.
fn of_protocol(protocol: &str) -> TargetGroup {
    TargetGroup {
        protocol: protocol.to_owned(),
        delay: Duration::from_secs(60),
        drains_for: Duration::ZERO,
        ..TargetGroup::new("web")
    }
}

/// By default a network load balancer leaves connections open after the delay, and a gateway load balancer has
/// no way to close them: that the target is gone is then no evidence.
#[tokio::test]
async fn where_connections_outlive_the_delay_neither_it_nor_being_gone_ends_the_wait() {
    for (protocol, closes, ends) in [
        ("TCP", false, false),
        ("TLS", false, false),
        ("GENEVE", false, false),
        ("TCP", true, true),
        ("HTTP", false, true),
    ] {
        let (fake, arn) = web_of(TargetGroup {
            closes,
            ..of_protocol(protocol)
        });
        let balancer = one(settings(&fake, &[&arn]));
        // Gone as soon as it is looked at.
        let (target, view) = leave(&*balancer).await;
        assert_eq!(view.rotation, Rotation::NotAMember, "{protocol} {closes}");
        assert_eq!(view.state, "unused (Target.NotRegistered)");
        assert_eq!(
            fake.all_calls(),
            3,
            "{protocol}: how long to wait is not asked unless it is waited"
        );
        let delay = ends.then_some(Duration::from_secs(60));
        let terms = balancer.terms(&target).await.expect("terms");
        assert_eq!(terms.outlived, !ends, "{protocol} {closes}");
        assert_eq!(terms.max_wait, delay, "{protocol} {closes}");
        assert_eq!(
            fake.all_calls(),
            5,
            "{protocol}: what is known is not asked again"
        );
        // One that was never a member has nothing in flight, whatever the kind.
        let stranger = one(Settings {
            target_id: Some("i-00000000000000abc".to_owned()),
            ..settings(&fake, &[&arn])
        });
        let (target, _) = find(&*stranger).await;
        let view = stranger.look(&target).await.expect("an answer");
        assert_eq!(view.rotation, Rotation::NotAMember, "{protocol}");
    }
}

#[tokio::test]
async fn quiet_tcp_connections_say_nothing_of_other_protocols() {
    for (protocol, closes, unseen, end) in [
        ("TCP", true, false, None),
        ("HTTP", true, false, None),
        ("UDP", true, true, Some("its deregistration delay is waited for")),
        ("TCP_UDP", false, true, Some("`max_wait` or the budget ends it")),
        ("QUIC", true, true, Some("its deregistration delay is waited for")),
        ("GENEVE", false, true, Some("`max_wait` or the budget ends it")),
    ] {
        let (fake, arn) = web_of(TargetGroup {
            closes,
            drains_for: Duration::from_millis(300),
            ..of_protocol(protocol)
        });
        let balancer = one(settings(&fake, &[&arn]));
        let (target, _) = leave(&*balancer).await;
        let terms = balancer.terms(&target).await.expect("terms");
        let remark = terms.remark.unwrap_or_default();
        assert!(remark.contains(end.unwrap_or_default()), "{protocol}: {remark}");
        assert_eq!(remark.is_empty(), end.is_none(), "{protocol}: {remark}");
        let first = balancer.schedule().pace.first;
        assert_eq!(first.is_zero(), unseen, "{protocol}: {first:?}");
        let view = balancer.look(&target).await.expect("an answer");
        assert_eq!(view.undrained, unseen, "{protocol} while it drains");
        tokio::time::sleep(Duration::from_millis(400)).await;
        let view = balancer.look(&target).await.expect("an answer");
        assert_eq!(view.undrained, unseen && !closes, "{protocol} once it is gone");
    }
}

#[tokio::test]
async fn two_hundred_target_groups_share_what_can_be_shared() {
    let fake = Elbv2::start();
    let arns: Vec<String> = (0..200)
        .map(|n| fake.add(TargetGroup::new(&format!("web-{n}"))))
        .collect();
    for arn in &arns {
        fake.register(arn, INSTANCE_ID, 8080, None, "healthy");
    }
    let names: Vec<String> = (0..200).map(|n| format!("web-{n}")).collect();
    for groups in [arns.clone(), names] {
        for arn in &arns {
            fake.set_state(arn, INSTANCE_ID, 8080, "healthy", "");
        }
        let before = fake.all_calls();
        let groups: Vec<&str> = groups.iter().map(String::as_str).collect();
        let mut leaving = tokio::task::JoinSet::new();
        for balancer in all(settings(&fake, &groups)) {
            leaving.spawn(async move {
                let (target, view) = leave(&*balancer).await;
                assert_eq!(view.rotation, Rotation::Out);
                (balancer, target)
            });
        }
        // One after the other: they are asked briefly, and a busy machine has no time for two hundred at once.
        for (balancer, target) in leaving.join_all().await {
            let terms = balancer.terms(&target).await.expect("terms");
            assert_eq!(terms.remark, None);
        }
        // Describe, deregister, describe and attributes for each, and a description of each twenty.
        assert_eq!(fake.all_calls() - before, 200 * 4 + 10);
    }
}

#[tokio::test]
async fn one_missing_name_among_many_fails_alone_and_the_others_read_page_by_page() {
    let fake = Elbv2::start();
    fake.page(3);
    for n in 0..10 {
        let arn = fake.add(TargetGroup::new(&format!("web-{n}")));
        fake.register(&arn, INSTANCE_ID, 8080, None, "healthy");
    }
    let balancers = all(settings(&fake, &["web-0", "missing", "web-9"]));
    assert_eq!(leave(&*balancers[0]).await.1.rotation, Rotation::Out);
    assert_eq!(leave(&*balancers[2]).await.1.rotation, Rotation::Out);
    let error = balancers[1].find().await.expect_err("no such group");
    assert_eq!(error.lifetime(), Lifetime::Permanent);
    assert_eq!(
        error.to_string(),
        "aws-elbv2 missing does not exist: there is no such target group in eu-west-1; check its name, and \
         `region` and the account of the credentials"
    );
    // The names at once, then four pages, and never again.
    assert_eq!(fake.calls("DescribeTargetGroups"), 5);
}

#[tokio::test]
async fn arns_of_two_regions_are_each_asked_for_in_their_own() {
    let fake = Elbv2::start();
    let arns: Vec<String> = ["eu-west-1", "us-east-1"]
        .iter()
        .map(|region| {
            fake.add(TargetGroup {
                region: (*region).to_owned(),
                ..TargetGroup::new("web")
            })
        })
        .collect();
    for arn in &arns {
        fake.register(arn, INSTANCE_ID, 8080, None, "healthy");
    }
    for balancer in all(settings(&fake, &[&arns[0], &arns[1]])) {
        assert_eq!(leave(&*balancer).await.1.rotation, Rotation::Out);
    }
}

#[tokio::test]
async fn with_describe_denied_the_configured_port_leaves_on_trust_and_that_is_said() {
    let (fake, arn) = web();
    for action in [
        "DescribeTargetHealth",
        "DescribeTargetGroups",
        "DescribeTargetGroupAttributes",
    ] {
        fake.deny(action);
    }
    let balancer = one(Settings {
        port: Some(8080),
        ..settings(&fake, &[&arn])
    });
    let (target, before) = find(&*balancer).await;
    assert_eq!(before.rotation, Rotation::Unknown);
    assert_eq!(
        before.state,
        "could not be verified: elasticloadbalancing:DescribeTargetHealth is not permitted"
    );
    assert_eq!(target.as_str(), "i-0123456789abcdef0:8080");
    assert_eq!(before.ports, [8080]);
    balancer
        .deregister(&target, Firmness::Drain, None)
        .await
        .expect("accepted");
    assert_eq!(fake.truth(&arn, INSTANCE_ID, 8080).as_deref(), Some("draining"));
    assert_eq!(
        balancer.look(&target).await.expect("on trust").rotation,
        Rotation::Unknown
    );
    // It is not asked again for what is denied.
    assert_eq!(fake.calls("DescribeTargetHealth"), 1);
    let terms = balancer.terms(&target).await.expect("terms");
    assert_eq!(terms.min_wait, Some(Duration::from_secs(120)));
    assert_eq!(terms.max_wait, Some(Duration::from_secs(300)));
    // Each of it holds whether or not the configuration has a word on it.
    assert_eq!(
        terms.remark.as_deref(),
        Some(
            "AWS refused DescribeTargetGroups; allow elasticloadbalancing:DescribeTargetGroups on \"*\" to the \
             role of this host; assumed: where `min_wait` does not say, new requests may arrive for 120 s, as with \
             a network load balancer; where `max_wait` does not say, the deregistration delay is 300 s"
        )
    );
    // It can come back as it was, on trust too.
    balancer
        .register(&target, Some(&before.before))
        .await
        .expect("accepted");
}

#[tokio::test]
async fn with_describe_denied_and_no_port_the_permission_is_named() {
    let (fake, arn) = web();
    fake.deny("DescribeTargetHealth");
    let error = one(settings(&fake, &[&arn])).find().await.expect_err("denied");
    assert_eq!(error.lifetime(), Lifetime::Permanent);
    let text = error.to_string();
    assert!(
        text.starts_with("aws-elbv2 web refused DescribeTargetHealth: AccessDenied: User: "),
        "{text}"
    );
    assert!(
        text.contains(r#"allow elasticloadbalancing:DescribeTargetHealth on "*""#),
        "{text}"
    );
    assert!(text.contains("or set `port`"), "{text}");
    assert_eq!(fake.calls("DeregisterTargets"), 0);
}

#[tokio::test]
async fn with_deregister_denied_the_permission_is_named() {
    let (fake, arn) = web();
    fake.deny("DeregisterTargets");
    let balancer = one(settings(&fake, &[&arn]));
    let (target, _) = find(&*balancer).await;
    let error = balancer
        .deregister(&target, Firmness::Drain, None)
        .await
        .expect_err("denied");
    assert_eq!(error.lifetime(), Lifetime::Permanent);
    assert!(
        error.to_string().ends_with(&format!(
            "allow elasticloadbalancing:DeregisterTargets on {arn} to the role of this host"
        )),
        "{error}"
    );
}

#[tokio::test]
async fn a_name_that_may_not_be_looked_up_is_told_to_be_an_arn() {
    let (fake, _) = web();
    fake.deny("DescribeTargetGroups");
    let error = one(settings(&fake, &["web"])).find().await.expect_err("denied");
    assert!(
        error.to_string().contains("write the target group's ARN"),
        "{error}"
    );
}

#[tokio::test]
async fn throttling_passes_and_what_is_not_essential_is_skipped_and_said() {
    let (fake, arn) = web();
    fake.limit(Limits {
        describe: Bucket::new(2, 0),
        change: Bucket::new(20, 4),
    });
    let balancer = one(settings(&fake, &[&arn]));
    let (target, view) = leave(&*balancer).await;
    assert_eq!(view.rotation, Rotation::Out);
    let terms = balancer.terms(&target).await.expect("terms");
    assert_eq!(
        terms.min_wait,
        Some(Duration::from_secs(120)),
        "the longer floor, as the kind is not known"
    );
    assert_eq!(terms.max_wait, Some(Duration::from_secs(300)));
    let remark = terms.remark.expect("what was skipped");
    assert!(
        remark.contains("throttles") && remark.contains("assumed"),
        "{remark}"
    );
    // The first of the two was refused; the second was not even asked.
    assert_eq!(fake.all_calls(), 4);
    for _ in 0..2 {
        let error = balancer.find().await.expect_err("throttled");
        assert!(matches!(error.lifetime(), Lifetime::Temporary { .. }), "{error}");
    }
}

#[tokio::test]
async fn a_host_that_was_throttled_asks_no_more_than_it_must() {
    let (fake, arn) = web();
    let throttled = Fault::Refuse {
        status: 400,
        code: "Throttling".to_owned(),
    };
    fake.fail("DescribeTargetHealth", throttled, 1);
    let balancer = one(settings(&fake, &[&arn]));
    balancer.find().await.expect_err("throttled");
    let (target, _) = leave(&*balancer).await;
    balancer.terms(&target).await.expect("terms");
    assert_eq!(fake.all_calls(), 4);
}

#[tokio::test]
async fn terms_that_are_slow_are_assumed_within_two_seconds() {
    let (fake, arn) = web();
    fake.slow("DescribeTargetGroups", Duration::from_secs(30));
    fake.slow("DescribeTargetGroupAttributes", Duration::from_secs(30));
    let balancer = one(settings(&fake, &[&arn]));
    let (target, _) = leave(&*balancer).await;
    let begun = std::time::Instant::now();
    let terms = balancer.terms(&target).await.expect("terms");
    assert!(begun.elapsed() < Duration::from_secs(2), "{:?}", begun.elapsed());
    assert_eq!(terms.min_wait, Some(Duration::from_secs(120)));
    assert!(terms.remark.is_some_and(|remark| remark.contains("in time")));
}

#[tokio::test]
async fn what_the_api_cannot_do_is_an_error() {
    let (fake, arn) = web();
    let balancer = one(settings(&fake, &[&arn]));
    let (target, _) = find(&*balancer).await;
    assert!(!balancer.schedule().cut);
    let error = balancer.cut(&target).await.expect_err("there is no such action");
    assert_eq!(error.lifetime(), Lifetime::Permanent);
}

#[test]
fn nothing_is_asked_before_a_verb() {
    let (fake, arn) = web();
    let imds = Imds::start(Mode::Strict);
    let sources = Sources {
        metadata: Some(imds.url()),
        ..sources()
    };
    // No runtime is running here: any network would panic.
    let balancers = connect_with(settings(&fake, &[&arn]), &host(), &sources).expect("settings");
    assert_eq!(balancers[0].identity().endpoint, "web");
    assert_eq!(balancers[0].identity().provider, "aws-elbv2");
    assert_eq!((fake.all_calls(), imds.requests()), (0, 0));
}
