//! Each load balancer, as its provider sees it.

use std::time::Duration;

use lb_drain_api::{Finding, Severity};
use tokio::time::timeout;

use super::Remark;
use crate::engine::Plan;

/// All at once, each for at most `patience`.
pub(crate) async fn findings(plans: &[Plan], patience: Duration) -> Vec<Remark> {
    let tasks: Vec<_> = plans
        .iter()
        .cloned()
        .map(|plan| tokio::spawn(async move { of_one(&plan, patience).await }))
        .collect();
    let mut remarks = Vec::new();
    for (task, plan) in tasks.into_iter().zip(plans) {
        let findings = task.await.unwrap_or_else(|panic| {
            vec![problem(
                plan,
                format!("could not be checked: a mistake in lb-drain: {panic}"),
            )]
        });
        remarks.extend(findings.into_iter().map(|finding| Remark {
            about: plan.name.clone(),
            finding: softened(plan, finding),
        }));
    }
    remarks
}

async fn of_one(plan: &Plan, patience: Duration) -> Vec<Finding> {
    timeout(patience, plan.balancer.check())
        .await
        .unwrap_or_else(|_| vec![problem(plan, "did not answer in time".to_owned())])
}

fn problem(plan: &Plan, what: String) -> Finding {
    let identity = plan.balancer.identity();
    Finding {
        severity: Severity::Problem,
        what: format!("{} {} {what}", identity.provider, identity.endpoint),
        why: "a stop could not take this host out of rotation there".to_owned(),
        remedy: None,
    }
}

/// A run succeeds without one that is optional.
fn softened(plan: &Plan, finding: Finding) -> Finding {
    Finding {
        severity: if plan.optional {
            finding.severity.min(Severity::Warning)
        } else {
            finding.severity
        },
        ..finding
    }
}
