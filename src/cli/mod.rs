//! The command line: raw input, which `config` turns into validated settings.

#![expect(
    missing_docs,
    reason = "clap would take a doc comment on a command's options for its description"
)]

mod balancers;
mod check;
#[cfg(feature = "rehearse")]
mod rehearse;
mod unit;

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use clap::parser::ValueSource;
use clap::{ArgMatches, Args, CommandFactory, FromArgMatches, Parser, Subcommand, ValueEnum};
use lb_drain_api::duration;

pub use balancers::BalancerFlags;
pub use check::Check;
#[cfg(feature = "rehearse")]
pub use rehearse::Rehearse;
pub use unit::{UnitFile, UnitKind};

/// Take this host out of its load balancers before its service stops.
#[derive(Debug, Parser)]
#[command(name = "lb-drain", version, max_term_width = 100, after_help = EXIT_CODES)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

const EXIT_CODES: &str = "\
Exit codes:
  0    out of every load balancer (drained, or the budget ended while draining: a warning says so)
  1    some load balancer may still route here
  2    usage or configuration error; nothing was touched
  75   with --strict: out everywhere, not drained in time
  130  interrupted (SIGINT); what was done is reported first
  143  terminated (SIGTERM); what was done is reported first";

const REGISTER_EXIT_CODES: &str = "\
Exit codes:
  0    back in every load balancer, or left out where this host was out before or is kept out by hand
  1    not back in some load balancer
  2    usage or configuration error; nothing was touched
  130  interrupted (SIGINT); what was done is reported first
  143  terminated (SIGTERM); what was done is reported first";

const STATUS_EXIT_CODES: &str = "\
Exit codes:
  0    every load balancer said how this host stands
  1    some load balancer did not
  2    usage or configuration error";

/// The commands.
// Only the one that is called is built: to build them all took a third of a short run's instructions.
#[derive(Debug, Subcommand)]
#[command(defer = true)]
pub enum Command {
    /// Leave every load balancer at once, wait until nothing is in flight, exit inside the budget
    ///
    /// Meant for ExecStop=. Every load balancer is told at once and its state is read back; then the
    /// command waits until each reports nothing in flight, or this host's connections show none, or the
    /// deregistration delay has passed. It never overruns its budget.
    #[command(after_help = EXIT_CODES)]
    Deregister(Deregister),
    /// Come back: what the last `deregister` took out, as it was
    ///
    /// Meant for ExecStartPost= and lb-drain@.service. Waits, within the budget, until the service listens on
    /// its ports; where it does not, this host is not registered. What was taken out with --keep-out stays out,
    /// unless a person runs this.
    #[command(after_help = REGISTER_EXIT_CODES)]
    Register(Register),
    /// Show each load balancer's view of this host, and the requests in flight here
    #[command(after_help = STATUS_EXIT_CODES)]
    Status(Status),
    /// Say whether leaving would work: configuration, load balancers, unit, delays; changes nothing
    ///
    /// Each finding says what it is, why it matters and the line to write. Exits with 1 if there is one that
    /// would leave this host in rotation or lose requests.
    #[command(after_help = check::EXIT_CODES)]
    Check(Check),
    /// Print the unit file that makes a service leave its load balancers, with times that fit
    ///
    /// A drop-in for a unit of your own that has the time, else the companion lb-drain@.service. The times fit
    /// the load balancers' delays, and the unit's own ExecStop= and TimeoutStopSec=.
    #[command(after_help = unit::EXIT_CODES)]
    Unit(UnitFile),
    /// A drain test: requests through the load balancer while this host leaves and comes back
    ///
    /// Sends requests at a steady rate, takes this host out as `deregister` does, watches what still arrives
    /// here, and brings it back as `register` does. Reports what failed and when, and what to write:
    /// min_wait, budget, TimeoutStopSec=. Ctrl-C brings the host back first, and so does every error.
    #[cfg(feature = "rehearse")]
    #[command(after_help = rehearse::EXIT_CODES)]
    Rehearse(Rehearse),
}

impl Command {
    /// The options of every command.
    #[must_use]
    pub fn common(&self) -> &Common {
        match self {
            Self::Deregister(options) => &options.common,
            Self::Register(options) => &options.common,
            Self::Status(options) => &options.common,
            Self::Check(options) => &options.common,
            Self::Unit(options) => &options.common,
            #[cfg(feature = "rehearse")]
            Self::Rehearse(options) => &options.common,
        }
    }

    /// The application's unit, where it is known by name.
    #[must_use]
    pub fn application(&self) -> Option<&str> {
        match self {
            Self::Check(options) => options.app.as_deref(),
            Self::Unit(options) => Some(options.app.as_str()),
            #[cfg(feature = "rehearse")]
            Self::Rehearse(Rehearse {
                common: Common { service: None, .. },
                restart: Some(unit),
                ..
            }) => Some(unit.name()),
            _ => None,
        }
        .or(self.common().service.as_deref())
    }
}

