//! What a run costs: `cargo bench --bench compare` prints tables, each of numbers measured in this one run, and what
//! was promised beside them. It ends with 1 where a promise does not hold or something could not be measured.
//! `-- haproxy http` runs these parts alone; all parts are `size`, `haproxy`, `http`, `aws`, `many`, `silent`,
//! `reaction`, and `profiles`, which runs when it is named.
//!
//! Beside what people use whole processes are measured: wall time, processor time, peak memory. All sides of a table
//! take turns, so that all see the same machine. The binary is the one that is installed: it is built here, with the
//! profile `dist`, or `LB_DRAIN_BIN` names it.
//!
//! Needs what `tests/run` installs: haproxy, socat, curl, cc, and the Python environment of `tests/setup-python`.

mod aws;
mod build;
mod edge;
mod haproxy;
mod http;
mod limits;
mod many;
mod profiles;
mod reaction;
mod side;
mod silent;
mod size;

use std::process::ExitCode;

use limits::Limits;

/// A part of the measurements.
struct Part {
    name: &'static str,
    /// Whether it runs only when it is named.
    on_demand: bool,
    run: fn(&mut Limits),
}

fn main() -> ExitCode {
    let wanted: Vec<String> = std::env::args()
        .skip(1)
        .filter(|argument| !argument.starts_with('-'))
        .collect();
    let part = |name, run| Part {
        name,
        on_demand: false,
        run,
    };
    let parts = [
        part("size", size::run),
        part("haproxy", haproxy::run),
        part("http", http::run),
        part("aws", aws::run),
        part("many", |_| many::run()),
        part("silent", silent::run),
        part("reaction", reaction::run),
        Part {
            on_demand: true,
            ..part("profiles", |_| profiles::run())
        },
    ];
    // Before anything is measured: building takes minutes.
    build::lb_drain();
    let mut limits = Limits::default();
    for part in parts {
        let named = wanted.iter().any(|name| name == part.name);
        if named || (wanted.is_empty() && !part.on_demand) {
            (part.run)(&mut limits);
        }
    }
    limits.end()
}
