//! What the tests of this provider share.

#![allow(dead_code, unreachable_pub)] // each test file uses its part

use std::sync::Arc;
use std::time::Duration;

use aws_sdk_elasticloadbalancingv2::config::{Credentials, SharedCredentialsProvider};
use lb_drain_api::{Firmness, Found, Host, LoadBalancer, Rotation, Target, View};
use lb_drain_aws_elbv2::{Settings, Sources, connect_with};
use lb_drain_test_support::elbv2::{Elbv2, TargetGroup};
use lb_drain_test_support::imds::INSTANCE_ID;

/// Another instance, which must be left alone.
pub const OTHER: &str = "i-0fedcba9876543210";

/// This host, with a budget of 30 s.
pub fn host() -> Host {
    Host {
        hostname: "web1".to_owned(),
        addresses: vec!["10.0.0.7".parse().expect("an address")].into(),
        ports: vec![8080],
        unit: None,
        budget: Duration::from_secs(30),
    }
}

/// Credentials in hand; instance metadata nowhere.
pub fn sources() -> Sources {
    Sources {
        credentials: Some(SharedCredentialsProvider::new(Credentials::new(
            "AKIAFAKE",
            "fake-secret",
            None,
            None,
            "test",
        ))),
        metadata: Some("http://127.0.0.1:9".to_owned()),
    }
}

/// Settings for these target groups of the fake, with this host's id.
pub fn settings(fake: &Elbv2, groups: &[&str]) -> Settings {
    Settings {
        target_groups: groups.iter().map(ToString::to_string).collect(),
        target_id: Some(INSTANCE_ID.to_owned()),
        endpoint_url: Some(fake.url()),
        region: groups
            .iter()
            .all(|group| !group.starts_with("arn:"))
            .then(|| "eu-west-1".to_owned()),
        ..Settings::default()
    }
}

/// One target group as the engine would get it.
pub fn one(settings: Settings) -> Arc<dyn LoadBalancer> {
    let mut all = all(settings);
    assert_eq!(all.len(), 1);
    all.remove(0)
}

/// All target groups of a section.
pub fn all(settings: Settings) -> Vec<Arc<dyn LoadBalancer>> {
    connect_with(settings, &host(), &sources()).expect("settings that can be meant")
}

/// A fake with one target group in which this host is healthy on port 8080, and so is another.
pub fn web() -> (Elbv2, String) {
    web_of(TargetGroup::new("web"))
}

/// As [`web`], with a target group of one's own.
pub fn web_of(group: TargetGroup) -> (Elbv2, String) {
    let fake = Elbv2::start();
    let arn = fake.add(group);
    fake.register(&arn, INSTANCE_ID, 8080, None, "healthy");
    fake.register(&arn, OTHER, 8080, None, "healthy");
    (fake, arn)
}

/// The one entry that is found.
pub async fn find(balancer: &dyn LoadBalancer) -> (Target, View) {
    let mut found = balancer.find().await.expect("an answer");
    assert_eq!(found.len(), 1, "{found:?}");
    let Found { target, view } = found.remove(0);
    (target, view.expect("a state"))
}

/// What the engine does until a host is out: find, deregister, verify.
pub async fn leave(balancer: &dyn LoadBalancer) -> (Target, View) {
    let (target, before) = find(balancer).await;
    if matches!(before.rotation, Rotation::Out | Rotation::NotAMember) {
        return (target, before);
    }
    balancer
        .deregister(&target, Firmness::Drain, None)
        .await
        .expect("accepted");
    let view = balancer.look(&target).await.expect("an answer");
    (target, view)
}
