//! Stops under faults that come and go at random: the same ones for the same seed.
//!
//! `STOPS=1000 tests/run random` is the long form; `SEED=…` repeats a run.

use std::env;
use std::time::Duration;

use fastrand::Rng;

use crate::crowd;
use crate::fault::{Fault, KINDS};
use crate::run::{Cell, Outcome, network};

#[test]
fn under_random_faults_no_budget_is_overrun_and_no_success_claimed_in_rotation() {
    let number = |name: &str| env::var(name).ok().map(|text| text.parse().expect("a number"));
    let stops = number("STOPS").unwrap_or(100);
    let seed = number("SEED").unwrap_or_else(|| fastrand::u64(..));
    println!("STOPS={stops} SEED={seed}");
    let mut random = Rng::with_seed(seed);
    let cells = (0..stops).map(|_| Cell {
        kind: KINDS[random.usize(..KINDS.len())],
        fault: Fault::Random(random.u64(..)),
        budget: Duration::from_millis(random.u64(400..1600)),
        beside: random.bool(),
    });
    let folder = tempfile::tempdir().expect("a folder");
    let outcomes = crowd::run_all(&network(&folder), cells.collect());

    let overruns: Vec<_> = outcomes
        .iter()
        .filter(|one| one.ended.elapsed >= one.cell.budget)
        .collect();
    let untrue: Vec<_> = outcomes
        .iter()
        .filter(|one| match one.ended.code {
            Some(0) => !(one.out && one.healthy_out),
            code => code != Some(1),
        })
        .collect();
    let left = outcomes.iter().filter(|one| one.ended.code == Some(0)).count();
    let slowest = outcomes
        .iter()
        .map(Outcome::overrun)
        .fold(f64::NEG_INFINITY, f64::max);
    println!(
        "{stops} stops, {left} left, {} overruns, {} with a wrong exit code; slowest overrun (time used less budget): \
         {slowest:+.3} s; SEED={seed}",
        overruns.len(),
        untrue.len()
    );
    assert!(overruns.is_empty(), "{overruns:#?}");
    assert!(untrue.is_empty(), "{untrue:#?}");
}
