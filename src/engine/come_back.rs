//! Coming back to one load balancer: what is on record as it was, else as the configuration says.

use std::time::Duration;

use lb_drain_api::{Error, Rotation, Target};
use serde_json::Value;
use tokio::time::sleep;

use super::ask::Entry;
use super::listening::listening;
use super::plan::{Plan, Return as How, Run};
use super::{Event, Standing, placeholder};
use crate::record;

/// Between looks at most at first, and later: a start waits for this, which is rarer and more urgent than the
/// drains that a load balancer's pace is made for.
const NEAR: Duration = Duration::from_secs(1);
const FAR: Duration = Duration::from_secs(10);

/// Puts every entry of one load balancer back.
pub(super) async fn come_back(run: Run, plan: Plan, number: usize, how: How) {
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
        if let Err(error) = come_back_one(&entry, &back, how).await {
            entry.fail(&error);
        }
    }
}

/// One entry that is to come back.
struct Return {
    target: Target,
    by_us: bool,
    kept_out: bool,
    before: Option<Value>,
}

impl From<record::Entry> for Return {
    fn from(entry: record::Entry) -> Self {
        Self {
            target: Target::new(entry.target),
            by_us: entry.by_us,
            kept_out: entry.kept_out,
            before: Some(entry.before).filter(|before| !before.is_null()),
        }
    }
}

/// What is on record, else what the load balancer knows of this host, else the host by its configuration.
async fn returns(entry: &Entry<'_>) -> Result<Vec<Return>, Error> {
    let balancer = &entry.plan.balancer;
    let (recorded, ignored) = entry.run.record.entries(balancer.identity(), &entry.plan.section);
    for remark in ignored {
        entry.tell(&Event::Remark(remark), |_| {});
    }
    if !recorded.is_empty() {
        return Ok(recorded.into_iter().map(Return::from).collect());
    }
    let found = entry
        .insist("find", entry.run.deadline.finish(), || balancer.find())
        .await?;
    let mut returns = Vec::new();
    for found in found {
        found.view?;
        // Options, or another file, may have taken it out under another name.
        let recorded = entry.run.record.entry(balancer.identity(), &found.target);
        returns.push(recorded.map_or(
            Return {
                target: found.target,
                by_us: true,
                kept_out: false,
                before: None,
            },
            Return::from,
        ));
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

async fn come_back_one(entry: &Entry<'_>, back: &Return, how: How) -> Result<(), Error> {
    let balancer = &entry.plan.balancer;
    let until = entry.run.deadline.finish();
    if back.kept_out && !how.even_if_kept_out {
        entry.tell(&Event::KeptOut, |member| member.standing = Standing::KeptOut);
        return Ok(());
    }
    if !back.by_us {
        forget(entry, &back.target);
        entry.tell(&Event::LeftAsFound, |member| member.standing = Standing::LeftOut);
        return Ok(());
    }
    listening(entry).await?;
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
            Rotation::NotInService if !how.until_in_service => break Event::Registered,
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
    forget(entry, &back.target);
    entry.tell(&told, |member| {
        member.standing = Standing::Back;
        member.error = None;
    });
    Ok(())
}

fn forget(entry: &Entry<'_>, target: &Target) {
    let forgotten = entry.run.record.forget(entry.plan.balancer.identity(), target);
    if let Err(error) = forgotten {
        let remark = format!("it stays on record as taken out: {error}");
        entry.tell(&Event::Remark(remark), |_| {});
    }
}
