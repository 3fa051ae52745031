//! What AWS says about waiting, as far as it is worth its calls.

use std::time::Duration;

use lb_drain_api::Terms;

use crate::api::{Attributes, Group};
use crate::failure::{Failure, Kind as FailureKind};
use crate::kind::{DEFAULT_DELAY, Kind, shows_in_tcp};
use crate::reference::Reference;
use crate::session::Session;

/// What is known, or has to be assumed, of how a target group's targets leave.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Learned {
    /// For the engine.
    pub(crate) terms: Terms,
    /// How long new requests may still arrive.
    pub(crate) floor: Duration,
    /// Whether what is in flight does not show among this host's TCP connections.
    pub(crate) unseen: bool,
    /// Whether AWS has said all of it.
    pub(crate) certain: bool,
}

/// Asks for the kind of load balancer and the deregistration delay. Two calls, of which the first is shared by
/// a lot of target groups; neither is essential, so under throttling they are left to those hosts that have
/// yet to leave, and what is assumed instead is said.
pub(crate) async fn learn(session: &Session, reference: &Reference) -> Learned {
    let group = group(session, reference).await;
    let attributes = match &group {
        // The next call would fare no better.
        Err(failure) if failure.kind != FailureKind::Denied => Err(failure.clone()),
        _ => attributes(session, reference).await,
    };
    let closes = match (&group, &attributes) {
        (Ok(group), attributes) => {
            let told = attributes.as_ref().ok().and_then(|told| told.closes);
            group.kind.closes(told)
        }
        // Network load balancers have the attribute, and nearly all others are application load balancers.
        (Err(_), Ok(told)) => told.closes.unwrap_or(true),
        (Err(_), Err(_)) => false,
    };
    // The longer floor where the kind is not known: too short a one loses requests.
    let kind = group.as_ref().map_or(Kind::Network, |group| group.kind);
    let delay = attributes.as_ref().ok().and_then(|told| told.delay);
    // Where connections outlive it, the delay is no end. Of what is not known at all, an end is assumed.
    let ends = closes || (group.is_err() && attributes.is_err());
    let unseen = group.as_ref().ok().filter(|group| !shows_in_tcp(&group.protocol));
    let remarks = [
        assumed(&group, &attributes, kind, ends),
        unseen.map(|group| without_evidence(&group.protocol, closes)),
    ];
    let remarks: Vec<String> = remarks.into_iter().flatten().collect();
    Learned {
        terms: Terms {
            min_wait: Some(kind.floor()),
            max_wait: ends.then(|| delay.unwrap_or(DEFAULT_DELAY)),
            outlived: !closes,
            remark: (!remarks.is_empty()).then(|| remarks.join("; ")),
        },
        floor: kind.floor(),
        unseen: unseen.is_some(),
        certain: group.is_ok() && attributes.is_ok(),
    }
}

/// What is assumed, and why: each of it only where the configuration has no word on it.
fn assumed(
    group: &Result<Group, Failure>,
    attributes: &Result<Attributes, Failure>,
    kind: Kind,
    ends: bool,
) -> Option<String> {
    let mut assumed = Vec::new();
    if group.is_err() {
        assumed.push(format!(
            "where `min_wait` does not say, new requests may arrive for {} s, as with a {} load balancer",
            kind.floor().as_secs(),
            kind.name()
        ));
    }
    if attributes.is_err() && ends {
        assumed.push(format!(
            "where `max_wait` does not say, the deregistration delay is {} s",
            DEFAULT_DELAY.as_secs()
        ));
    } else if attributes.is_err() && kind == Kind::Network {
        assumed.push("connections outlive the deregistration delay".to_owned());
    }
    let failure = group.as_ref().err().or(attributes.as_ref().err())?;
    (!assumed.is_empty()).then(|| format!("{}; assumed: {}", brief(failure), assumed.join("; ")))
}

/// Why nothing shows an early end of this protocol's traffic.
fn without_evidence(protocol: &str, closes: bool) -> String {
    let end = if closes {
        "its deregistration delay is waited for"
    } else {
        "and as it outlives the deregistration delay, the wait lasts until `max_wait` or the budget ends it"
    };
    format!("{protocol} traffic does not show among this host's TCP connections; {end}")
}

async fn group(session: &Session, reference: &Reference) -> Result<Group, Failure> {
    if let Some(group) = session.described(reference) {
        return Ok(group);
    }
    spare(session).await?;
    session.group(reference).await
}

async fn attributes(session: &Session, reference: &Reference) -> Result<Attributes, Failure> {
    spare(session).await?;
    let arn = session.arn(reference).await?;
    session.api().await?.attributes(&arn).await
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
