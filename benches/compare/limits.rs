//! What was promised, and whether it holds.

use std::process::ExitCode;

/// Every limit that was looked at, and what did not keep to it.
#[derive(Default)]
pub(crate) struct Limits {
    looked_at: usize,
    missed: Vec<String>,
}

impl Limits {
    /// The word for a value beside its limit.
    pub(crate) fn judge(&mut self, what: &str, value: f64, at_most: f64) -> &'static str {
        self.looked_at += 1;
        if value <= at_most {
            return "ok";
        }
        self.missed
            .push(format!("{what}: {value:.3}, at most {at_most:.3}"));
        "MISS"
    }

    /// Something that could not be measured here, which is no success.
    pub(crate) fn unmeasured(&mut self, what: &str) {
        println!("\nNOT MEASURED: {what}");
        self.missed.push(format!("not measured: {what}"));
    }

    /// Prints the verdict: the exit code is 1 where anything is beyond its limit.
    pub(crate) fn end(&self) -> ExitCode {
        println!("\n{} of {} limits missed", self.missed.len(), self.looked_at);
        for missed in &self.missed {
            println!("  {missed}");
        }
        ExitCode::from(u8::from(!self.missed.is_empty()))
    }
}
