//! The options of `check`.

use clap::Args;

use super::Common;

pub(super) const EXIT_CODES: &str = "\
Exit codes:
  0    a stop would work; warnings say what could be better
  1    a stop would leave this host in rotation, or lose requests
  2    usage or configuration error";

/// `check`.
#[derive(Debug, Args)]
pub struct Check {
    /// Options of every command.
    #[command(flatten)]
    pub common: Common,

    /// The application's unit, such as web.service
    #[arg(env = "LB_DRAIN_APP")]
    pub app: Option<String>,
}
