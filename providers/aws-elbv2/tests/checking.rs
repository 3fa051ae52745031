//! `check` names what is missing and changes nothing.

mod common;

use common::{OTHER, one, settings, web};
use lb_drain_api::{Finding, Severity};
use lb_drain_aws_elbv2::Settings;
use lb_drain_test_support::elbv2::{Bucket, Limits};
use lb_drain_test_support::imds::INSTANCE_ID;

fn text(findings: &[Finding]) -> String {
    let lines = findings.iter().map(|finding| {
        let Finding {
            severity,
            what,
            why,
            remedy,
        } = finding;
        format!(
            "{severity:?}: {what} ({why}); {}",
            remedy.as_deref().unwrap_or("-")
        )
    });
    lines.collect::<Vec<_>>().join("\n")
}

fn worst(findings: &[Finding]) -> Severity {
    findings
        .iter()
        .map(|finding| finding.severity)
        .max()
        .expect("findings")
}

#[tokio::test]
async fn all_is_fine_and_nothing_is_changed() {
    let (fake, arn) = web();
    let findings = one(settings(&fake, &[&arn])).check().await;
    let text = text(&findings);
    println!("{text}");
    assert_eq!(worst(&findings), Severity::Fine, "{text}");
    for part in [
        "web: i-0123456789abcdef0:8080: its state is healthy",
        "elasticloadbalancing:DeregisterTargets is allowed",
        "elasticloadbalancing:RegisterTargets was not tried",
        "web: application load balancer, deregistration delay 300 s (new requests may arrive for 15 s",
    ] {
        assert!(text.contains(part), "{part}:\n{text}");
    }
    for id in [INSTANCE_ID, OTHER] {
        assert_eq!(fake.truth(&arn, id, 8080).as_deref(), Some("healthy"));
    }
}

#[tokio::test]
async fn each_missing_permission_is_named_by_its_action() {
    for (action, severity) in [
        ("DescribeTargetHealth", Severity::Problem),
        ("DeregisterTargets", Severity::Problem),
        ("DescribeTargetGroups", Severity::Warning),
        ("DescribeTargetGroupAttributes", Severity::Warning),
    ] {
        let (fake, arn) = web();
        fake.deny(action);
        let findings = one(settings(&fake, &[&arn])).check().await;
        let text = text(&findings);
        assert_eq!(worst(&findings), severity, "{action}:\n{text}");
        assert!(
            text.contains(&format!("allow elasticloadbalancing:{action} on")),
            "{action}:\n{text}"
        );
    }
}

#[tokio::test]
async fn with_a_port_unreadable_state_is_a_warning() {
    let (fake, arn) = web();
    fake.deny("DescribeTargetHealth");
    let settings = Settings {
        port: Some(8080),
        ..settings(&fake, &[&arn])
    };
    let findings = one(settings).check().await;
    assert_eq!(worst(&findings), Severity::Warning, "{}", text(&findings));
}

#[tokio::test]
async fn a_host_that_is_not_registered_is_told() {
    let (fake, arn) = web();
    let settings = Settings {
        port: Some(9090),
        ..settings(&fake, &[&arn])
    };
    let findings = one(settings).check().await;
    let text = text(&findings);
    assert_eq!(worst(&findings), Severity::Warning, "{text}");
    assert!(
        text.contains("i-0123456789abcdef0:9090 is not registered"),
        "{text}"
    );
}

/// A check that meets the account's limit has found nothing out, good or bad.
#[tokio::test]
async fn throttling_is_a_warning() {
    let (fake, arn) = web();
    fake.limit(Limits {
        describe: Bucket::new(0, 0),
        ..Limits::default()
    });
    let findings = one(settings(&fake, &[&arn])).check().await;
    let text = text(&findings);
    assert_eq!(worst(&findings), Severity::Warning, "{text}");
    assert!(
        text.contains("it is not known whether a stop would work"),
        "{text}"
    );
}

#[tokio::test]
async fn what_makes_every_call_fail_is_told_once() {
    let (fake, arn) = web();
    fake.expire_credentials();
    let findings = one(settings(&fake, &[&arn])).check().await;
    assert_eq!(findings.len(), 1);
    assert_eq!(worst(&findings), Severity::Problem);
    assert!(
        findings[0].what.contains("renew the credentials"),
        "{}",
        findings[0].what
    );
}
