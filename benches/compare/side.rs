//! Commands that take turns, and the table of what they cost.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;
use wait4::Wait4;

/// A way of doing something.
pub(crate) struct Side<'a> {
    pub(crate) name: &'a str,
    /// The command to run, which has to succeed.
    pub(crate) command: Box<dyn Fn() -> Command + 'a>,
}

impl<'a> Side<'a> {
    pub(crate) fn new(name: &'a str, command: impl Fn() -> Command + 'a) -> Self {
        Self {
            name,
            command: Box::new(command),
        }
    }
}

/// What one run cost.
#[derive(Clone, Copy)]
struct Cost {
    wall: Duration,
    /// User and system time.
    processor: Duration,
    /// The most that was resident, in bytes.
    memory: u64,
}

/// A folder in memory, as `/run` is, where the record goes.
pub(crate) fn memory_folder() -> TempDir {
    tempfile::tempdir_in("/dev/shm").expect("a folder in /dev/shm")
}

/// `lb-drain` as it is installed. Its record goes to this folder.
pub(crate) fn lb_drain(record: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_lb-drain"));
    command.arg("deregister").env("LB_DRAIN_STATE_DIR", record);
    command
}

/// Runs all sides in turn, so many times, each after `prepare`, and prints a table. The first side is the measure.
pub(crate) fn compare(title: &str, runs: usize, prepare: &dyn Fn(), sides: &[Side<'_>]) {
    let mut costs = vec![Vec::with_capacity(runs); sides.len()];
    // Once unmeasured, for caches.
    for round in 0..=runs {
        for (side, costs) in sides.iter().zip(&mut costs) {
            prepare();
            let cost = run(&side.command);
            if round > 0 {
                costs.push(cost);
            }
        }
    }
    println!("\n{title}; medians of {runs}, ratios to the first line");
    println!(
        "{:<44} {:>18} {:>18} {:>19}",
        "", "wall", "processor", "peak memory"
    );
    let first = Medians::of(&costs[0]);
    for (side, costs) in sides.iter().zip(&costs) {
        let this = Medians::of(costs);
        println!(
            "{:<44} {:>8.2} ms {:>5.2} x {:>8.2} ms {:>5.2} x {:>8.1} MiB {:>5.2} x",
            side.name,
            this.wall * 1e3,
            this.wall / first.wall,
            this.processor * 1e3,
            this.processor / first.processor,
            this.memory / f64::from(1 << 20),
            this.memory / first.memory,
        );
    }
}

fn run(command: &dyn Fn() -> Command) -> Cost {
    let mut command = command();
    command.stdout(Stdio::null()).stderr(Stdio::null());
    let begun = Instant::now();
    let mut child = command
        .spawn()
        .unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let ended = child.wait4().expect("it is our child");
    let wall = begun.elapsed();
    assert!(ended.status.success(), "{command:?}: {}", ended.status);
    Cost {
        wall,
        processor: ended.rusage.utime + ended.rusage.stime,
        memory: ended.rusage.maxrss,
    }
}

/// Seconds, seconds, bytes.
struct Medians {
    wall: f64,
    processor: f64,
    memory: f64,
}

impl Medians {
    fn of(costs: &[Cost]) -> Self {
        let median = |value: &dyn Fn(&Cost) -> f64| {
            let mut values: Vec<f64> = costs.iter().map(value).collect();
            values.sort_by(f64::total_cmp);
            values[values.len() / 2]
        };
        Self {
            wall: median(&|cost| cost.wall.as_secs_f64()),
            processor: median(&|cost| cost.processor.as_secs_f64()),
            memory: median(&|cost| cost.memory as f64),
        }
    }
}
