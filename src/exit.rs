//! Exit codes: the one list of them.

use std::process::ExitCode;

/// How a run ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// Out of every load balancer.
    Done,
    /// Some load balancer may still route here.
    Failed,
    /// Usage or configuration error; nothing was touched.
    Usage,
    /// With `--strict`: out everywhere, not drained in time. `EX_TEMPFAIL` of sysexits.h.
    Undrained,
    /// Ended by SIGINT, as shells count: 128 + 2.
    Interrupted,
    /// Ended by SIGTERM, as shells count: 128 + 15.
    Terminated,
}

impl Exit {
    /// The number.
    #[must_use]
    pub fn code(self) -> u8 {
        match self {
            Self::Done => 0,
            Self::Failed => 1,
            Self::Usage => 2,
            Self::Undrained => 75,
            Self::Interrupted => 130,
            Self::Terminated => 143,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.code())
    }
}
