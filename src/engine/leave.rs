//! Leaving one load balancer: find, take out, verify; then wait.

use std::collections::HashMap;
use std::time::Duration;

use lb_drain_api::{Error, Firmness, Found, Rotation, Target, View};
use serde_json::Value;
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::aftercare::look_after;
use super::ask::Entry;
use super::plan::{Plan, Run};
use super::settled::StillLeaving;
use super::wait::{gone, wait};
use super::{Event, Evidence, Member, Standing, placeholder};
use crate::record;

/// How long what was seen of an entry may be acted on: hardly longer than an answer travels. Later somebody may have
/// taken it further out, and leaving must not bring it back from there.
const MOMENT: Duration = Duration::from_millis(2);

/// What was seen of an entry, and when.
#[derive(Debug, Clone)]
struct Sight {
    view: View,
    at: Instant,
}

impl Sight {
    /// The view, unless it is no longer of a moment ago.
    fn fresh(self) -> Option<View> {
        (self.at.elapsed() < MOMENT).then_some(self.view)
    }
}

/// Leaves one load balancer, all of its entries at once. `still` is this task among those that are leaving.
pub(super) async fn leave(run: Run, plan: Plan, number: usize, still: StillLeaving) {
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
    let found_at = Instant::now();
    if found.is_empty() {
        return not_a_member(&entry, &Event::NothingFound);
    }
    let mut tasks = JoinSet::new();
    let mut tasks_of = HashMap::new();
    let balancer = run.ledger.members()[number].balancer;
    // All are in the ledger before the first is left: until then it must not look as if the host were out.
    let numbers: Vec<usize> = std::iter::once(number)
        .chain((1..found.len()).map(|_| run.ledger.add(placeholder(&plan, balancer))))
        .collect();
    for (number, found) in numbers.into_iter().zip(found) {
        let (run, plan, still) = (run.clone(), plan.clone(), still.leaving().one());
        run.ledger
            .change(number, |member| member.target = Some(found.target.to_string()));
        let task = tasks.spawn(async move {
            let entry = Entry {
                run: &run,
                plan: &plan,
                number,
            };
            if let Err(error) = leave_one(&entry, found, found_at, still).await {
                entry.fail(&error);
            }
        });
        tasks_of.insert(task.id(), number);
    }
    let leaving = still.leaving().clone();
    drop(still);
    let mut unwatched = None;
    while let Some(ended) = tasks.join_next_with_id().await {
        if let Err(panic) = ended
            && let Some(number) = tasks_of.get(&panic.id())
            && run.ledger.mistake(*number, &panic).standing == Standing::Out
        {
            unwatched = Some(leaving.one());
        }
    }
    // Nobody knows any more what is in flight there.
    if unwatched.is_some() {
        gone(&mut run.main_process_gone.clone()).await;
    }
}

fn not_a_member(entry: &Entry<'_>, event: &Event) {
    let used = entry.run.deadline.used();
    entry.tell(event, |member| {
        member.standing = Standing::Drained;
        member.evidence = Some(Evidence::NotAMember);
        member.deregistered = Some(used);
        member.drained = Some(used);
        member.error = None;
    });
}

async fn leave_one(
    entry: &Entry<'_>,
    found: Found,
    found_at: Instant,
    still: StillLeaving,
) -> Result<(), Error> {
    let target = found.target;
    let Sight { view: before, at } = match found.view {
        Ok(view) => Sight { view, at: found_at },
        Err(error) if matches!(error.lifetime(), lb_drain_api::Lifetime::Permanent) => return Err(error),
        Err(_) => Sight {
            view: look(entry, &target).await?,
            at: Instant::now(),
        },
    };
    if before.rotation == Rotation::NotAMember {
        if entry.run.waiting.keep_out {
            // To come back to it is to be registered as the configuration says.
            let nothing = View {
                before: Value::Null,
                ..before
            };
            keep(entry, &target, &nothing, true)?;
        }
        not_a_member(entry, &Event::NotAMember);
        return Ok(());
    }
    let already_out = before.rotation == Rotation::Out;
    keep(entry, &target, &before, !already_out)?;
    let mut view = if already_out {
        before
    } else {
        let seen = Sight { view: before, at };
        take_out(entry, &target, Firmness::Drain, Some(seen)).await?
    };
    let mut out = Instant::now();
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
    let mut still = still;
    loop {
        wait(entry, &target, view, out, already_out).await;
        let Some((seen, again)) = look_after(entry, &target, still).await else {
            return Ok(());
        };
        still = again;
        view = put_back(entry, &target, &seen, Firmness::Drain).await?;
        out = Instant::now();
    }
}

/// What was put back into rotation behind our back is taken out again.
pub(super) async fn put_back(
    entry: &Entry<'_>,
    target: &Target,
    seen: &View,
    firmness: Firmness,
) -> Result<View, Error> {
    let before = entry.run.ledger.members()[entry.number].standing;
    let change = |member: &mut Member| {
        member.standing = Standing::In;
        member.evidence = None;
        member.drained = None;
        member.state = Some(seen.state.clone());
    };
    if before == Standing::In {
        entry.change(change); // told before, and still not out
    } else {
        entry.tell(&Event::PutBack, change);
    }
    keep(entry, target, seen, true)?;
    let view = take_out(entry, target, firmness, None).await?;
    entry.change(|member| {
        member.standing = Standing::Out;
        member.error = None;
    });
    Ok(view)
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
async fn take_out(
    entry: &Entry<'_>,
    target: &Target,
    firmness: Firmness,
    mut seen: Option<Sight>,
) -> Result<View, Error> {
    let until = entry.run.deadline.finish();
    let mut again = entry.retry(until);
    loop {
        let balancer = &entry.plan.balancer;
        let after = entry
            .insist("deregister", until, || {
                entry.change(|member| member.attempts += 1);
                let seen = seen.take().and_then(Sight::fresh);
                async move { balancer.deregister(target, firmness, seen.as_ref()).await }
            })
            .await?;
        let view = match after {
            Some(view) => view,
            None => look(entry, target).await?,
        };
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
fn keep(entry: &Entry<'_>, target: &Target, before: &View, by_us: bool) -> Result<(), Error> {
    let identity = entry.plan.balancer.identity();
    let record = &entry.run.record;
    let kept_out = entry.run.waiting.keep_out;
    let how_it_was = record::Entry {
        provider: identity.provider.to_owned(),
        endpoint: identity.endpoint.clone(),
        target: target.to_string(),
        scope: record.scope().to_owned(),
        section: entry.plan.section.clone(),
        by_us,
        kept_out,
        // Coming back ends no firmness but ours, and a reboot does not make it somebody else's.
        lasting: entry.plan.balancer.schedule().firm_after.is_some(),
        before: before.before.clone(),
    };
    match record.keep(&how_it_was, before.rotation != Rotation::Unknown) {
        Ok(ignored) => {
            for remark in ignored {
                entry.tell(&Event::Remark(remark), |_| {});
            }
            Ok(())
        }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_sight_is_good_for_a_moment() {
        let view = View {
            rotation: Rotation::InService,
            in_flight: None,
            undrained: false,
            partial: false,
            state: String::new(),
            ports: Vec::new(),
            before: Value::Null,
        };
        let at = Instant::now();
        let sight = Sight { view, at };
        assert!(sight.clone().fresh().is_some());
        tokio::time::advance(MOMENT).await;
        assert!(sight.fresh().is_none());
    }
}
