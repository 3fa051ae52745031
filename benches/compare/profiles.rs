//! What the profile `dist` is chosen by: size, and time to leave a HAProxy, of what other settings give.

use std::fs;
use std::path::PathBuf;

use crate::build;
use crate::edge::Haproxy;
use crate::haproxy::leave;
use crate::side::{Side, in_turn, memory_folder};

const RUNS: usize = 201;

/// Names, and the settings that are other than those of `dist`, which comes last and stays.
const PROFILES: [(&str, &[(&str, &str)]); 6] = [
    ("thin LTO", &[("LTO", "thin")]),
    ("opt-level s", &[("OPT_LEVEL", "s")]),
    ("opt-level 2", &[("OPT_LEVEL", "2")]),
    ("opt-level 3", &[("OPT_LEVEL", "3")]),
    ("panic = abort", &[("PANIC", "abort")]),
    ("dist: opt-level z, fat LTO, panic = unwind", &[]),
];

/// Builds them all, which takes half an hour, and prints the table.
pub(crate) fn run() {
    let folder = memory_folder();
    let binaries: Vec<PathBuf> = PROFILES
        .iter()
        .enumerate()
        .map(|(number, (_, settings))| {
            let copy = folder.path().join(number.to_string());
            fs::copy(build::install(&[], settings), &copy).expect("just built");
            copy
        })
        .collect();
    let haproxy = Haproxy::start(1, "127.0.0.1:1");
    let sides: Vec<Side<'_>> = PROFILES
        .iter()
        .zip(&binaries)
        .map(|((name, _), binary)| Side::new(name, || leave(binary, &haproxy)))
        .collect();
    let costs = in_turn(RUNS, &|| haproxy.put_in(), &sides);
    println!("\nleaving HAProxy, by what the profile is; medians of {RUNS}");
    println!(
        "{:<44} {:>10} {:>10} {:>12} {:>12}",
        "", "size", "wall", "processor", "peak memory"
    );
    for (((name, _), binary), cost) in PROFILES.iter().zip(&binaries).zip(costs) {
        #[expect(clippy::cast_precision_loss, reason = "a binary of some megabytes")]
        let size = fs::metadata(binary).expect("just copied").len() as f64 / f64::from(1 << 20);
        println!(
            "{name:<44} {size:>6.2} MiB {:>7.2} ms {:>9.2} ms {:>8.1} MiB",
            cost.wall * 1e3,
            cost.processor * 1e3,
            cost.memory
        );
    }
}
