//! The size of the binary with everything, without AWS, and with HAProxy alone.

use std::fs;

use crate::build;
use crate::limits::Limits;

/// Builds all three, which takes minutes, and prints the table. The one with everything comes last and stays.
pub(crate) fn run(limits: &mut Limits) {
    println!(
        "\nsize of the binary\n{:<44} {:>10} {:>12}",
        "", "size", "at most"
    );
    for (title, options, at_most) in [
        (
            "HAProxy alone",
            &["--no-default-features", "--features", "haproxy"][..],
            3.0,
        ),
        (
            "without AWS",
            &["--no-default-features", "--features", "haproxy,http,rehearse"],
            5.0,
        ),
        ("everything", &[], 7.5),
    ] {
        let binary = fs::metadata(build::install(options, &[])).expect("just built");
        #[expect(clippy::cast_precision_loss, reason = "a binary of some megabytes")]
        let size = binary.len() as f64 / f64::from(1 << 20);
        let word = limits.judge(&format!("size of the binary in MiB, {title}"), size, at_most);
        println!("{title:<44} {size:>6.2} MiB {at_most:>8.1} MiB {word}");
    }
}
