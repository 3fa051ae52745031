//! Configuration: raw input becomes validated settings here, and nowhere else.

mod error;
mod file;
mod host;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::Duration;

pub use error::ConfigError;

use crate::budget::{self, Budget, Source};
use crate::cli::{BudgetFlag, Common, Origin, Parsed};
use crate::engine::Plan;
use crate::registry;

/// How long nothing may be in flight before that counts: longer than the gap between two requests of one
/// busy client, short beside any budget.
const QUIET: Duration = Duration::from_secs(1);

/// A run's settings, all of them valid together.
#[derive(Debug)]
pub struct Settings {
    /// The budget.
    pub budget: Budget,
    /// The service's ports.
    pub ports: BTreeSet<u16>,
    /// How long nothing may be in flight before that counts.
    pub quiet: Duration,
    /// The load balancers; at least one.
    pub plans: Vec<Plan>,
}

/// What an input (a file, or nothing) says before options have their say.
#[derive(Debug, Default)]
struct Raw {
    budget: Option<BudgetFlag>,
    ports: Vec<u16>,
    quiet: Option<Duration>,
}

/// Settings from options, environment and file, in this order of precedence.
///
/// # Errors
///
/// A sentence that names file, line and key, or the option, and says what to write instead.
pub fn settings(parsed: &Parsed, common: &Common) -> Result<Settings, ConfigError> {
    let no_file = common.balancers.any();
    if no_file && parsed.config_given {
        return Err(ConfigError::new(
            "load balancers are given both by --config and by options; write only one of them",
        ));
    }
    let path = full_path(&common.config);
    let text = if no_file {
        String::new()
    } else {
        file::read(&path)?
    };
    let document = file::parse(&path, &text)?;
    let ports: BTreeSet<u16> = if common.ports.is_empty() {
        &document.raw.ports
    } else {
        &common.ports
    }
    .iter()
    .copied()
    .collect();
    if ports.contains(&0) {
        return Err(ConfigError::new(
            "port 0 is no port a service listens on; write the ports of this service",
        ));
    }
    let quiet = document.raw.quiet.unwrap_or(QUIET);
    let budget = resolve(common.budget, parsed.budget_origin, document.raw.budget);
    let host = host::host(ports.iter().copied().collect(), budget.total);
    let plans = if no_file {
        from_flags(common, &host)?
    } else {
        document.plans(&host)?
    };
    Ok(Settings {
        budget,
        ports,
        quiet,
        plans,
    })
}

/// The budget by whoever speaks first: option, environment, file; `auto` asks the surroundings.
fn resolve(option: Option<BudgetFlag>, origin: Option<Origin>, file: Option<BudgetFlag>) -> Budget {
    let source = match origin {
        Some(Origin::Env) => Source::Env,
        _ if option.is_some() => Source::Flag,
        _ => Source::Config,
    };
    match option.or(file) {
        Some(BudgetFlag::Fixed(total)) => Budget { total, source },
        Some(BudgetFlag::Auto) | None => Budget {
            total: budget::DEFAULT,
            source: Source::Default,
        },
    }
}

/// A bare name stands for a file where configuration is kept.
fn full_path(path: &Path) -> PathBuf {
    match path.to_str() {
        Some(name) if !name.contains('/') && !name.ends_with(".toml") => {
            Path::new("/etc/lb-drain").join(format!("{name}.toml"))
        }
        _ => path.to_owned(),
    }
}

fn from_flags(common: &Common, host: &lb_drain_api::Host) -> Result<Vec<Plan>, ConfigError> {
    let balancers =
        registry::from_flags(&common.balancers, host).map_err(|error| ConfigError::new(error.message))?;
    Ok(balancers
        .into_iter()
        .flat_map(|(name, balancers)| balancers.into_iter().map(move |balancer| (name, balancer)))
        .map(|(name, balancer)| Plan {
            name: name.to_owned(),
            balancer,
            optional: false,
            min_wait: None,
            max_wait: None,
        })
        .collect())
}

#[cfg(test)]
mod tests;
