//! The report as lines, for people.

use std::collections::BTreeMap;
use std::time::Duration;

use lb_drain_api::duration::human;

use super::load::Failure;
use super::{Figures, LastArrival, Rehearsal, Spell};

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
                .map(|line| format!("  {:22} # {}", line.text, line.reason)),
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
        facts.push(("last new request came here", last_arrival(&figures.last_arrival)));
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
    facts
}

fn last_arrival(last: &LastArrival) -> String {
    match last {
        LastArrival::After(Duration::ZERO) => "before this host was out: min_wait is not needed".to_owned(),
        LastArrival::After(last) => format!("{} after leaving: the true min_wait", human(*last)),
        LastArrival::StillComing(last) => format!(
            "{} after leaving, and more would have come: rehearse with a longer --duration",
            human(*last)
        ),
        LastArrival::Unknown(why) => format!("not known: {why}"),
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
