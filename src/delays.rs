//! How long leaving may take, by the configuration and by what the load balancers say.

use std::time::Duration;

use lb_drain_api::{Target, Terms};
use tokio::time::timeout;

use crate::budget;
use crate::engine::Plan;

/// What is assumed of a load balancer that does not tell its delay: AWS's default, the longest that any has unasked.
const ASSUMED: Duration = Duration::from_secs(300);

/// What waiting for one load balancer may take.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Delay {
    /// Its name.
    pub name: String,
    /// The floor: its changes need this long to take effect.
    pub min_wait: Option<Duration>,
    /// Its deregistration delay: nothing is waited for longer.
    pub max_wait: Option<Duration>,
    /// Why it did not say, or said what is assumed.
    pub unknown: Option<String>,
}

/// Asks all at once, each for at most `patience`.
pub async fn delays(plans: &[Plan], patience: Duration) -> Vec<Delay> {
    let tasks: Vec<_> = plans
        .iter()
        .cloned()
        .map(|plan| tokio::spawn(async move { delay(&plan, patience).await }))
        .collect();
    let mut delays = Vec::new();
    for task in tasks {
        delays.extend(task.await.ok());
    }
    delays
}

async fn delay(plan: &Plan, patience: Duration) -> Delay {
    let (terms, unknown) = if plan.min_wait.is_some() && plan.max_wait.is_some() {
        (Terms::default(), None)
    } else {
        // Terms are those of the load balancer, whatever the entry: it need not be found for that.
        match timeout(patience, plan.balancer.terms(&Target::new("this host"))).await {
            Ok(Ok(terms)) => (terms.clone(), terms.remark),
            Ok(Err(error)) => (Terms::default(), Some(error.to_string())),
            Err(_) => {
                let identity = plan.balancer.identity();
                let silent = format!("{} {} did not answer", identity.provider, identity.endpoint);
                (Terms::default(), Some(silent))
            }
        }
    };
    Delay {
        name: plan.name.clone(),
        min_wait: plan.min_wait.or(terms.min_wait),
        max_wait: plan.max_wait.or(terms.max_wait),
        unknown,
    }
}

impl Delay {
    /// The longest that is waited for it; where it has no delay of its own, as long as ordinary requests take.
    #[must_use]
    pub fn longest(&self) -> Duration {
        let unsaid = if self.unknown.is_some() {
            ASSUMED
        } else {
            budget::DEFAULT
        };
        let wait = self.max_wait.unwrap_or(unsaid);
        wait.max(self.min_wait.unwrap_or_default())
    }

    /// Whether anything says, or may say, how long to wait for it.
    #[must_use]
    pub fn is_said(&self) -> bool {
        self.min_wait.or(self.max_wait).is_some() || self.unknown.is_some()
    }
}

/// What a stop needs for leaving all of them.
#[must_use]
pub fn need(delays: &[Delay]) -> Duration {
    delays.iter().map(Delay::longest).max().unwrap_or(budget::DEFAULT) + budget::AROUND_A_WAIT
}
