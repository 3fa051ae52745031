//! Before anything is touched: whether this host is in service, and whether anybody else is.

use std::collections::BTreeSet;
use std::time::Duration;

use lb_drain_api::duration::human;
use lb_drain_api::{Error, Found, Rotation, Target};

use crate::engine::Plan;
use crate::record::Record;

/// How this host stands before a rehearsal.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Standing {
    /// The ports of this host that the load balancers name.
    pub ports: BTreeSet<u16>,
    /// Those that cannot tell whether any other host is in service.
    pub silent: Vec<String>,
    /// What an operator should know.
    pub remarks: Vec<String>,
}

/// Why there is no rehearsal. Nothing has been touched.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refusal {
    /// It would be wrong here and now.
    Unfit(String),
    /// A load balancer does not tell how this host stands.
    NoAnswer(String),
}

impl Refusal {
    /// The sentence.
    #[must_use]
    pub fn why(self) -> String {
        match self {
            Self::Unfit(why) | Self::NoAnswer(why) => why,
        }
    }
}

/// Asks every load balancer how this host stands, each question for at most `limit`.
///
/// # Errors
///
/// Where this host is not in service, is kept out by hand, or is the last one in service and `even_if_last` is false,
/// or where that cannot be found out.
pub async fn standing(
    plans: &[Plan],
    record: &Record,
    limit: Duration,
    even_if_last: bool,
) -> Result<Standing, Refusal> {
    let mut standing = Standing::default();
    let mut entries = Vec::new();
    for plan in plans {
        match entries_of(plan, limit).await {
            Ok(found) => entries.extend(found.into_iter().map(|found| (plan, found))),
            Err(why) if plan.optional => standing.remarks.push(format!("{} (optional)", why.why())),
            Err(why) => return Err(why),
        }
    }
    for (plan, Found { target, view }) in &entries {
        let (name, balancer) = (&plan.name, &plan.balancer);
        let identity = balancer.identity();
        let view = view
            .as_ref()
            .map_err(|error| Refusal::NoAnswer(format!("{name}: {error}")))?;
        let whole = format!("{} {} {target}", identity.provider, identity.endpoint);
        if !matches!(view.rotation, Rotation::InService | Rotation::Unknown) {
            return Err(Refusal::Unfit(format!(
                "{name}: {whole} is not in service (its state is {}); a rehearsal starts in service",
                view.state
            )));
        }
        if record.entry(identity, target).is_some_and(|entry| entry.kept_out) {
            return Err(Refusal::Unfit(format!(
                "{name}: {whole} is on record as kept out by hand (deregister --keep-out), so a rehearsal would not \
                 bring it back; run lb-drain register by hand first"
            )));
        }
        standing.ports.extend(&view.ports);
        // Two sections can name servers of one backend.
        let leaving: Vec<Target> = entries
            .iter()
            .filter(|(other, _)| other.balancer.identity() == identity)
            .map(|(_, found)| found.target.clone())
            .collect();
        match within(limit, plan, balancer.others_in_service(target, &leaving)).await {
            Ok(Some(0)) if !even_if_last => {
                return Err(Refusal::Unfit(format!(
                    "{name}: {whole} is the last one in service there: without it every request would fail; \
                     bring another one into service, or write --even-if-last"
                )));
            }
            Ok(Some(_)) => {}
            Ok(None) => standing.silent.push(format!("{name}: {whole}")),
            Err(error) => return Err(Refusal::NoAnswer(format!("{name}: {error}"))),
        }
    }
    Ok(standing)
}

/// The entries of this host at one load balancer.
async fn entries_of(plan: &Plan, limit: Duration) -> Result<Vec<Found>, Refusal> {
    let name = &plan.name;
    let found = within(limit, plan, plan.balancer.find()).await;
    let found = found.map_err(|error| Refusal::NoAnswer(format!("{name}: {error}")))?;
    if found.is_empty() && !plan.optional {
        return Err(Refusal::Unfit(format!(
            "{name}: has no entry of this host: nothing to rehearse"
        )));
    }
    Ok(found)
}

async fn within<T>(
    limit: Duration,
    plan: &Plan,
    answer: impl Future<Output = Result<T, Error>>,
) -> Result<T, Error> {
    tokio::time::timeout(limit, answer).await.unwrap_or_else(|_| {
        let identity = plan.balancer.identity();
        Err(Error::temporary(
            format!("{} {} did not answer", identity.provider, identity.endpoint),
            format!("nothing within {}", human(limit)),
        ))
    })
}
