//! What is wrong with the configuration, and where.

use std::fmt;
use std::ops::Range;
use std::path::Path;

/// A configuration that cannot be meant. Nothing has been touched.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigError(String);

impl ConfigError {
    /// An error of the command line or the surroundings.
    pub(super) fn new(message: impl Into<String>) -> Self {
        Self(message.into())
    }

    /// An error of a place in a file: `FILE, line N: message`, and the line's key below.
    pub(super) fn at(path: &Path, text: &str, place: Option<Range<usize>>, message: &str) -> Self {
        let message = message.trim_end();
        let Some(place) = place else {
            return Self(format!("{}: {message}", path.display()));
        };
        let start = place.start.min(text.len());
        let number = text.as_bytes()[..start]
            .iter()
            .filter(|byte| **byte == b'\n')
            .count()
            + 1;
        let line = without_value(text.lines().nth(number - 1).unwrap_or_default());
        Self(format!(
            "{}, line {number}: {message}\n  {number} | {line}",
            path.display()
        ))
    }
}

/// A line as far as it can hold no secret: this is read in journals.
fn without_value(line: &str) -> String {
    let line = line.trim_end();
    match line.split_once('=') {
        Some((key, _)) => format!("{key}= …"),
        None if line.trim_start().starts_with('[') => line.to_owned(),
        None => "…".to_owned(),
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for ConfigError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_key_is_shown_and_no_value() {
        for (line, shown) in [
            ("bearer = 'abc'", "bearer = …"),
            ("bearer = abc", "bearer = …"),
            ("  'x' = { a = 'b' }  ", "  'x' = …"),
            ("[[load_balancer]]", "[[load_balancer]]"),
            ("  'continued',", "…"),
        ] {
            assert_eq!(without_value(line), shown);
        }
    }
}
