//! The options of `rehearse`.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use hyper::http::{HeaderName, HeaderValue};
use lb_drain_api::duration;

use super::Common;
use crate::rehearse::Unit;
use crate::rehearse::load::{self, MOST_A_SECOND};

/// Shorter, no part of it shows anything.
const SHORTEST: Duration = Duration::from_secs(1);
/// Longer, nobody waits for it.
const LONGEST: Duration = Duration::from_secs(3600);

pub(super) const EXIT_CODES: &str = "\
Exit codes:
  0    no request failed, and this host left and came back
  1    something failed; the report says what
  2    usage or configuration error, or this host is not fit for a rehearsal now; nothing was touched
  130  interrupted (SIGINT); this host came back first
  143  terminated (SIGTERM); this host came back first";

/// `rehearse`.
#[derive(Debug, Args)]
pub struct Rehearse {
    /// Options of every command.
    #[command(flatten)]
    pub common: Common,

    /// Where to send requests: through the load balancer (several are asked for in turn)
    #[arg(
        long = "url",
        value_name = "URL",
        required = true,
        env = "LB_DRAIN_URL",
        hide_env_values = true
    )]
    pub urls: Vec<String>,

    /// Requests a second, half of them on connections of their own
    #[arg(long, value_name = "NUMBER", default_value_t = 50, env = "LB_DRAIN_RATE",
          value_parser = clap::value_parser!(u32).range(1..=i64::from(MOST_A_SECOND)))]
    pub rate: u32,

    /// How long to send: half of it this host is out, a sixth it is watched before and after
    ///
    /// Where draining or coming back takes longer than the rest of it, requests are sent until that is done.
    #[arg(long, value_name = "DURATION", default_value = "30s", env = "LB_DRAIN_DURATION", value_parser = length)]
    pub duration: Duration,

    /// A header to send, such as "Authorization: Bearer …" (it is never shown)
    #[arg(long = "header", value_name = "NAME: VALUE", env = "LB_DRAIN_HEADER", hide_env_values = true, value_parser = load::header)]
    pub request_headers: Vec<(HeaderName, HeaderValue)>,

    /// Restart this unit while this host is out
    #[arg(long, value_name = "UNIT", env = "LB_DRAIN_RESTART")]
    pub restart: Option<Unit>,

    /// Take this host out even if it is the last one in service
    #[arg(long, env = "LB_DRAIN_EVEN_IF_LAST", value_parser = clap::builder::FalseyValueParser::new())]
    pub even_if_last: bool,

    /// Write the report as a page with a timeline too
    #[arg(long, value_name = "FILE", env = "LB_DRAIN_REPORT")]
    pub report: Option<PathBuf>,
}

fn length(text: &str) -> Result<Duration, String> {
    let length = duration::parse(text)?;
    if (SHORTEST..=LONGEST).contains(&length) {
        Ok(length)
    } else {
        Err(format!(
            "{text} is no length for a rehearsal; write one from 1s to 60min"
        ))
    }
}
