//! The configuration file. Every error names file, line and key.

use std::collections::HashMap;
use std::ops::Range;
use std::path::Path;
use std::time::Duration;

use lb_drain_api::{Host, duration};
use serde::Deserialize;
use toml::Spanned;
use toml::de::{DeTable, DeValue, ValueDeserializer};

use super::{ConfigError, Raw};
use crate::cli::{self, BudgetFlag};
use crate::engine::Plan;
use crate::registry::{self, Unusable};

/// Keys of a `[[load_balancer]]` that mean the same for every provider; the others are the provider's.
const COMMON: &[&str] = &["name", "provider", "optional", "min_wait", "max_wait"];

/// A file that has been read as far as it is the same for every provider.
#[derive(Debug)]
pub(super) struct Document<'i> {
    pub(super) raw: Raw,
    path: &'i Path,
    text: &'i str,
    sections: Vec<Spanned<DeTable<'i>>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Top {
    #[serde(deserialize_with = "deserialize_budget")]
    budget: Option<BudgetFlag>,
    ports: Vec<u16>,
    #[serde(deserialize_with = "duration::deserialize_option")]
    quiet: Option<Duration>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Shared {
    name: Option<String>,
    provider: Spanned<String>,
    #[serde(default)]
    optional: bool,
    #[serde(default, deserialize_with = "duration::deserialize_option")]
    min_wait: Option<Duration>,
    #[serde(default, deserialize_with = "duration::deserialize_option")]
    max_wait: Option<Duration>,
}

fn deserialize_budget<'de, D: serde::Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<BudgetFlag>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged, expecting = "write a duration such as \"30s\", or \"auto\"")]
    enum Written {
        Text(String),
        Number(i64),
    }
    let text = match Written::deserialize(deserializer)? {
        Written::Text(text) => text,
        Written::Number(number) => number.to_string(),
    };
    cli::budget(&text).map(Some).map_err(serde::de::Error::custom)
}

/// Reads the file.
pub(super) fn read(path: &Path) -> Result<String, ConfigError> {
    std::fs::read_to_string(path).map_err(|error| {
        let remedy = match error.kind() {
            std::io::ErrorKind::NotFound => {
                "; write it, name another one with --config, or name load balancers by options (see --help)"
            }
            std::io::ErrorKind::PermissionDenied => "; the unit's User= must be able to read it",
            _ => "",
        };
        ConfigError::new(format!("cannot read {}: {error}{remedy}", path.display()))
    })
}

/// Parses what is the same for every provider.
pub(super) fn parse<'i>(path: &'i Path, text: &'i str) -> Result<Document<'i>, ConfigError> {
    let at = |error: &toml::de::Error| ConfigError::at(path, text, error.span(), error.message());
    let parsed = DeTable::parse(text).map_err(|error| at(&error))?;
    let span = parsed.span();
    let (sections, top): (Vec<_>, Vec<_>) = parsed
        .into_inner()
        .into_iter()
        .partition(|(key, _)| key.get_ref() == "load_balancer");
    let top = Top::deserialize(deserializer(span, top.into_iter().collect())).map_err(|error| {
        let message =
            plain(error.message()).replace("here are `budget`", "here are `load_balancer`, `budget`");
        ConfigError::at(path, text, error.span(), &message)
    })?;
    let mut tables = Vec::new();
    for (_, value) in sections {
        let place = value.span();
        let DeValue::Array(array) = value.into_inner() else {
            return Err(ConfigError::at(
                path,
                text,
                Some(place),
                "load_balancer is a list; write [[load_balancer]]",
            ));
        };
        for value in array {
            let place = value.span();
            match value.into_inner() {
                DeValue::Table(table) => tables.push(Spanned::new(place, table)),
                _ => {
                    return Err(ConfigError::at(
                        path,
                        text,
                        Some(place),
                        "a load_balancer is a table; write [[load_balancer]]",
                    ));
                }
            }
        }
    }
    Ok(Document {
        raw: Raw {
            budget: top.budget,
            ports: top.ports,
            quiet: top.quiet,
        },
        path,
        text,
        sections: tables,
    })
}

