//! What is wrong with a provider's settings.

use std::fmt;

/// A setting that parses but cannot be meant: which key, what is wrong, what to write instead.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SettingsError {
    /// The configuration key, such as `servers`.
    pub key: &'static str,
    /// What is wrong with its value and what to write instead.
    pub message: String,
}

impl SettingsError {
    /// An error of `key`.
    pub fn new(key: &'static str, message: impl Into<String>) -> Self {
        Self {
            key,
            message: message.into(),
        }
    }
}

impl fmt::Display for SettingsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.key, self.message)
    }
}

impl std::error::Error for SettingsError {}