// Options of every command.
#[derive(Debug, Args)]
pub struct Common {
    /// Configuration file; a bare name means /etc/lb-drain/NAME.toml
    #[arg(
        short,
        long,
        value_name = "FILE",
        env = "LB_DRAIN_CONFIG",
        default_value = "/etc/lb-drain/lb-drain.toml"
    )]
    pub config: PathBuf,

    /// Time for everything, from the start of the process: a duration such as 30s, or auto
    #[arg(long, value_name = "DURATION|auto", env = "LB_DRAIN_BUDGET", value_parser = budget)]
    pub budget: Option<BudgetFlag>,

    /// The unit that runs this, where systemd cannot tell: its timeout is the budget
    #[arg(long, value_name = "NAME", env = "LB_DRAIN_UNIT")]
    pub unit: Option<String>,

    /// The application's unit, where another one runs this (lb-drain@.service does)
    #[arg(long, value_name = "NAME", env = "LB_DRAIN_SERVICE")]
    pub service: Option<String>,

    /// This service's ports: requests in flight are watched here
    #[arg(long = "port", value_name = "PORT", num_args = 1.., value_delimiter = ',', env = "LB_DRAIN_PORT")]
    pub ports: Vec<u16>,

    /// Where what was taken out is recorded [default: /run/lb-drain]
    #[arg(long, value_name = "DIR", env = "LB_DRAIN_STATE_DIR")]
    pub state_dir: Option<PathBuf>,

    /// What to print on stdout when the command ends
    #[arg(long, value_enum, default_value_t, env = "LB_DRAIN_OUTPUT")]
    pub output: Output,

    /// How to log on stderr
    #[arg(
        long,
        value_enum,
        default_value_t,
        value_name = "FORMAT",
        env = "LB_DRAIN_LOG_FORMAT"
    )]
    pub log_format: LogFormat,

    /// Say more
    #[arg(short, long, env = "LB_DRAIN_VERBOSE", value_parser = clap::builder::FalseyValueParser::new())]
    pub verbose: bool,

    /// Say nothing but warnings and errors
    #[arg(short, long, env = "LB_DRAIN_QUIET", value_parser = clap::builder::FalseyValueParser::new(), conflicts_with = "verbose")]
    pub quiet: bool,

    /// Load balancers given here instead of in a file.
    #[command(flatten)]
    pub balancers: BalancerFlags,
}

// `deregister`.
#[derive(Debug, Args)]
pub struct Deregister {
    /// Options of every command.
    #[command(flatten)]
    pub common: Common,

    /// Never count a load balancer as drained before this has passed since leaving it
    #[arg(long, value_name = "DURATION", env = "LB_DRAIN_MIN_WAIT", value_parser = duration::parse)]
    pub min_wait: Option<Duration>,

    /// Stop waiting for a load balancer when this has passed since leaving it
    #[arg(long, value_name = "DURATION", env = "LB_DRAIN_MAX_WAIT", value_parser = duration::parse)]
    pub max_wait: Option<Duration>,

    /// Leave, verify, and do not wait for the drain
    #[arg(long, env = "LB_DRAIN_NO_WAIT", value_parser = clap::builder::FalseyValueParser::new())]
    pub no_wait: bool,

    /// Let systemd wait for as long as the load balancers may need, beyond what the unit says
    ///
    /// Up to the longest max_wait, be it configured or the load balancer's own. Needs NotifyAccess=exec or all in the unit. It overrides what the
    /// administrator wrote, so it is never done unasked.
    #[arg(long, env = "LB_DRAIN_EXTEND_TIMEOUT", value_parser = clap::builder::FalseyValueParser::new())]
    pub extend_timeout: bool,

    /// Stay out until `register` is run by hand: units that start do not bring this host back
    #[arg(long, env = "LB_DRAIN_KEEP_OUT", value_parser = clap::builder::FalseyValueParser::new())]
    pub keep_out: bool,

    /// Change nothing; say what would be done
    #[arg(long, env = "LB_DRAIN_DRY_RUN", value_parser = clap::builder::FalseyValueParser::new())]
    pub dry_run: bool,

    /// Exit with 75 when out everywhere but not drained in time
    #[arg(long, env = "LB_DRAIN_STRICT", value_parser = clap::builder::FalseyValueParser::new())]
    pub strict: bool,
}

// `register`.
#[derive(Debug, Args)]
pub struct Register {
    /// Options of every command.
    #[command(flatten)]
    pub common: Common,

    /// Wait until every load balancer has this host in service
    #[arg(long, env = "LB_DRAIN_WAIT", value_parser = clap::builder::FalseyValueParser::new())]
    pub wait: bool,

