//! Commands that take turns, and the table of what they cost.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::OnceLock;
use std::time::Duration;

use tempfile::TempDir;

use crate::build;
use crate::limits::Limits;

/// A way of doing something.
pub(crate) struct Side<'a> {
    name: &'a str,
    /// The command to run, which has to succeed.
    command: Box<dyn Fn() -> Command + 'a>,
    input: Option<PathBuf>,
    at_most: Option<f64>,
}

impl<'a> Side<'a> {
    pub(crate) fn new(name: &'a str, command: impl Fn() -> Command + 'a) -> Self {
        Self {
            name,
            command: Box::new(command),
            input: None,
            at_most: None,
        }
    }

    /// With this file as its standard input.
    pub(crate) fn reading(mut self, input: &Path) -> Self {
        self.input = Some(input.to_owned());
        self
    }

    /// The first side may take this part of the wall time of this one.
    pub(crate) fn at_most(mut self, part: f64) -> Self {
        self.at_most = Some(part);
        self
    }
}

/// What is compared.
pub(crate) struct Table<'a> {
    pub(crate) title: &'a str,
    pub(crate) runs: usize,
    /// What the first side may have resident at most, in MiB.
    pub(crate) memory: f64,
}

/// What one run cost.
#[derive(Clone, Copy)]
struct Cost {
    wall: Duration,
    /// User and system time.
    processor: Duration,
    /// The most that was resident, in KiB.
    memory: u32,
}

/// A folder in memory, as `/run` is, where the record goes.
pub(crate) fn memory_folder() -> TempDir {
    tempfile::tempdir_in("/dev/shm").expect("a folder in /dev/shm")
}

/// `lb-drain deregister`, with its record in this folder.
pub(crate) fn deregister(record: &Path) -> Command {
    let mut command = Command::new(build::lb_drain());
    command.arg("deregister").env("LB_DRAIN_STATE_DIR", record);
    command
}

/// Runs all sides in turn, each after `prepare`, and prints a table. The first side is ours.
pub(crate) fn compare(table: &Table<'_>, prepare: &dyn Fn(), sides: &[Side<'_>], limits: &mut Limits) {
    let all = in_turn(table.runs, prepare, sides);
    let ours = &all[0];
    let title = table.title;
    println!(
        "\n{title}; medians of {}, ours as a part of the others",
        table.runs
    );
    println!(
        "{:<44} {:>10} {:>7} {:>8} {:>5} {:>12} {:>7} {:>12} {:>7}",
        "", "wall", "part", "at most", "", "processor", "part", "peak memory", "part"
    );
    for (side, this) in sides.iter().zip(&all) {
        let part = ours.wall / this.wall;
        let (limit, word) = match side.at_most {
            Some(limit) => {
                let what = format!("{title}: wall time as a part of {}", side.name);
                (format!("{limit:.3}"), limits.judge(&what, part, limit))
            }
            None => Default::default(),
        };
        println!(
            "{:<44} {:>7.2} ms {part:>7.3} {limit:>8} {word:>5} {:>9.2} ms {:>7.3} {:>8.1} MiB {:>7.3}",
            side.name,
            this.wall * 1e3,
            this.processor * 1e3,
            ours.processor / this.processor,
            this.memory,
            ours.memory / this.memory,
        );
    }
    let word = limits.judge(&format!("{title}: peak memory in MiB"), ours.memory, table.memory);
    println!(
        "peak memory {:.1} MiB, at most {:.1} MiB: {word}",
        ours.memory, table.memory
    );
}

/// What the sides cost that run in turn, so many times, each after `prepare`.
pub(crate) fn in_turn(runs: usize, prepare: &dyn Fn(), sides: &[Side<'_>]) -> Vec<Medians> {
    let mut costs = vec![Vec::with_capacity(runs); sides.len()];
    // Once unmeasured, for caches.
    for round in 0..=runs {
        for (side, costs) in sides.iter().zip(&mut costs) {
            prepare();
            let cost = run(&(side.command)(), side.input.as_deref());
            if round > 0 {
                costs.push(cost);
            }
        }
    }
    costs.iter().map(|costs| Medians::of(costs)).collect()
}

/// Runs a command, which has to succeed, from a process so small that its own memory does not show.
fn run(command: &Command, input: Option<&Path>) -> Cost {
    static LAUNCHER: OnceLock<(TempDir, PathBuf)> = OnceLock::new();
    let (_, launcher) = LAUNCHER.get_or_init(|| {
        let folder = tempfile::tempdir().expect("a folder");
        let program = build::c("launch", folder.path());
        (folder, program)
    });
    let mut launch = Command::new(launcher);
    launch.arg(command.get_program()).args(command.get_args());
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => launch.env(name, value),
            None => launch.env_remove(name),
        };
    }
    // Cargo's, of folders in which the loader of every program would look first.
    launch.env_remove("LD_LIBRARY_PATH");
    launch.stdin(input.map_or_else(Stdio::null, |input| {
        File::open(input).expect("it is there").into()
    }));
    let mut child = launch.stdout(Stdio::piped()).spawn().expect("just built");
    let mut line = String::new();
    let mut answer = child.stdout.take().expect("piped");
    answer.read_to_string(&mut line).expect("a line");
    assert!(child.wait().is_ok_and(|ended| ended.success()), "{launch:?}");
    let numbers: Vec<u64> = line
        .split_whitespace()
        .map(|number| number.parse().expect("a number"))
        .collect();
    let [status, wall, processor, memory] = numbers[..] else {
        panic!("{launch:?} printed {line:?}");
    };
    if status != 0 {
        // What it said is gone with its output.
        panic!(
            "{command:?}: wait status {status}; once more: {:?}",
            again(command)
        );
    }
    Cost {
        wall: Duration::from_nanos(wall),
        processor: Duration::from_micros(processor),
        memory: u32::try_from(memory).expect("less than 4 TiB"),
    }
}

/// The same once more, with its output kept.
fn again(command: &Command) -> std::io::Result<Output> {
    let mut again = Command::new(command.get_program());
    again.args(command.get_args());
    for (name, value) in command.get_envs() {
        again.env(name, value.unwrap_or_default());
    }
    again.stdin(Stdio::null()).output()
}

/// Seconds, seconds, MiB.
pub(crate) struct Medians {
    pub(crate) wall: f64,
    pub(crate) processor: f64,
    pub(crate) memory: f64,
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
            memory: median(&|cost| f64::from(cost.memory) / 1024.0),
        }
    }
}
