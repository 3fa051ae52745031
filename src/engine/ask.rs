//! One verb asked of a load balancer: bounded, repeated while that can help, told.

use std::time::Duration;

use lb_drain_api::{Error, Lifetime, Result};
use tokio::time::{Instant, sleep, timeout};

use super::plan::{Plan, Run};
use super::retry::Retry;
use super::{Event, ledger::Member};

/// What to do about one that says nothing.
pub(super) const UNREACHED: &str = "is it up, and do name, route and firewall lead there?";

/// One entry of the ledger, as a task of the run sees it.
pub(super) struct Entry<'a> {
    pub run: &'a Run,
    pub plan: &'a Plan,
    pub number: usize,
}

impl Entry<'_> {
    /// Changes the entry and returns it as it then is.
    pub(super) fn change(&self, change: impl FnOnce(&mut Member)) -> Member {
        self.run.ledger.change(self.number, change)
    }

    /// Changes the entry and tells the audience.
    pub(super) fn tell(&self, event: &Event, change: impl FnOnce(&mut Member)) {
        let member = self.change(change);
        self.run.audience.tell(&member, event);
    }

    /// Gives the entry up.
    pub(super) fn fail(&self, error: &Error) {
        self.tell(&Event::Failed, |member| {
            member.standing = super::Standing::Failed;
            member.error = Some(error.to_string());
        });
    }

    /// Attempts at this load balancer until `until`.
    pub(super) fn retry(&self, until: Instant) -> Retry {
        Retry::until(until, self.plan.balancer.schedule().attempt)
    }

    /// Asks until there is an answer, the failure is permanent, or `until` comes: then the last failure.
    pub(super) async fn insist<T, F>(
        &self,
        verb: &'static str,
        until: Instant,
        mut ask: impl FnMut() -> F,
    ) -> Result<T>
    where
        F: Future<Output = Result<T>>,
    {
        let mut retry = self.retry(until);
        self.change(|member| member.asked = Some(verb));
        loop {
            let error = match self.once(verb, retry.attempt(), ask()).await {
                Ok(answer) => return Ok(answer),
                Err(error) => error,
            };
            let Lifetime::Temporary { retry_after } = error.lifetime() else {
                return Err(error);
            };
            let Some(pause) = retry.pause(retry_after) else {
                return Err(error);
            };
            self.tell(
                &Event::Retrying {
                    error: error.to_string(),
                    pause,
                },
                |member| member.error = Some(error.to_string()),
            );
            sleep(pause).await;
        }
    }

    /// Asks once, for at most `limit`.
    pub(super) async fn once<T>(
        &self,
        verb: &str,
        limit: Duration,
        answer: impl Future<Output = Result<T>>,
    ) -> Result<T> {
        match timeout(limit, answer).await {
            Ok(answer) => answer,
            Err(_) => {
                let identity = self.plan.balancer.identity();
                Err(Error::temporary(
                    format!(
                        "{} {} did not answer ({verb})",
                        identity.provider, identity.endpoint
                    ),
                    format!("nothing within {}", lb_drain_api::duration::human(limit)),
                )
                .advise(UNREACHED))
            }
        }
    }
}
