//! The engine: all of a run's time, retries, polling and order. It knows no provider and no command line.
//!
//! Every load balancer is told at once and waited for side by side. Where each entry stands is in the
//! [`Ledger`] at every moment, so whoever ends the run early, the deadline, a signal or the guard, can
//! still tell the truth.

mod aftercare;
mod ask;
mod come_back;
mod event;
mod leave;
mod ledger;
mod listening;
mod plan;
mod retry;
mod settled;
mod traffic;
mod wait;

pub use event::{Audience, Event, ports_in_words};
pub use ledger::{Evidence, Ledger, Member, Standing};
pub use plan::{Plan, Return, Run, Waiting};
pub use traffic::Traffic;

use std::collections::HashMap;

use lb_drain_api::Error;
use tokio::task::JoinSet;

/// Takes this host out of every load balancer at once and waits until each has drained.
///
/// Returns when all is done or [`crate::budget::Deadline::finish`] has come. What was achieved is in
/// `run.ledger`, of which `plans[i]` got entry `i` first.
pub async fn deregister(run: &Run, plans: Vec<Plan>) {
    let leaving = settled::Leaving::default();
    // One that counts until all have begun: the first may have left before the last begins.
    let beginning = leaving.one();
    each(run, plans, move |run, plan, number| {
        leave::leave(run, plan, number, beginning.leaving().one())
    })
    .await;
}

/// Puts back what the last `deregister` took out, once the service listens on its ports.
pub async fn register(run: &Run, plans: Vec<Plan>, how: Return) {
    each(run, plans, move |run, plan, number| {
        come_back::come_back(run, plan, number, how)
    })
    .await;
}

/// Runs one task for each plan until all have ended or the budget has. `task` is dropped once all have begun.
async fn each<F>(run: &Run, plans: Vec<Plan>, task: impl Fn(Run, Plan, usize) -> F)
where
    F: Future<Output = ()> + Send + 'static,
{
    let mut tasks = JoinSet::new();
    let mut numbers = HashMap::new();
    let mut plans: Vec<(usize, Plan)> = plans
        .into_iter()
        .enumerate()
        .map(|(balancer, plan)| (run.ledger.add(placeholder(&plan, balancer)), plan))
        .collect();
    // Sockets answer at once.
    plans.sort_by_key(|(_, plan)| !plan.balancer.identity().is_socket());
    let all = async {
        for (number, plan) in plans {
            numbers.insert(tasks.spawn(task(run.clone(), plan, number)).id(), number);
            // Each begins, and whoever has been answered goes on, before the next: to connect to a hundred takes time.
            // So does whoever has to answer on this very processor, a HAProxy of this host for one.
            std::thread::yield_now();
            tokio::task::yield_now().await;
        }
        drop(task);
        while let Some(ended) = tasks.join_next_with_id().await {
            // A mistake of ours in one provider leaves its entries where they stand; the others go on.
            if let Err(panic) = ended
                && let Some(number) = numbers.get(&panic.id())
            {
                run.ledger.mistake(*number, &panic);
            }
        }
    };
    // At the end of the budget nothing remains to be done with the answer.
    drop(tokio::time::timeout_at(run.deadline.finish(), all).await);
    // Whom the end found still asking has failed. It is told next to the verdict, where people look.
    for (number, member) in run.ledger.members().iter().enumerate() {
        if member.standing == Standing::In {
            let failed = run.ledger.change(number, |member| {
                member.standing = Standing::Failed;
                if member.error.is_none() {
                    member.error = Some(silent(member));
                }
            });
            run.audience.tell(&failed, &Event::Failed);
        }
    }
}

/// The error of one whose first answer the end of the budget has not waited for.
fn silent(member: &Member) -> String {
    let asked = member.asked.map_or_else(String::new, |verb| format!(" ({verb})"));
    Error::temporary(
        format!("{} {} did not answer{asked}", member.provider, member.endpoint),
        "nothing within the budget",
    )
    .advise(ask::UNREACHED)
    .to_string()
}

/// The entry of a load balancer that has not been looked through yet: as long as it is there, the host is
/// not out.
fn placeholder(plan: &Plan, balancer: usize) -> Member {
    let identity = plan.balancer.identity();
    Member {
        name: plan.name.clone(),
        balancer,
        provider: identity.provider,
        endpoint: identity.endpoint.clone(),
        target: None,
        optional: plan.optional,
        standing: Standing::In,
        evidence: None,
        deregistered: None,
        drained: None,
        attempts: 0,
        in_flight: None,
        cut: None,
        ports: std::collections::BTreeSet::new(),
        state: None,
        asked: None,
        error: None,
    }
}

#[cfg(test)]
mod tests;
