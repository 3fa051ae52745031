//! The way back: whether there is one, before this host leaves, and where it stands when it was not come back.

use std::time::Duration;

use lb_drain_api::duration::human;
use lb_drain_api::{Identity, NO_WAY_BACK, Rotation, Severity, Target};
use serde_json::Value;

use super::Refusal;
use crate::check::load_balancers::findings;
use crate::delays::Delay;
use crate::engine::Plan;
use crate::record::{Entry, Record};

/// On top of a deregistration delay: as long as the health checks of common load balancers take until a host counts as
/// healthy.
const HEALTH_CHECKS: Duration = Duration::from_secs(300);

/// How long a load balancer is asked where this host stands, when all else has failed.
const ASKING: Duration = Duration::from_secs(5);

/// How long coming back may take: as long as an address that still drains may be refused, then as long as health checks
/// take, and never less than leaving.
#[must_use]
pub fn patience(delays: &[Delay], budget: Duration) -> Duration {
    let delay = delays.iter().filter_map(|delay| delay.max_wait).max();
    budget.max(delay.unwrap_or_default() + HEALTH_CHECKS)
}

/// Whether this host could leave and would come back, found out without changing anything.
///
/// # Errors
///
/// Why not, and what to do about it.
pub async fn way_back(plans: &[Plan], record: &Record, limit: Duration) -> Result<(), Refusal> {
    recordable(record)?;
    for remark in findings(plans, limit).await {
        let finding = remark.finding;
        if finding.severity == Severity::Problem || finding.why == NO_WAY_BACK {
            let remedy = finding
                .remedy
                .map_or_else(String::new, |remedy| format!("; {remedy}"));
            let (about, what, why) = (remark.about, finding.what, finding.why);
            return Err(Refusal::Unfit(format!("{about}: {what}: {why}{remedy}")));
        }
    }
    Ok(())
}

/// Writes to the record and forgets it again: a rehearsal that is killed must be undone from there.
fn recordable(record: &Record) -> Result<(), Refusal> {
    let nobody = Identity {
        provider: "rehearse",
        endpoint: "nowhere".to_owned(),
    };
    let target = Target::new("a trial");
    let trial = Entry {
        provider: nobody.provider.to_owned(),
        endpoint: nobody.endpoint.clone(),
        target: target.to_string(),
        scope: record.scope().to_owned(),
        section: "rehearse".to_owned(),
        by_us: true,
        kept_out: false,
        lasting: false,
        before: Value::Null,
    };
    let kept = record.keep(&trial, true);
    kept.and_then(|_| record.forget(&nobody, &target)).map_err(|error| {
        Refusal::Unfit(format!(
            "how this host was cannot be recorded, so nothing could bring it back after a crash: {error}; run this as \
             root, or name a folder with --state-dir"
        ))
    })
}

/// A floor that the budget ends before, so that nothing would be learnt: of drains that end in time, there are none.
///
/// # Errors
///
/// Which load balancer, and the budget to write.
pub fn floors_fit(delays: &[Delay], budget: Duration) -> Result<(), Refusal> {
    let slowest = delays.iter().max_by_key(|delay| delay.min_wait);
    match slowest.and_then(|delay| Some((&delay.name, delay.min_wait?))) {
        Some((name, floor)) if floor >= budget => Err(Refusal::Unfit(format!(
            "{name}: its changes need {} to take effect, and the budget is {}: this host would never count as drained; \
             write --budget {}s",
            human(floor),
            human(budget),
            (floor.as_secs() + 30).div_ceil(10) * 10
        ))),
        _ => Ok(()),
    }
}

/// Where this host stands by the load balancers' own account, and what to do, for a host that could not be brought
/// back. `command` brings it back.
pub(super) async fn whereabouts(plans: &[Plan], command: &str) -> String {
    let (mut out, mut unknown, mut waiting) = (Vec::new(), Vec::new(), Vec::new());
    for plan in plans {
        let found = tokio::time::timeout(ASKING, plan.balancer.find()).await;
        let Ok(Ok(found)) = found else {
            unknown.push(plan.name.clone());
            continue;
        };
        for found in found {
            let Ok(view) = found.view else {
                unknown.push(plan.name.clone());
                continue;
            };
            let told = format!("{} ({})", plan.name, view.state);
            match view.rotation {
                Rotation::InService => {}
                Rotation::NotInService => waiting.push(told),
                Rotation::Out | Rotation::NotAMember => out.push(told),
                Rotation::Unknown => unknown.push(plan.name.clone()),
            }
        }
    }
    let mut parts = Vec::new();
    let remedy = format!(": when its service runs, run {command}");
    if !out.is_empty() {
        parts.push(format!("this host is out of {}{remedy}", out.join(", ")));
    }
    if !unknown.is_empty() {
        let names = unknown.join(", ");
        parts.push(format!(
            "this host may be out of {names}, which does not tell{remedy}"
        ));
    }
    if !waiting.is_empty() {
        parts.push(format!(
            "this host is registered, not in service yet: {}; it will be once it passes the health checks (lb-drain status)",
            waiting.join(", ")
        ));
    }
    if parts.is_empty() {
        parts.push("this host is in service all the same".to_owned());
    }
    parts.join("; ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn delay(min_wait: Option<u64>, max_wait: Option<u64>) -> Delay {
        Delay {
            name: "public".to_owned(),
            min_wait: min_wait.map(Duration::from_secs),
            max_wait: max_wait.map(Duration::from_secs),
            unknown: None,
        }
    }

    #[test]
    fn coming_back_has_time_for_the_delay_and_for_health_checks() {
        let budget = Duration::from_secs(30);
        let slow = [delay(Some(15), Some(300)), delay(None, None)];
        assert_eq!(patience(&slow, budget), Duration::from_secs(600));
        assert_eq!(patience(&[delay(None, None)], budget), HEALTH_CHECKS);
    }

    #[test]
    fn a_floor_that_the_budget_ends_before_is_told_what_to_write() {
        let delays = [delay(None, None), delay(Some(120), Some(300))];
        let Err(Refusal::Unfit(why)) = floors_fit(&delays, Duration::from_secs(30)) else {
            panic!("it would never count as drained");
        };
        assert!(
            why.contains("need 120 s") && why.contains("--budget 150s"),
            "{why}"
        );
        assert_eq!(floors_fit(&delays, Duration::from_secs(150)), Ok(()));
    }
}
