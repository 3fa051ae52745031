//! Many runs side by side: nearly all of their time is waiting.

use std::num::NonZero;
use std::sync::Mutex;
use std::thread;

use crate::rig::Network;
use crate::run::{Cell, Outcome, run};

/// For each core: more of them measure how long they wait for it, and not what is tested.
const AT_ONCE: usize = 3;

/// Runs all of these and returns what came of each, in no order.
pub(crate) fn run_all(network: &Network, cells: Vec<Cell>) -> Vec<Outcome> {
    let cells = Mutex::new(cells);
    let outcomes = Mutex::new(Vec::new());
    let cores = thread::available_parallelism().map_or(1, NonZero::get);
    thread::scope(|scope| {
        for _ in 0..AT_ONCE * cores {
            scope.spawn(|| {
                loop {
                    let Some(cell) = cells.lock().unwrap().pop() else {
                        return;
                    };
                    let outcome = run(network, cell);
                    outcomes.lock().unwrap().push(outcome);
                }
            });
        }
    });
    outcomes.into_inner().unwrap()
}
