//! The load: requests at a steady rate, whatever comes back (an open loop, so that a stall is seen and not
//! hidden), every other one on a connection of its own.

mod aim;
mod connection;
mod outcome;
mod sender;

pub use aim::{Aim, MOST_A_SECOND, header};
pub use outcome::{Failure, Request};
pub use sender::{CONNECTIONS, Load, PATIENCE, Tally};

/// What is added to each request, in bytes: by it a request is told from a health check where it arrives.
/// Every server takes a header line of 8 KB, and the largest thing a health check sends is a TLS greeting
/// with keys that are safe from quantum computers, of some 1.5 KB.
const PADDING: usize = 4096;

/// What arrives is a request of this load if it has so many bytes. HTTP/2 squeezes a header to three quarters.
pub const MARKED: u64 = PADDING as u64 * 3 / 4 - 128;
