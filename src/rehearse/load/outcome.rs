//! What became of a request.

use std::fmt;
use std::time::Duration;

use super::PATIENCE;

/// One request that has ended. Times count from the start of the load.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// When it had to be sent. Latency counts from here, also where it was sent late because all
    /// connections were taken.
    pub due: Duration,
    /// When the last byte of its answer was here, or it had failed.
    pub ended: Duration,
    /// Why it failed, if it did.
    pub failure: Option<Failure>,
}

impl Request {
    /// How long its client waited.
    #[must_use]
    pub fn took(&self) -> Duration {
        self.ended.saturating_sub(self.due)
    }
}

/// Why a request failed, as a client sees it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Failure {
    /// An answer of 400 or more: status and reason.
    Status(String),
    /// The connection was closed before the whole answer was there.
    Cut,
    /// The connection was refused.
    Refused,
    /// No connection for another reason.
    NotConnected(String),
    /// What came is not HTTP.
    NotUnderstood(String),
    /// No answer within [`PATIENCE`].
    NoAnswer,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Status(status) => f.write_str(status),
            Self::Cut => f.write_str("connection cut"),
            Self::Refused => f.write_str("connection refused"),
            Self::NotConnected(why) => write!(f, "not connected: {why}"),
            Self::NotUnderstood(why) => write!(f, "not understood: {why}"),
            Self::NoAnswer => write!(f, "no answer in {} s", PATIENCE.as_secs()),
        }
    }
}
