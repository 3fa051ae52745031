//! Lines on stdout, for people and pipes.

use std::io::Write;

/// Prints lines. A reader that is gone, as in `lb-drain status | head -1`, is no error.
pub fn print(lines: &[String]) {
    let mut stdout = std::io::stdout().lock();
    for line in lines {
        if writeln!(stdout, "{line}").is_err() {
            return;
        }
    }
    drop(stdout.flush());
}
