//! What people and machines are told.

pub mod journal;
pub mod json;
pub mod log;
pub mod narrator;
pub mod progress;
pub mod status;
pub mod stderr;
pub mod text;
pub mod verdict;

/// `1 request`, `7 requests`.
pub(crate) fn count(number: u64, noun: &str) -> String {
    format!("{number} {noun}{}", if number == 1 { "" } else { "s" })
}

/// Requests in flight, in words.
pub(crate) fn in_flight(number: Option<u64>) -> String {
    match number {
        Some(0) => "nothing in flight".to_owned(),
        Some(number) => format!("{} in flight", count(number, "request")),
        None => "requests in flight unknown".to_owned(),
    }
}
