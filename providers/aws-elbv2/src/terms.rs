//! What AWS says about waiting, as far as it is worth its calls.

use lb_drain_api::{Target, Terms};

use crate::failure::{Failure, Kind as FailureKind};
use crate::kind::{DEFAULT_DELAY, Kind};
use crate::reference::Reference;
use crate::session::Session;

/// The deregistration delay and the floor of this kind of load balancer. Two calls, of which the first is
/// shared by all target groups; neither is essential, so under throttling they are left to those hosts
/// that have yet to leave, and what is assumed instead is said.
pub(crate) async fn learn(session: &Session, reference: &Reference, target: &Target, blind: bool) -> Terms {
    let mut remarks = Vec::new();
    if blind {
        remarks.push(format!(
            r#"elasticloadbalancing:DescribeTargetHealth is not allowed: whether {target} was registered and has left could not be verified"#
        ));
    }
    let kind = kind(session, reference).await;
    let delay = match &kind {
        // The next call would fare no better.
        Err(failure) if failure.kind != FailureKind::Denied => Err(failure.clone()),
        _ => delay(session, reference).await,
    };
    let mut assumed = Vec::new();
    let mut reason = None;
    let kind = kind.unwrap_or_else(|failure| {
        // The longer floor: too short a one loses requests.
        let kind = Kind::Network;
        assumed.push(format!(
            "that new requests may arrive for {} s as with a {} load balancer (`min_wait` changes it)",
            kind.floor().as_secs(),
            kind.name()
        ));
        reason = Some(failure);
        kind
    });
    let delay = delay.unwrap_or_else(|failure| {
        assumed.push(format!(
            "a deregistration delay of {} s (`max_wait` changes it)",
            DEFAULT_DELAY.as_secs()
        ));
        reason.get_or_insert(failure);
        DEFAULT_DELAY
    });
    if let Some(failure) = reason {
        remarks.push(format!("{}; assumed {}", brief(&failure), assumed.join(" and ")));
    }
    Terms {
        min_wait: Some(kind.floor()),
        max_wait: Some(delay),
        remark: (!remarks.is_empty()).then(|| remarks.join("; ")),
    }
}

async fn kind(session: &Session, reference: &Reference) -> Result<Kind, Failure> {
    if let Some(group) = session.described(reference) {
        return Ok(group.kind);
    }
    spare(session).await?;
    Ok(session.group(reference).await?.kind)
}

async fn delay(session: &Session, reference: &Reference) -> Result<std::time::Duration, Failure> {
    spare(session).await?;
    let arn = session.arn(reference).await?;
    Ok(session.api().await?.delay(&arn).await?.unwrap_or(DEFAULT_DELAY))
}

/// Fails where this host has met the account's limit already.
async fn spare(session: &Session) -> Result<(), Failure> {
    if session.api().await?.throttled() {
        return Err(Failure::new(FailureKind::Throttled, "", ""));
    }
    Ok(())
}

fn brief(failure: &Failure) -> String {
    match failure.kind {
        FailureKind::Throttled => {
            "AWS throttles this account's calls, so only what is essential was asked".to_owned()
        }
        FailureKind::Denied => match &failure.remedy {
            Some(remedy) => format!("AWS {}; {remedy}", failure.deed),
            None => format!("AWS {}", failure.deed),
        },
        _ => format!("AWS {}: {}", failure.deed, failure.why),
    }
}
