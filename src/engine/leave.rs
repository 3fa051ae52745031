//! Leaving one load balancer: find, take out, verify; then wait.

use lb_drain_api::{Error, Firmness, Found, Rotation, Target, View};
use serde_json::Value;
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::ask::Entry;
use super::plan::{Plan, Run};
use super::wait::wait;
use super::{Event, Evidence, Standing, placeholder};
use crate::record;

/// Leaves one load balancer, all of its entries at once.
pub(super) async fn leave(run: Run, plan: Plan, number: usize) {
    let entry = Entry {
        run: &run,
        plan: &plan,
        number,
    };
    let found = match entry
        .insist("find", run.deadline.finish(), || plan.balancer.find())
        .await
    {
        Ok(found) => found,
        Err(error) => return entry.fail(&error),
    };
    if found.is_empty() {
        return not_a_member(&entry);
    }
    let mut tasks = JoinSet::new();
    let balancer = run.ledger.members()[number].balancer;
    // All are in the ledger before the first is left: until then it must not look as if the host were out.
    let numbers: Vec<usize> = std::iter::once(number)
        .chain((1..found.len()).map(|_| run.ledger.add(placeholder(&plan, balancer))))
        .collect();
    for (number, found) in numbers.into_iter().zip(found) {
        let (run, plan) = (run.clone(), plan.clone());
        run.ledger
            .change(number, |member| member.target = Some(found.target.to_string()));
        tasks.spawn(async move {
            let entry = Entry {
                run: &run,
                plan: &plan,
                number,
            };
            if let Err(error) = leave_one(&entry, found).await {
                entry.fail(&error);
            }
        });
    }
    while tasks.join_next().await.is_some() {}
}

fn not_a_member(entry: &Entry<'_>) {
    let used = entry.run.deadline.used();
    entry.tell(&Event::NotAMember, |member| {
        member.standing = Standing::Drained;
        member.evidence = Some(Evidence::NotAMember);
        member.deregistered = Some(used);
        member.drained = Some(used);
        member.error = None;
    });
}

async fn leave_one(entry: &Entry<'_>, found: Found) -> Result<(), Error> {
    let target = found.target;
    let before = match found.view {
        Ok(view) => view,
        Err(error) if matches!(error.lifetime(), lb_drain_api::Lifetime::Permanent) => return Err(error),
        Err(_) => look(entry, &target).await?,
    };
    if before.rotation == Rotation::NotAMember {
        if entry.run.waiting.keep_out {
            // To come back to it is to be registered as the configuration says.
            keep(entry, &target, Value::Null, true)?;
        }
        not_a_member(entry);
        return Ok(());
    }
    let already_out = before.rotation == Rotation::Out;
    keep(entry, &target, before.before.clone(), !already_out)?;
    let view = if already_out {
        before
    } else {
        take_out(entry, &target, Firmness::Drain).await?
    };
    let out = Instant::now();
    let used = entry.run.deadline.used();
    let event = if already_out {
        Event::AlreadyOut
    } else if view.rotation == Rotation::Unknown {
        Event::ToldToLeave
    } else {
        Event::OutOfRotation
    };
    let in_flight = view
        .in_flight
        .or_else(|| entry.run.traffic.in_flight(&ports(entry, &view)));
    entry.tell(&event, |member| {
        member.standing = Standing::Out;
        member.deregistered = Some(used);
        member.in_flight = in_flight;
        member.state = Some(view.state.clone());
        member.error = None;
    });
    if entry.run.waiting.no_wait {
        return Ok(());
    }
    wait(entry, &target, view, out).await;
    Ok(())
}

/// The ports on which this host's own evidence is looked for.
pub(super) fn ports(entry: &Entry<'_>, view: &View) -> std::collections::BTreeSet<u16> {
    let configured = &entry.run.waiting.ports;
    if configured.is_empty() {
        view.ports.iter().copied().collect()
    } else {
        configured.clone()
    }
}

/// Takes an entry out of rotation and returns once the load balancer's own state says so.
///
/// A request that was accepted proves nothing: some load balancers accept what changes nothing, and others
/// are changed back by a reload or an agent. So the state decides, and the request is repeated until it
/// does.
pub(super) async fn take_out(entry: &Entry<'_>, target: &Target, firmness: Firmness) -> Result<View, Error> {
    let until = entry.run.deadline.finish();
    let mut again = entry.retry(until);
    loop {
        let balancer = &entry.plan.balancer;
        entry
            .insist("deregister", until, || {
                entry.change(|member| member.attempts += 1);
                balancer.deregister(target, firmness)
            })
            .await?;
        let view = look(entry, target).await?;
        if !view.rotation.may_route() {
            return Ok(view);
        }
        let identity = balancer.identity();
        let error = Error::temporary(
            format!(
                "{} {} accepted that {target} leaves",
                identity.provider, identity.endpoint
            ),
            format!("but its state still is {}", view.state),
        );
        let Some(pause) = again.pause(None) else {
            return Err(error);
        };
        entry.tell(
            &Event::Retrying {
                error: error.to_string(),
                pause,
            },
            |member| member.error = Some(error.to_string()),
        );
        tokio::time::sleep(pause).await;
    }
}

async fn look(entry: &Entry<'_>, target: &Target) -> Result<View, Error> {
    entry
        .insist("look", entry.run.deadline.finish(), || {
            entry.plan.balancer.look(target)
        })
        .await
}

/// Records how the entry was, before it is touched: a run that is killed afterwards can still be undone.
///
/// # Errors
///
/// Where it is to be kept out and that cannot be recorded: a unit that starts would bring it back.
fn keep(entry: &Entry<'_>, target: &Target, before: Value, by_us: bool) -> Result<(), Error> {
    let identity = entry.plan.balancer.identity();
    let record = &entry.run.record;
    let kept_out = entry.run.waiting.keep_out;
    let kept = record.keep(&record::Entry {
        provider: identity.provider.to_owned(),
        endpoint: identity.endpoint.clone(),
        target: target.to_string(),
        scope: record.scope().to_owned(),
        by_us,
        kept_out,
        before,
    });
    match kept {
        Ok(()) => Ok(()),
        Err(error) if kept_out => Err(Error::permanent(
            format!(
                "{} {} {target} was not left, because it could not be kept out",
                identity.provider, identity.endpoint
            ),
            error,
        )
        .advise("run this as root, or name a folder with --state-dir")),
        Err(error) => {
            let remark =
                format!("how it was cannot be recorded ({error}); register will follow the configuration");
            entry.tell(&Event::Remark(remark), |_| {});
            Ok(())
        }
    }
}
