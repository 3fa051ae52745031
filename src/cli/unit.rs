//! The options of `unit`.

use std::time::Duration;

use clap::{Args, ValueEnum};
use lb_drain_api::duration;

use super::Common;

/// `unit`.
#[derive(Debug, Args)]
pub struct UnitFile {
    /// Options of every command.
    #[command(flatten)]
    pub common: Common,

    /// The application's unit, such as web.service
    #[arg(env = "LB_DRAIN_APP")]
    pub app: String,

    /// Which one to print [default: the one that fits the unit]
    #[arg(long, value_enum, env = "LB_DRAIN_KIND")]
    pub kind: Option<UnitKind>,

    /// The time from stop to SIGKILL in all, as Kubernetes counts: split between leaving and the application
    #[arg(long, value_name = "DURATION", env = "LB_DRAIN_GRACE", value_parser = duration::parse)]
    pub grace: Option<Duration>,
}

/// The ways to install.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum UnitKind {
    /// Lines in the application's own unit
    DropIn,
    /// A unit beside it
    Companion,
}
