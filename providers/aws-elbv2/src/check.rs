//! Whether leaving would work, found out without changing anything.

use lb_drain_api::{Error, Finding, Found, Lifetime, Rotation, Severity, duration};

use crate::api::Api;
use crate::entry::Entry;
use crate::failure::{Failure, Kind};
use crate::reference::Reference;
use crate::session::Session;

/// An id that no target has: IAM decides about DeregisterTargets before the target is looked for, and to
/// deregister what is not registered changes nothing.
const NOBODY: &str = "i-00000000000000000";

/// Everything that can be said of one target group. `found` is what the search for this host came to.
pub(crate) async fn check(
    session: &Session,
    reference: &Reference,
    found: Result<Vec<Found>, Error>,
) -> Vec<Finding> {
    let mut findings = Vec::new();
    let found = match found {
        Ok(found) => found,
        Err(error) if session.throttled() && matches!(error.lifetime(), Lifetime::Temporary { .. }) => {
            return vec![Finding {
                severity: Severity::Warning,
                what: error.to_string(),
                why: "AWS did not answer this time, so it is not known whether a stop would work".to_owned(),
                remedy: Some("check again when fewer hosts ask".to_owned()),
            }];
        }
        Err(error) => {
            // No credentials, no such group, nobody there: whatever else is asked would say the same.
            findings.push(problem(
                error.to_string(),
                "a stop would leave this host in rotation",
                None,
            ));
            return findings;
        }
    };
    findings.extend(found.iter().map(|found| membership(reference, found)));
    let asked = async { Ok::<_, Failure>((session.arn(reference).await?, session.api().await?)) };
    match asked.await {
        Ok((arn, api)) => {
            findings.push(leaving(&api, &arn).await);
            findings.push(waiting(session, &api, reference, &arn).await);
        }
        Err(failure) => findings.push(refusal(
            failure,
            reference,
            "a stop would leave this host in rotation",
        )),
    }
    findings.push(fine(
        "elasticloadbalancing:RegisterTargets was not tried".to_owned(),
        "it cannot be without registering something; `register` needs it",
    ));
    findings
}

fn membership(reference: &Reference, found: &Found) -> Finding {
    let name = reference.name();
    let target = &found.target;
    match &found.view {
        Ok(view) if view.rotation == Rotation::Unknown => Finding {
            severity: Severity::Warning,
            what: format!("{name}: the state of {target} may not be read"),
            why: "a stop can leave, but neither verify it nor see that there is nothing to leave".to_owned(),
            remedy: Some(
                r#"allow elasticloadbalancing:DescribeTargetHealth on "*" to the role of this host"#
                    .to_owned(),
            ),
        },
        Ok(view) if view.rotation == Rotation::NotAMember => Finding {
            severity: Severity::Warning,
            what: format!("{name}: {target} is not registered"),
            why: "a stop would have nothing to do here".to_owned(),
            remedy: Some("if it should be, check `target_groups`, `target_id` and `port`".to_owned()),
        },
        Ok(view) => fine(
            format!("{name}: {target}: its state is {}", view.state),
            "a stop finds it there",
        ),
        Err(error) => problem(error.to_string(), "a stop may leave this host in rotation", None),
    }
}

async fn leaving(api: &Api, arn: &str) -> Finding {
    let nobody = Entry::new(NOBODY.to_owned(), None);
    match api.deregister(arn, &[nobody]).await {
        Err(failure) if matches!(failure.kind, Kind::InvalidTarget | Kind::Invalid) => allowed(),
        Ok(()) => allowed(),
        Err(failure) if failure.kind == Kind::Denied => problem(
            "elasticloadbalancing:DeregisterTargets is not allowed".to_owned(),
            "a stop would leave this host in rotation",
            failure.remedy,
        ),
        Err(failure) => Finding {
            severity: Severity::Warning,
            what: "elasticloadbalancing:DeregisterTargets could not be tried".to_owned(),
            why: failure.why,
            remedy: failure.remedy,
        },
    }
}

fn allowed() -> Finding {
    fine(
        "elasticloadbalancing:DeregisterTargets is allowed".to_owned(),
        "tried with a target that does not exist, which changes nothing",
    )
}

async fn waiting(session: &Session, api: &Api, reference: &Reference, arn: &str) -> Finding {
    let why = "without it, a stop assumes a delay of 300 s and the floor of a network load balancer, 120 s";
    let (group, told) = match (session.group(reference).await, api.attributes(arn).await) {
        (Ok(group), Ok(told)) => (group, told),
        (Err(failure), _) | (_, Err(failure)) => {
            return Finding {
                severity: Severity::Warning,
                ..refusal(failure, reference, why)
            };
        }
    };
    fine(
        format!(
            "{}: {} load balancer, deregistration delay {}",
            reference.name(),
            group.kind.name(),
            told.delay.map_or_else(|| "not set".to_owned(), duration::human)
        ),
        &format!(
            "new requests may arrive for {} after leaving{}",
            duration::human(group.kind.floor()),
            if group.kind.closes(told.closes) {
                ""
            } else {
                ", and connections outlive the delay"
            }
        ),
    )
}

fn refusal(failure: Failure, reference: &Reference, why: &str) -> Finding {
    problem(failure.of(reference.name()).to_string(), why, None)
}

fn fine(what: String, why: &str) -> Finding {
    Finding {
        severity: Severity::Fine,
        what,
        why: why.to_owned(),
        remedy: None,
    }
}

fn problem(what: String, why: &str, remedy: Option<String>) -> Finding {
    Finding {
        severity: Severity::Problem,
        what,
        why: why.to_owned(),
        remedy,
    }
}
