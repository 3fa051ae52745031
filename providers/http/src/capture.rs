//! Values that one answer gives to later requests.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use lb_drain_api::SettingsError;
use serde_json::Value;

use crate::answer::Answer;
use crate::pick::Pick;
use crate::settings;
use crate::template::Scope;
use crate::values::{Name, Values};

/// Where a captured value stands in an answer.
#[derive(Debug, Clone)]
pub(crate) enum Capture {
    /// A header (or trailer).
    Header(String),
    /// A value of the JSON body.
    Value(Pick),
    /// The position of an element in its array.
    Index(Pick),
}

impl Capture {
    /// # Errors
    ///
    /// What is wrong with it.
    pub(crate) fn read(capture: &settings::Capture, scope: &Scope) -> Result<Self, SettingsError> {
        match capture {
            settings::Capture::Short(text) => match text.strip_prefix("header:").map(str::trim) {
                Some("") => Err(SettingsError::new(
                    "capture",
                    "header: needs a name, such as header:ETag",
                )),
                Some(name) => Ok(Self::Header(name.to_owned())),
                None => Ok(Self::Value(Pick::read(
                    None,
                    &BTreeMap::new(),
                    Some(text),
                    scope,
                )?)),
            },
            settings::Capture::Element(element) => {
                if element.index && element.pointer.is_some() {
                    return Err(SettingsError::new(
                        "index",
                        "does not go with pointer: choose one",
                    ));
                }
                if element.matching.is_empty() {
                    let message = "is missing: the fields by which the element is found";
                    return Err(SettingsError::new("where", message));
                }
                let array = element.array.as_deref();
                let pick = Pick::read(array, &element.matching, element.pointer.as_deref(), scope)?;
                Ok(if element.index {
                    Self::Index(pick)
                } else {
                    Self::Value(pick)
                })
            }
        }
    }

    /// The names that finding it takes.
    pub(crate) fn names(&self) -> BTreeSet<Name> {
        match self {
            Self::Header(_) => BTreeSet::new(),
            Self::Value(pick) | Self::Index(pick) => pick.names(),
        }
    }

    /// The value; `None` where the answer does not hold it.
    ///
    /// # Errors
    ///
    /// A sentence where the answer cannot be read that way.
    pub(crate) fn take(&self, answer: &Answer, values: &Values) -> Result<Option<Value>, String> {
        match self {
            Self::Header(name) => Ok(answer.header(name).map(Value::from)),
            Self::Value(pick) => Ok(pick
                .find(&answer.json()?, values)?
                .map(|picked| picked.value.clone())),
            Self::Index(pick) => {
                let json = answer.json()?;
                Ok(pick
                    .find(&json, values)?
                    .and_then(|picked| picked.index)
                    .map(Value::from))
            }
        }
    }
}

impl fmt::Display for Capture {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Header(name) => write!(f, "the header {name}"),
            Self::Value(pick) | Self::Index(pick) => pick.fmt(f),
        }
    }
}
