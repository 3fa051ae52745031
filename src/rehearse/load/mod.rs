//! The load: requests at a steady rate, whatever comes back (an open loop, so that a stall is seen and not
//! hidden), half of them on connections of their own.

mod aim;
mod connection;
mod outcome;
mod sender;

pub use aim::{Aim, MOST_A_SECOND};
pub use outcome::{Failure, Request};
pub use sender::{CONNECTIONS, Load, PATIENCE, Tally};

/// What is added to each request, in bytes: by it a request is told from a health check where it arrives. With it
/// a request still is one segment on every network, as most requests are.
const PADDING: usize = 900;

/// What arrives is a request of this load if it has so many bytes: more than any health check, unless that is
/// for TLS with keys that are safe from quantum computers. HTTP/2 squeezes a header to four fifths.
pub const MARKED: u64 = 640;
