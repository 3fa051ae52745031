//! Coming back to one load balancer: what is on record as it was, else as the configuration says.

use std::time::Duration;

use lb_drain_api::{Error, Rotation, Target};
use serde_json::Value;
use tokio::time::sleep;

use super::ask::Entry;
use super::plan::{Plan, Run};
use super::{Event, Standing, placeholder};

/// Between looks at most at first, and later: a start waits for this, which is rarer and more urgent than the
/// drains that a load balancer's pace is made for.
const NEAR: Duration = Duration::from_secs(1);
const FAR: Duration = Duration::from_secs(10);

/// Puts every entry of one load balancer back.
pub(super) async fn come_back(run: Run, plan: Plan, number: usize, wait: bool) {
    let first = Entry {
        run: &run,
        plan: &plan,
        number,
    };
    let returns = match returns(&first).await {
        Ok(returns) => returns,
        Err(error) => return first.fail(&error),
    };
    let balancer = run.ledger.members()[number].balancer;
    let numbers: Vec<usize> = std::iter::once(number)
        .chain((1..returns.len()).map(|_| run.ledger.add(placeholder(&plan, balancer))))
        .collect();
    for (number, back) in numbers.into_iter().zip(returns) {
        let entry = Entry {
            run: &run,
            plan: &plan,
            number,
        };
        entry.change(|member| member.target = Some(back.target.to_string()));
        if let Err(error) = come_back_one(&entry, &back, wait).await {
            entry.fail(&error);
        }
    }
}

/// One entry that is to come back.
struct Return {
    target: Target,
    by_us: bool,
    before: Option<Value>,
}

/// What is on record, else what the load balancer knows of this host, else the host by its configuration.
async fn returns(entry: &Entry<'_>) -> Result<Vec<Return>, Error> {
    let balancer = &entry.plan.balancer;
    let (recorded, ignored) = entry.run.record.entries(balancer.identity());
    for remark in ignored {
        entry.tell(&Event::Remark(remark), |_| {});
    }
    if !recorded.is_empty() {
        return Ok(recorded
            .into_iter()
            .map(|entry| Return {
                target: Target::new(entry.target),
                by_us: entry.by_us,
                before: Some(entry.before),
            })
            .collect());
    }
    let found = entry
        .insist("find", entry.run.deadline.finish(), || balancer.find())
        .await?;
    let mut returns = Vec::new();
    for found in found {
        found.view?;
        returns.push(Return {
            target: found.target,
            by_us: true,
            before: None,
        });
    }
    if returns.is_empty() {
        let identity = balancer.identity();
        return Err(Error::permanent(
            format!(
                "{} {} has no entry of this host",
                identity.provider, identity.endpoint
            ),
            "none is on record, and none matches the configuration",
        )
        .advise("name it in the configuration"));
    }
    Ok(returns)
}

async fn come_back_one(entry: &Entry<'_>, back: &Return, wait: bool) -> Result<(), Error> {
    let balancer = &entry.plan.balancer;
    let until = entry.run.deadline.finish();
    if !back.by_us {
        entry.run.record.forget(balancer.identity(), &back.target);
        entry.tell(&Event::LeftAsFound, |member| member.standing = Standing::Drained);
        return Ok(());
    }
    entry
        .insist("register", until, || {
            entry.change(|member| member.attempts += 1);
            balancer.register(&back.target, back.before.as_ref())
        })
        .await?;
    let pace = balancer.schedule().pace;
    let (mut pause, longest) = (pace.near.min(NEAR), pace.far.min(FAR));
    let told = loop {
        let view = entry
            .insist("look", until, || balancer.look(&back.target))
            .await?;
        entry.change(|member| member.state = Some(view.state.clone()));
        match view.rotation {
            Rotation::InService => break Event::Registered,
            Rotation::Unknown => break Event::ToldToComeBack,
            Rotation::NotInService if !wait => break Event::Registered,
            Rotation::NotInService | Rotation::Out | Rotation::NotAMember => {}
        }
        let identity = balancer.identity();
        entry.change(|member| {
            member.error = Some(format!(
                "{} {} has {} not in service yet: its state is {}",
                identity.provider, identity.endpoint, back.target, view.state
            ));
        });
        sleep(pause).await;
        pause = (pause * 2).min(longest);
    };
    entry.run.record.forget(balancer.identity(), &back.target);
    entry.tell(&told, |member| {
        member.standing = Standing::Drained;
        member.error = None;
    });
    Ok(())
}
