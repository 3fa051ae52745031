//! What a check came upon.

/// The [`Finding::why`] of one that says: who is taken out here is not brought back. By it, whoever takes a host out
/// only to bring it back knows to leave it alone.
pub const NO_WAY_BACK: &str = "lb-drain register cannot bring this host back";

/// One finding of a check: what, why it matters, and the line to write.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// How bad it is.
    pub severity: Severity,
    /// What was found.
    pub what: String,
    /// Why it matters: what will happen at a stop.
    pub why: String,
    /// The line to write, the command to run.
    pub remedy: Option<String>,
}

/// How bad a finding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// As it should be.
    Fine,
    /// A stop works, but not as well as it could.
    Warning,
    /// A stop would leave this host in rotation, or lose requests.
    Problem,
}
