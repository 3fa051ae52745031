//! The report as lines, for people.

use std::collections::BTreeMap;
use std::time::Duration;

use lb_drain_api::duration::human;

use super::figures::AT_ONCE;
use super::load::Failure;
use super::{Figures, LastArrival, Phase, Recorded, Rehearsal, Spell};
use crate::report::count;

/// The whole report.
#[must_use]
pub fn lines(rehearsal: &Rehearsal) -> Vec<String> {
    let mut lines = vec![verdict(rehearsal), String::new()];
    lines.extend(table(&rehearsal.figures));
    lines.push(String::new());
    lines.extend(
        facts(rehearsal)
            .into_iter()
            .map(|(name, value)| format!("{name:28} {value}")),
    );
    lines.extend(
        rehearsal
            .deeds
            .troubles
            .iter()
            .map(|trouble| format!("trouble: {trouble}")),
    );
    if !rehearsal.advice.is_empty() {
        lines.extend([String::new(), "write".to_owned()]);
        lines.extend(
            rehearsal
                .advice
                .iter()
                .map(|line| format!("  {:22} # {}: {}", line.text, line.place, line.reason)),
        );
    }
    lines
}

/// The truth in one sentence.
#[must_use]
pub fn verdict(rehearsal: &Rehearsal) -> String {
    let Figures { sent, failures, .. } = &rehearsal.figures;
    let failed = rehearsal.figures.failed();
    let mut line = format!("{failed} of {sent} requests failed");
    if failed > 0 {
        line.push_str(&format!(" ({})", kinds(failures)));
    }
    if rehearsal.recorded.unanswered > 0 {
        line.push_str(&format!("; {} not answered yet", rehearsal.recorded.unanswered));
    }
    line
}

/// A row for each phase, below a heading.
fn table(figures: &Figures) -> Vec<String> {
    let mut rows = vec![format!(
        "{:12} {:>8} {:>7} {:>7} {:>8} {:>8} {:>8}   what failed",
        "phase", "took", "sent", "failed", "p50", "p99", "max"
    )];
    rows.extend(figures.spells.iter().map(|spell| {
        let Spell { phase, latency, .. } = spell;
        let row = format!(
            "{phase:12} {:>8} {:>7} {:>7} {:>8} {:>8} {:>8}   {}",
            human(spell.to - spell.from),
            spell.sent,
            spell.failures.values().sum::<usize>(),
            human(latency.p50),
            human(latency.p99),
            human(latency.max),
            kinds(&spell.failures),
        );
        row.trim_end().to_owned()
    }));
    rows
}

/// What was measured, by name.
#[must_use]
pub fn facts(rehearsal: &Rehearsal) -> Vec<(&'static str, String)> {
    let Rehearsal { figures, deeds, .. } = rehearsal;
    let mut facts = Vec::new();
    if let Some(leaving) = figures.leaving {
        facts.push(("out of rotation after", human(leaving)));
    }
    if deeds.out.is_some() {
        facts.push(("last new request came here", last_arrival(rehearsal)));
    }
    if let Some(came) = figures.came {
        let (requests, connections) = (came.requests as u64, came.connections as u64);
        facts.push((
            "came here after leaving",
            format!(
                "{}, {} (health checks among them)",
                count(requests, "request"),
                count(connections, "new connection")
            ),
        ));
    }
    facts.push(("longest request", human(figures.latency.max)));
    if let Some(drain) = figures.drain {
        let evidence = deeds.evidence.as_deref();
        let evidence = evidence.map_or_else(String::new, |evidence| format!(" ({evidence})"));
        facts.push(("drained after", format!("{}{evidence}", human(drain))));
    }
    if let Some(back) = figures.back {
        facts.push(("requests again after", human(back)));
    }
    if rehearsal.recorded.unsent > 0 {
        let unsent = count(rehearsal.recorded.unsent as u64, "request");
        facts.push((
            "not sent",
            format!("{unsent} that were due while this process stood still"),
        ));
    }
    facts
}

fn last_arrival(rehearsal: &Rehearsal) -> String {
    let Recorded { phases, deaf, .. } = &rehearsal.recorded;
    let restarted = phases.iter().any(|(phase, _)| *phase == Phase::Restarting);
    let longer = match restarted {
        true => "rehearse without --restart, whose beginning ended the watch",
        false => "rehearse with a longer --duration",
    };
    let told = match &rehearsal.figures.last_arrival {
        LastArrival::After(Duration::ZERO) => "before this host was out".to_owned(),
        LastArrival::After(last) if *last <= AT_ONCE => {
            format!("{} after leaving: it was on its way already", human(*last))
        }
        LastArrival::After(last) => format!("{} after leaving: the true min_wait", human(*last)),
        LastArrival::StillComing(last) => {
            format!(
                "{} after leaving, and more would have come: {longer}",
                human(*last)
            )
        }
        LastArrival::Unknown(why) => format!("not known: {why}"),
    };
    match deaf {
        Some(why) => format!("{told} (on connections of a moment requests are not seen: {why})"),
        None => told,
    }
}

/// Failures by kind, in words.
#[must_use]
pub fn kinds(failures: &BTreeMap<Failure, usize>) -> String {
    let each: Vec<String> = failures
        .iter()
        .map(|(failure, count)| format!("{count} x {failure}"))
        .collect();
    each.join(", ")
}
