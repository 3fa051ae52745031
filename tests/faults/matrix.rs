//! Every fault with every kind of load balancer, alone and beside two healthy ones.

use std::time::Duration;

use crate::crowd::run_all;
use crate::expected::{code, wrongs};
use crate::fault::{FAULTS, Fault, KINDS, Kind};
use crate::run::{Cell, Outcome, network};

/// After any time-out of a sick one a healthy one would be out later than this, and a busy machine is not as slow.
const AFTER_NO_TIMEOUT: Duration = Duration::from_millis(600);

#[test]
fn whatever_breaks_the_budget_is_kept_and_the_truth_told() {
    let folder = tempfile::tempdir().expect("a folder");
    let network = network(&folder);
    let outcomes = run_all(&network, cells());
    let failed = judge(&outcomes);
    assert!(failed.is_empty(), "{}", failed.join("\n"));
}

fn cells() -> Vec<Cell> {
    let mut cells = Vec::new();
    for fault in FAULTS.iter().copied() {
        for kind in KINDS.into_iter().filter(|kind| fault.befalls(*kind)) {
            for beside in [false, true] {
                let budget = fault.budget();
                cells.push(Cell {
                    kind,
                    fault,
                    budget,
                    beside,
                });
            }
        }
    }
    cells
}

/// Prints the table and the figures, and returns what is wrong.
fn judge(outcomes: &[Outcome]) -> Vec<String> {
    print_table(outcomes);
    let overruns = outcomes
        .iter()
        .filter(|one| one.ended.elapsed >= one.cell.budget)
        .count();
    let wrong_codes = outcomes
        .iter()
        .filter(|one| one.ended.code != Some(code(one.cell.kind, one.cell.fault)))
        .count();
    let slowest = outcomes
        .iter()
        .map(Outcome::overrun)
        .fold(f64::NEG_INFINITY, f64::max);
    let memory = outcomes.iter().map(|one| one.memory).max().unwrap_or_default();
    let alone = healthy(outcomes, |fault| fault == Fault::NONE);
    let beside = healthy(outcomes, |fault| fault != Fault::NONE);
    println!(
        "{} cells, {overruns} overruns, {wrong_codes} wrong exit codes",
        outcomes.len()
    );
    println!("slowest overrun (time used less budget): {slowest:+.3} s; most memory: {memory} KiB");
    println!(
        "healthy ones out after: {alone:?} among themselves, {beside:?} beside a sick one (median, slowest)"
    );

    let mut failed: Vec<String> = outcomes
        .iter()
        .flat_map(|one| wrongs(one).into_iter().map(move |wrong| (one, wrong)))
        .map(|(one, wrong)| format!("{:?}, {}: {wrong}: {one:#?}", one.cell.kind, one.cell.fault))
        .collect();
    if beside[0] > alone[0] * 2 + Duration::from_millis(100) || beside[1] > AFTER_NO_TIMEOUT {
        failed.push(format!("healthy ones had to wait: {beside:?}, alone {alone:?}"));
    }
    failed
}

/// The median and the slowest of the healthy ones beside these faults.
fn healthy(outcomes: &[Outcome], of: impl Fn(Fault) -> bool) -> [Duration; 2] {
    let mut after: Vec<Duration> = outcomes
        .iter()
        .filter(|one| of(one.cell.fault))
        // One that was not left at all is told of elsewhere.
        .filter_map(|one| one.healthy_after)
        .collect();
    after.sort_unstable();
    [after[after.len() / 2], after[after.len() - 1]]
}

/// Exit code and seconds, alone and beside two healthy ones.
fn print_table(outcomes: &[Outcome]) {
    let entry = |fault: Fault, kind: Kind, beside: bool| {
        let of_cell =
            |one: &&Outcome| (one.cell.fault, one.cell.kind, one.cell.beside) == (fault, kind, beside);
        let code = |code: Option<i32>| code.map_or_else(|| "-".to_owned(), |code| code.to_string());
        outcomes.iter().find(of_cell).map_or_else(String::new, |one| {
            format!("{} {:.2}", code(one.ended.code), one.ended.elapsed.as_secs_f64())
        })
    };
    let heads = KINDS.map(|kind| format!("{:>15}", format!("{kind:?}"))).concat();
    println!("{:<28}{heads}", "exit code, seconds: alone | beside");
    for fault in FAULTS.iter().copied() {
        let row = KINDS.map(|kind| {
            let [alone, beside] = [false, true].map(|beside| entry(fault, kind, beside));
            format!(
                "{:>15}",
                if alone.is_empty() {
                    "-".to_owned()
                } else {
                    format!("{alone}|{beside}")
                }
            )
        });
        println!("{:<28}{}", fault.to_string(), row.concat());
    }
}
