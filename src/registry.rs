//! Every provider by name: the only file that names them.

use std::sync::Arc;

use lb_drain_api::{Host, LoadBalancer, SettingsError};
use serde::Deserialize;
use toml::de::ValueDeserializer;

use crate::cli::BalancerFlags;

/// The names under which providers are configured, in the order of the documentation.
pub const PROVIDERS: &[&str] = &[
    #[cfg(feature = "haproxy")]
    "haproxy",
];

/// Why a section does not make a load balancer.
#[derive(Debug)]
pub enum Unusable {
    /// There is no such provider (in this build).
    Provider,
    /// The section does not have the provider's keys.
    Section(toml::de::Error),
    /// A value cannot be meant.
    Settings(SettingsError),
}

impl From<toml::de::Error> for Unusable {
    fn from(error: toml::de::Error) -> Self {
        Self::Section(error)
    }
}

impl From<SettingsError> for Unusable {
    fn from(error: SettingsError) -> Self {
        Self::Settings(error)
    }
}

/// The endpoints that a section of the configuration stands for.
///
/// # Errors
///
/// When there is no such provider, or the section is not as the provider needs it.
pub fn from_section(
    provider: &str,
    section: ValueDeserializer<'_>,
    host: &Host,
) -> Result<Vec<Arc<dyn LoadBalancer>>, Unusable> {
    match provider {
        #[cfg(feature = "haproxy")]
        "haproxy" => Ok(lb_drain_haproxy::connect(
            lb_drain_haproxy::Settings::deserialize(section)?,
            host,
        )?),
        _ => Err(Unusable::Provider),
    }
}

/// The endpoints that options of the command line stand for, by provider.
///
/// # Errors
///
/// When the options are not as the provider needs them.
pub fn from_flags(
    flags: &BalancerFlags,
    host: &Host,
) -> Result<Vec<(&'static str, Vec<Arc<dyn LoadBalancer>>)>, SettingsError> {
    let mut balancers = Vec::new();
    #[cfg(feature = "haproxy")]
    if !flags.haproxy.is_empty() {
        let settings = lb_drain_haproxy::Settings {
            sockets: flags.haproxy.clone(),
            servers: flags.haproxy_server.clone(),
            ..lb_drain_haproxy::Settings::default()
        };
        balancers.push(("haproxy", lb_drain_haproxy::connect(settings, host)?));
    }
    Ok(balancers)
}

/// Whether any load balancer is given by options.
#[must_use]
pub fn given(flags: &BalancerFlags) -> bool {
    #[cfg(feature = "haproxy")]
    if !flags.haproxy.is_empty() {
        return true;
    }
    false
}

/// A provider's name as its makers write it.
#[must_use]
pub fn title(provider: &str) -> &str {
    match provider {
        "haproxy" => "HAProxy",
        other => other,
    }
}
