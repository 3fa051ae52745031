//! The last line: the truth in one sentence.

use std::collections::BTreeSet;
use std::time::Duration;

use lb_drain_api::duration::human;

use super::{count, in_flight};
use crate::engine::{Member, Standing};

/// How a `deregister` ended: `out of 2 of 2 load balancers and drained; 16.2 s of 28.9 s used`.
#[must_use]
pub fn deregistered(members: &[Member], used: Duration, total: Duration) -> String {
    let all: BTreeSet<usize> = members.iter().map(|member| member.balancer).collect();
    let inside: Vec<&Member> = members.iter().filter(|member| still_in(member)).collect();
    let left_behind: BTreeSet<usize> = inside.iter().map(|member| member.balancer).collect();
    let undrained: Vec<&Member> = members
        .iter()
        .filter(|member| member.standing == Standing::Out)
        .collect();

    let mut line = format!(
        "out of {} of {}",
        all.len() - left_behind.len(),
        count(all.len() as u64, "load balancer")
    );
    if inside.is_empty() && undrained.is_empty() {
        line.push_str(" and drained");
    }
    if !undrained.is_empty() {
        let rest: u64 = undrained.iter().filter_map(|member| member.in_flight).sum();
        let known = undrained.iter().any(|member| member.in_flight.is_some());
        line.push_str(&format!(", not drained: {}", names(&undrained, members)));
        if known {
            line.push_str(&format!(" ({})", in_flight(Some(rest))));
        }
    }
    if !inside.is_empty() {
        line.push_str(&format!("; may still route here: {}", names(&inside, members)));
    }
    line.push_str(&format!("; {} of {} used", human(used), human(total)));
    line
}

/// How a `register` ended.
#[must_use]
pub fn registered(members: &[Member], used: Duration) -> String {
    let all: BTreeSet<usize> = members.iter().map(|member| member.balancer).collect();
    let with = |wanted: &dyn Fn(&Member) -> bool| -> Vec<&Member> {
        members.iter().filter(|member| wanted(member)).collect()
    };
    let not_back: BTreeSet<usize> = with(&|member| member.standing != Standing::Back)
        .iter()
        .map(|member| member.balancer)
        .collect();
    let mut line = format!(
        "back in {} of {}",
        all.len() - not_back.len(),
        count(all.len() as u64, "load balancer")
    );
    let parts = [
        ("not back", with(&still_in), ""),
        (
            "left out as it was",
            with(&|member| member.standing == Standing::LeftOut),
            "",
        ),
        (
            "kept out by hand",
            with(&|member| member.standing == Standing::KeptOut),
            " (`lb-drain register` run by hand brings it back)",
        ),
    ];
    for (what, some, remedy) in parts {
        if !some.is_empty() {
            line.push_str(&format!("; {what}: {}{remedy}", names(&some, members)));
        }
    }
    line.push_str(&format!("; {} used", human(used)));
    line
}

fn still_in(member: &Member) -> bool {
    matches!(member.standing, Standing::In | Standing::Failed)
}

/// So many names a sentence can bear. Each of them has had lines of its own.
const NAMES: usize = 8;

/// The names, each once, in order; with the endpoint where one name stands for several.
fn names(some: &[&Member], all: &[Member]) -> String {
    let mut names: Vec<String> = Vec::new();
    for member in some {
        let alone = all
            .iter()
            .all(|other| other.name != member.name || other.balancer == member.balancer);
        let name = if alone {
            member.name.clone()
        } else {
            format!("{} ({})", member.name, member.endpoint)
        };
        if !names.contains(&name) {
            names.push(name);
        }
    }
    let more = names.len().saturating_sub(NAMES);
    names.truncate(NAMES);
    let names = names.join(", ");
    if more > 0 {
        format!("{names} and {more} more")
    } else {
        names
    }
}
