//! What is being waited for, for `systemctl status` (`STATUS=`).

use std::time::Duration;

use lb_drain_api::duration::human;

use super::{count, in_flight};
use crate::budget::Deadline;
use crate::engine::{Ledger, Member, Standing};
use crate::service_manager::Notifier;

/// Whoever watches a stop looks once a second at most.
const RENEW: Duration = Duration::from_secs(1);

/// Tells until dropped.
pub async fn tell(notifier: &Notifier, ledger: &Ledger, deadline: Deadline) {
    loop {
        tokio::time::sleep(RENEW).await;
        let left = Duration::from_secs(deadline.left().as_secs());
        notifier.status(&format!(
            "lb-drain: {}, {} left",
            line(&ledger.members()),
            human(left)
        ));
    }
}

fn line(members: &[Member]) -> String {
    let waited_for: Vec<String> = members
        .iter()
        .filter_map(|member| match member.standing {
            Standing::In => Some(format!("leaving {}", member.name)),
            Standing::Out => Some(format!(
                "{} drains ({})",
                member.name,
                in_flight(member.in_flight)
            )),
            _ => None,
        })
        .collect();
    if waited_for.is_empty() {
        return format!("done with {}", count(members.len() as u64, "load balancer"));
    }
    waited_for.join(", ")
}
