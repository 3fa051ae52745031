//! Configuration: raw input becomes validated settings here, and nowhere else.

mod budget;
mod error;
mod file;
#[cfg(any(test, feature = "fuzzing"))]
pub(crate) mod fuzzing;
mod host;
mod room;
mod secrets;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

pub use error::ConfigError;

use crate::budget::Budget;
use crate::cli::{BudgetFlag, Command, Common, Parsed};
use crate::engine::Plan;
use crate::record;
use crate::registry;
use crate::service_manager::{self, Asked, Surroundings};

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
    /// What systemd says of the unit that runs us.
    pub asked: Asked,
    /// What names this configuration on record.
    pub scope: String,
    /// Where it is written, unless options give it.
    pub file: Option<PathBuf>,
    /// The application's unit, where its name was given.
    pub application: Option<String>,
    /// Whether the unit's timeout is to be extended.
    pub extend: bool,
    /// What the operator should know of how these settings came about.
    pub remarks: Vec<String>,
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
    let application = parsed.cli.command.application().map(service_manager::unit_name);
    let path = match &application {
        Some(unit) if !parsed.config_given && own_file(unit).exists() => own_file(unit),
        _ => full_path(&common.config),
    };
    // Units and the record name the file, and have another working directory.
    let path = std::path::absolute(&path).unwrap_or(path);
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
    let claims = budget::Claims {
        option: common.budget,
        origin: parsed.budget_origin,
        file: document.raw.budget,
    };
    let asked = service_manager::ask(
        &Surroundings::of_this_process(),
        common.unit.as_deref(),
        common.service.as_deref(),
        Instant::now() + patience(claims.given()),
    );
    let mut remarks = Vec::new();
    let budget = claims.resolve(&asked, &mut remarks);
    let host = host::host(
        ports.iter().copied().collect(),
        application.clone().or_else(|| Some(asked.hook()?.unit.clone())),
        budget.total,
    );
    let mut plans = if no_file {
        from_flags(common, &host)?
    } else {
        document.plans(&host)?
    };
    if let Command::Deregister(options) = &parsed.cli.command {
        for plan in &mut plans {
            plan.min_wait = options.min_wait.or(plan.min_wait);
            plan.max_wait = options.max_wait.or(plan.max_wait);
        }
    }
    if let Some(what) = open_secret(&path, &text) {
        let name = path.display();
        remarks.push(format!("{name}: {what} (chmod 0640 {name})"));
    }
    let scope = if no_file {
        let options = format!("{:?}", common.balancers);
        format!("options {:016x}", record::fnv1a(options.as_bytes()))
    } else {
        path.display().to_string()
    };
    let file = (!no_file).then_some(path);
    let extend = matches!(&parsed.cli.command, Command::Deregister(options) if options.extend_timeout);
    Ok(Settings {
        budget,
        ports,
        quiet,
        plans,
        asked,
        scope,
        file,
        application,
        extend,
        remarks,
    })
}

/// How long systemd may take to answer: of a budget that is given a tenth, less what the process has used of it. No
/// load balancer is told meanwhile.
fn patience(given: Option<Duration>) -> Duration {
    let Some(given) = given else {
        return service_manager::PATIENCE;
    };
    let used = service_manager::process_age(std::process::id()).unwrap_or_default();
    service_manager::PATIENCE.min(given / 10).saturating_sub(used)
}

impl Settings {
    /// Whether any load balancer is spoken to by the network.
    #[must_use]
    pub fn by_network(&self) -> bool {
        !self.plans.iter().all(|plan| plan.balancer.identity().is_socket())
    }

    /// Whether any load balancer is spoken to by a unix socket.
    #[must_use]
    pub fn by_socket(&self) -> bool {
        self.plans.iter().any(|plan| plan.balancer.identity().is_socket())
    }
}

/// What everybody on this host can read in a configuration file, and should not: a sentence.
pub(crate) fn open_secret(path: &Path, text: &str) -> Option<String> {
    let line = secrets::open_to_everybody(path, text)?;
    Some(format!(
        "line {line} holds a secret, and everybody on this host can read it"
    ))
}

/// The file that a unit has to itself, `/etc/lb-drain/web.toml` for `web.service`: what its companion reads.
#[must_use]
pub fn own_file(unit: &str) -> PathBuf {
    full_path(Path::new(unit.strip_suffix(".service").unwrap_or(unit)))
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
        registry::from_flags(&common.balancers, host).map_err(|error| ConfigError::new(error.to_string()))?;
    Ok(balancers
        .into_iter()
        .flat_map(|(name, balancers)| balancers.into_iter().map(move |balancer| (name, balancer)))
        .map(|(name, balancer)| Plan {
            name: name.to_owned(),
            section: name.to_owned(),
            balancer,
            optional: false,
            min_wait: None,
            max_wait: None,
        })
        .collect())
}

#[cfg(test)]
mod tests;
