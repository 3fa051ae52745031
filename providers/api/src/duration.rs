//! Durations as systemd writes them: `500ms`, `30s`, `2min`, `1min 30s`.

use std::fmt;
use std::time::Duration;

use serde::Deserializer;
use serde::de::Visitor;

/// Reads a duration such as `500ms`, `30s` or `1min 30s`.
///
/// # Errors
///
/// A sentence that says what to write instead. A bare number is an error: systemd reads seconds, others
/// milliseconds, and a stop budget is no place to guess.
pub fn parse(text: &str) -> Result<Duration, String> {
    let text = text.trim();
    if !text.is_empty() && text != "0" && text.bytes().all(|b| b.is_ascii_digit()) {
        return Err(format!(r#""{text}" has no unit; write "{text}s" or "{text}ms""#));
    }
    humantime::parse_duration(text)
        .map_err(|_| format!(r#""{text}" is not a duration; write one like "500ms", "30s" or "2min""#))
}

/// A duration for people: three digits at most, in the unit that fits, such as `4 ms`, `2.3 s`, `300 s`.
#[must_use]
pub fn human(duration: Duration) -> String {
    let seconds = duration.as_secs_f64();
    if seconds >= 99.95 || (seconds >= 1.0 && duration.subsec_millis() == 0) {
        format!("{seconds:.0} s")
    } else if seconds >= 0.9995 {
        format!("{seconds:.1} s")
    } else {
        format!("{:.0} ms", seconds * 1000.0)
    }
}

/// A duration in configuration: `#[serde(deserialize_with = "lb_drain_api::duration::deserialize")]` and
/// `#[serde(deserialize_with = "lb_drain_api::duration::deserialize_option")]`.
///
/// # Errors
///
/// As [`parse`]; a number without quotes is told to get a unit.
pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
    struct Text;
    impl Visitor<'_> for Text {
        type Value = Duration;
        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str(r#"a duration in quotes, such as "500ms", "30s" or "2min""#)
        }
        fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Duration, E> {
            parse(text).map_err(E::custom)
        }
        fn visit_i64<E: serde::de::Error>(self, number: i64) -> Result<Duration, E> {
            Err(E::custom(format!(
                r#"{number} has no unit; write "{number}s" or "{number}ms""#
            )))
        }
    }
    deserializer.deserialize_any(Text)
}

/// As [`deserialize`], for a key that may be left out.
///
/// # Errors
///
/// As [`deserialize`].
pub fn deserialize_option<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Duration>, D::Error> {
    deserialize(deserializer).map(Some)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_systemd_writes() {
        for (text, millis) in [
            ("500ms", 500),
            ("30s", 30_000),
            ("2min", 120_000),
            ("1min 30s", 90_000),
            ("0", 0),
            ("0s", 0),
        ] {
            assert_eq!(parse(text), Ok(Duration::from_millis(millis)), "{text}");
        }
    }

    #[test]
    fn a_number_without_unit_is_told_to_get_one() {
        assert_eq!(
            parse("30").unwrap_err(),
            r#""30" has no unit; write "30s" or "30ms""#
        );
        assert!(parse("soon").unwrap_err().contains("write one like"));
        assert!(parse("").is_err());
        assert!(parse("-1s").is_err());
    }

    #[test]
    fn is_short_for_people() {
        for (millis, text) in [
            (0, "0 ms"),
            (4, "4 ms"),
            (999, "999 ms"),
            (1000, "1 s"),
            (2345, "2.3 s"),
            (28_900, "28.9 s"),
            (300_000, "300 s"),
        ] {
            assert_eq!(human(Duration::from_millis(millis)), text);
        }
    }
}

#[cfg(test)]
#[path = "duration_properties.rs"]
mod properties;
