//! What is being waited for, for `systemctl status` (`STATUS=`).

use std::time::Duration;

use lb_drain_api::duration::human;

use super::{count, in_flight};
use crate::budget::Deadline;
use crate::engine::{Ledger, Member, Standing};
use crate::service_manager::Notifier;

/// Whoever watches a stop looks once a second at most.
const RENEW: Duration = Duration::from_secs(1);

/// Tells until dropped. `failing` says how a host stands that the command could not help yet.
pub async fn tell(notifier: &Notifier, ledger: &Ledger, deadline: Deadline, failing: &str) {
    loop {
        tokio::time::sleep(RENEW).await;
        let left = Duration::from_secs(deadline.left().as_secs());
        notifier.status(&format!(
            "lb-drain: {}, {} left",
            line(&ledger.members(), failing),
            human(left)
        ));
    }
}

fn line(members: &[Member], failing: &str) -> String {
    let waited_for: Vec<String> = members
        .iter()
        .filter_map(|member| match member.standing {
            Standing::In => Some(format!("{} {failing}", member.name)),
            Standing::Out => Some(format!(
                "{} drains ({})",
                member.name,
                in_flight(member.in_flight)
            )),
            Standing::Drained | Standing::Failed | Standing::Back | Standing::LeftOut | Standing::KeptOut => {
                None
            }
        })
        .collect();
    if waited_for.is_empty() {
        return format!("done with {}", count(members.len() as u64, "load balancer"));
    }
    waited_for.join(", ")
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn member(name: &str, standing: Standing, in_flight: Option<u64>) -> Member {
        Member {
            name: name.to_owned(),
            balancer: 0,
            provider: "haproxy",
            endpoint: "/run/a.sock".to_owned(),
            target: None,
            optional: false,
            standing,
            evidence: None,
            deregistered: None,
            drained: None,
            attempts: 0,
            in_flight,
            cut: None,
            ports: BTreeSet::new(),
            state: None,
            error: None,
            asked: None,
        }
    }

    #[test]
    fn what_is_waited_for_is_told_in_the_words_of_the_command() {
        let members = [
            member("edge", Standing::Out, Some(3)),
            member("public", Standing::In, None),
            member("inner", Standing::Drained, Some(0)),
        ];
        assert_eq!(
            line(&members, "still in rotation"),
            "edge drains (3 requests in flight), public still in rotation"
        );
        let coming_back = [
            member("edge", Standing::Back, None),
            member("public", Standing::In, None),
        ];
        assert_eq!(
            line(&coming_back, "not back in rotation"),
            "public not back in rotation"
        );
        assert_eq!(line(&members[2..], ""), "done with 1 load balancer");
    }
}