    /// Come back also where `deregister --keep-out` took this host out (a unit does not, a person does)
    #[arg(long, env = "LB_DRAIN_EVEN_IF_KEPT_OUT", value_parser = clap::builder::FalseyValueParser::new())]
    pub even_if_kept_out: bool,
}

// `status`.
#[derive(Debug, Args)]
pub struct Status {
    /// Options of every command.
    #[command(flatten)]
    pub common: Common,
}

/// What goes to stdout.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub enum Output {
    /// Nothing but what people read
    #[default]
    Human,
    /// One JSON object
    Json,
}

/// How lines on stderr look.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// For people; in the journal with fields
    #[default]
    Human,
    /// One JSON object a line
    Json,
}

/// A budget as given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BudgetFlag {
    /// From the surroundings.
    Auto,
    /// This long.
    Fixed(Duration),
}

/// Reads `auto` or a duration.
///
/// # Errors
///
/// A sentence that says what to write instead.
pub fn budget(text: &str) -> Result<BudgetFlag, String> {
    if text == "auto" {
        return Ok(BudgetFlag::Auto);
    }
    let total = duration::parse(text)?;
    if total < crate::budget::SHORTEST {
        return Err(format!(
            "{text} is too short to reach anything; write at least {}ms, or auto",
            crate::budget::SHORTEST.as_millis()
        ));
    }
    Ok(BudgetFlag::Fixed(total))
}

/// Where an option's value comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// Given on the command line.
    Flag,
    /// Read from the environment.
    Env,
}

/// The parsed command line, with what clap knows about origins.
#[derive(Debug)]
pub struct Parsed {
    /// The arguments.
    pub cli: Cli,
    /// Where `--budget` comes from, if given.
    pub budget_origin: Option<Origin>,
    /// Whether `--config` was given, rather than defaulted.
    pub config_given: bool,
}

/// Parses a command line.
///
/// # Errors
///
/// What clap says, help and version included.
pub fn parse(arguments: impl IntoIterator<Item = OsString>) -> Result<Parsed, clap::Error> {
    let mut whole = Cli::command();
    let mut matches = whole.try_get_matches_from_mut(arguments)?;
    // The process ends soon: to take a thousand small things apart gains nothing.
    std::mem::forget(whole);
    let command = matches.subcommand().map(|(_, matches)| matches);
    let origin = |id: &str| {
        let source = |matches: &ArgMatches| matches.value_source(id);
        match command.and_then(source) {
            Some(ValueSource::CommandLine) => Some(Origin::Flag),
            Some(ValueSource::EnvVariable) => Some(Origin::Env),
            _ => None,
        }
    };
    Ok(Parsed {
        budget_origin: origin("budget"),
        config_given: origin("config").is_some(),
        cli: Cli::from_arg_matches_mut(&mut matches)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_is_well_formed() {
        Cli::command().debug_assert();
    }

    #[test]
    fn every_option_reads_the_environment() {
        let mut whole = Cli::command();
        whole.build();
        for command in whole
            .get_subcommands()
            .filter(|command| command.get_name() != "help")
        {
            assert!(command.get_arguments().count() > 5, "{}", command.get_name());
            for argument in command.get_arguments() {
                let name = argument.get_id().as_str();
                if ["help", "version"].contains(&name) {
                    continue;
                }
                let variable = argument
                    .get_env()
                    .and_then(|name| name.to_str())
                    .unwrap_or_default();
                assert!(
                    variable.starts_with("LB_DRAIN_"),
                    "{} {name} reads {variable:?}",
                    command.get_name()
                );
            }
        }
    }

    #[cfg(feature = "rehearse")]
    #[test]
    fn a_rehearsal_of_a_restart_is_about_the_unit_that_restarts_unless_another_is_named() {
        let application = |more: &[&str]| {
            let words = [
                "lb-drain",
                "rehearse",
                "--url",
                "http://a/",
                "--restart",
                "web.service",
            ];
            let words = words.iter().chain(more).map(OsString::from);
            let parsed = parse(words).expect("a command line");
            parsed.cli.command.application().map(str::to_owned)
        };
        assert_eq!(application(&[]).as_deref(), Some("web.service"));
        assert_eq!(application(&["--service", "app"]).as_deref(), Some("app"));
    }

    #[test]
    fn a_budget_is_a_duration_or_auto() {
        assert_eq!(budget("auto"), Ok(BudgetFlag::Auto));
        assert_eq!(budget("30s"), Ok(BudgetFlag::Fixed(Duration::from_secs(30))));
        assert!(budget("30").unwrap_err().contains("30s"));
        assert!(budget("5ms").unwrap_err().contains("100ms"));
    }
}
