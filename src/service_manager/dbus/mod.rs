//! As much of D-Bus as it takes to read properties from systemd: method calls and their answers.
//!
//! A library for all of D-Bus (zbus) is 37 crates; this is the part of the specification that is needed
//! here, and no more. Whatever answers is not trusted to be well-formed, to be small or to answer at all.

mod bus;
mod decode;
mod encode;

pub use bus::{Bus, Kind};
pub use decode::Value;
pub use encode::{Argument, Call};

#[cfg(test)]
mod tests;
