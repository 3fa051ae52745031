//! Sets of HTTP statuses: `[200, "300-399"]`.

use std::fmt;
use std::ops::RangeInclusive;

use serde::de::{Deserialize, Deserializer, Error, SeqAccess, Visitor};

/// A set of HTTP statuses.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Statuses(Vec<RangeInclusive<u16>>);

impl Statuses {
    /// 200 to 299: "the action requested by the client was received, understood, and accepted" (RFC 9110,
    /// section 15.3).
    pub(crate) fn success() -> Self {
        Self(vec![200..=299])
    }

    pub(crate) fn contains(&self, status: u16) -> bool {
        self.0.iter().any(|range| range.contains(&status))
    }
}

impl fmt::Display for Statuses {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (number, range) in self.0.iter().enumerate() {
            let comma = if number == 0 { "" } else { ", " };
            match (range.start(), range.end()) {
                (start, end) if start == end => write!(f, "{comma}{start}")?,
                (start, end) => write!(f, "{comma}{start}-{end}")?,
            }
        }
        Ok(())
    }
}

impl<'de> Deserialize<'de> for Statuses {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct List;
        impl<'de> Visitor<'de> for List {
            type Value = Statuses;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(r#"a list of statuses and ranges, such as [200, "300-399"]"#)
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Statuses, A::Error> {
                let mut ranges = Vec::new();
                while let Some(Range(range)) = seq.next_element()? {
                    ranges.push(range);
                }
                Ok(Statuses(ranges))
            }
        }
        deserializer.deserialize_seq(List)
    }
}

struct Range(RangeInclusive<u16>);

impl<'de> Deserialize<'de> for Range {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Written;
        impl Visitor<'_> for Written {
            type Value = Range;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(r#"a status from 100 to 599, or a range such as "200-299""#)
            }
            fn visit_i64<E: Error>(self, number: i64) -> Result<Range, E> {
                let status = u16::try_from(number).ok().filter(|status| valid(*status));
                status
                    .map(|status| Range(status..=status))
                    .ok_or_else(|| E::invalid_value(serde::de::Unexpected::Signed(number), &self))
            }
            fn visit_u64<E: Error>(self, number: u64) -> Result<Range, E> {
                self.visit_i64(i64::try_from(number).unwrap_or(i64::MAX))
            }
            fn visit_str<E: Error>(self, text: &str) -> Result<Range, E> {
                let (start, end) = text.split_once('-').unwrap_or((text, text));
                match (start.trim().parse(), end.trim().parse()) {
                    (Ok(start), Ok(end)) if valid(start) && valid(end) && start <= end => {
                        Ok(Range(start..=end))
                    }
                    _ => Err(E::invalid_value(serde::de::Unexpected::Str(text), &self)),
                }
            }
        }
        deserializer.deserialize_any(Written)
    }
}

fn valid(status: u16) -> bool {
    (100..=599).contains(&status)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(json: &str) -> Result<Statuses, String> {
        serde_json::from_str(json).map_err(|error| error.to_string())
    }

    #[test]
    fn statuses_and_ranges_are_a_set() {
        let set = read(r#"[204, "300-399"]"#).expect("a list");
        assert!(set.contains(204) && set.contains(300) && set.contains(399));
        assert!(!set.contains(203) && !set.contains(299) && !set.contains(400));
        assert_eq!(set.to_string(), "204, 300-399");
    }

    #[test]
    fn nonsense_is_told_what_to_write() {
        for json in [r"[99]", r#"["299-200"]"#, r#"["2xx"]"#, r"[600]", r"[-1]", r"200"] {
            let error = read(json).expect_err(json);
            assert!(error.contains("status"), "{json}: {error}");
        }
    }
}
