//! Every provider by name: the only file that names them.

use std::sync::Arc;

use lb_drain_api::{Host, LoadBalancer, SettingsError};
use serde::Deserialize;
use toml::de::ValueDeserializer;

use crate::cli::BalancerFlags;

/// The endpoints of one provider, by the provider's name.
pub type Named = (&'static str, Vec<Arc<dyn LoadBalancer>>);

/// The names under which providers are configured, in the order of the documentation.
pub const PROVIDERS: &[&str] = &[
    #[cfg(feature = "haproxy")]
    "haproxy",
    #[cfg(feature = "aws-elbv2")]
    "aws-elbv2",
    #[cfg(feature = "http")]
    "http",
];

/// A provider's name as its makers write it.
#[must_use]
pub fn title(provider: &str) -> &str {
    match provider {
        "haproxy" => "HAProxy",
        "aws-elbv2" => "AWS",
        "http" => "its endpoint",
        other => other,
    }
}

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
            Deserialize::deserialize(section)?,
            host,
        )?),
        #[cfg(feature = "aws-elbv2")]
        "aws-elbv2" => Ok(lb_drain_aws_elbv2::connect(
            Deserialize::deserialize(section)?,
            host,
        )?),
        #[cfg(feature = "http")]
        "http" => Ok(lb_drain_http::connect(Deserialize::deserialize(section)?, host)?),
        _ => Err(Unusable::Provider),
    }
}

/// The endpoints that options of the command line stand for, by provider. Empty when none are given.
///
/// # Errors
///
/// When the options are not as the provider needs them.
pub fn from_flags(flags: &BalancerFlags, host: &Host) -> Result<Vec<Named>, SettingsError> {
    let mut balancers: Vec<Named> = Vec::new();
    #[cfg(feature = "haproxy")]
    if let Some(settings) = flags.haproxy.settings() {
        balancers.push(("haproxy", lb_drain_haproxy::connect(settings, host)?));
    }
    #[cfg(feature = "aws-elbv2")]
    if let Some(settings) = flags.aws.settings() {
        balancers.push(("aws-elbv2", lb_drain_aws_elbv2::connect(settings, host)?));
    }
    #[cfg(feature = "http")]
    if let Some(settings) = flags.http.settings()? {
        balancers.push(("http", lb_drain_http::connect(settings, host)?));
    }
    Ok(balancers)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_provider_has_a_row_in_the_documentation_and_a_folder() {
        let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
        let rows = std::fs::read_to_string(root.join("providers/README.md")).expect("the list");
        for provider in PROVIDERS {
            assert!(
                rows.contains(&format!("| [{provider}]({provider}/README.md) |")),
                "no row for {provider}"
            );
            assert!(
                root.join("providers").join(provider).join("README.md").exists(),
                "no README for {provider}"
            );
        }
        // And the other way round: what is listed is built by default.
        #[cfg(all(feature = "haproxy", feature = "aws-elbv2", feature = "http"))]
        assert_eq!(rows.matches("/README.md) |").count(), PROVIDERS.len());
    }
}