impl Document<'_> {
    /// The load balancers of the file.
    pub(super) fn plans(self, host: &Host) -> Result<Vec<Plan>, ConfigError> {
        if self.sections.is_empty() {
            return Err(ConfigError::at(
                self.path,
                self.text,
                None,
                "names no load balancer; write at least one [[load_balancer]]",
            ));
        }
        let mut all: Vec<Plan> = Vec::new();
        let mut namesakes: HashMap<String, u32> = HashMap::new();
        for section in self.sections {
            let mut plans = plans_of(section, host)
                .map_err(|(place, message)| ConfigError::at(self.path, self.text, Some(place), &message))?;
            if let Some(plan) = plans.first() {
                // Sections of one name are told apart by their order.
                let number = namesakes.entry(plan.name.clone()).or_insert(0);
                *number += 1;
                if *number > 1 {
                    for plan in &mut plans {
                        plan.section = format!("{} {number}", plan.name);
                    }
                }
            }
            all.extend(plans);
        }
        Ok(all)
    }
}

fn plans_of(section: Spanned<DeTable<'_>>, host: &Host) -> Result<Vec<Plan>, (Range<usize>, String)> {
    let span = section.span();
    let (common, own): (Vec<_>, Vec<_>) = section
        .into_inner()
        .into_iter()
        .partition(|(key, _)| COMMON.contains(&key.get_ref().as_ref()));
    let places: Vec<(String, Range<usize>)> = own
        .iter()
        .map(|(key, _)| (key.get_ref().to_string(), key.span()))
        .collect();
    let place = |error: &toml::de::Error| error.span().unwrap_or(span.clone());

    let shared = Shared::deserialize(deserializer(span.clone(), common.into_iter().collect()))
        .map_err(|error| (place(&error), plain(error.message())))?;
    if let (Some(min), Some(max)) = (shared.min_wait, shared.max_wait)
        && min > max
    {
        let (min, max) = (duration::human(min), duration::human(max));
        return Err((
            span,
            format!("min_wait ({min}) is longer than max_wait ({max}); write a max_wait of at least {min}"),
        ));
    }
    let own = deserializer(span.clone(), own.into_iter().collect());
    let provider = shared.provider.get_ref();
    let balancers = registry::from_section(provider, own, host).map_err(|error| match error {
        Unusable::Provider => {
            let known = registry::PROVIDERS.join(", ");
            (
                shared.provider.span(),
                format!(r#"there is no provider "{provider}" in this build; write one of: {known}"#),
            )
        }
        Unusable::Section(error) => {
            let message = plain(error.message());
            // A key of the section itself may have been meant as one of those that every provider has.
            let of_section = places
                .iter()
                .any(|(_, place)| error.span().as_ref() == Some(place));
            let message = match of_section {
                true => message.replace("here are ", &format!("here are `{}`, ", COMMON.join("`, `"))),
                false => message,
            };
            (place(&error), message)
        }
        Unusable::Settings(error) => {
            let at = places
                .iter()
                .find(|(key, _)| key == error.key)
                .map_or(span.clone(), |(_, place)| place.clone());
            (at, error.to_string())
        }
    })?;
    let name = shared.name.unwrap_or_else(|| provider.clone());
    Ok(balancers
        .into_iter()
        .map(|balancer| Plan {
            name: name.clone(),
            section: name.clone(),
            balancer,
            optional: shared.optional,
            min_wait: shared.min_wait,
            max_wait: shared.max_wait,
        })
        .collect())
}

/// serde's words in those of a configuration file, without the value that it quotes: it may be a secret.
fn plain(message: &str) -> String {
    let quoted = message.find("string \"").zip(message.rfind("\", expected"));
    let message = match quoted {
        Some((start, end)) if start < end => format!("{}a string{}", &message[..start], &message[end + 1..]),
        _ => message.to_owned(),
    };
    message
        .replace("unknown field", "unknown key")
        .replace("expected one of", "the keys here are")
        .replace("missing field", "missing key")
}

fn deserializer<'i>(span: Range<usize>, table: DeTable<'i>) -> ValueDeserializer<'i> {
    ValueDeserializer::from(Spanned::new(span, DeValue::Table(table)))
}
