//! Many runs side by side: nearly all of their time is waiting.

use std::sync::Mutex;
use std::thread;

use crate::rig::Network;
use crate::run::{Cell, Outcome, run};

const AT_ONCE: usize = 10;

/// Runs all of these and returns what came of each, in no order.
pub(crate) fn run_all(network: &Network, cells: Vec<Cell>) -> Vec<Outcome> {
    let cells = Mutex::new(cells);
    let outcomes = Mutex::new(Vec::new());
    thread::scope(|scope| {
        for _ in 0..AT_ONCE {
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
