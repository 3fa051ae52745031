//! Unit files: what a unit's own say, and those that make it leave its load balancers.
//!
//! [`Lines`] reads, [`Times`] decides how long each step may take, [`drop_in`] and [`companion`] write.

mod companion;
mod drop_in;
mod lines;
mod times;

pub use companion::companion;
pub use drop_in::drop_in;
pub use lines::Lines;
pub use times::{Share, Times};

use std::time::Duration;

use lb_drain_api::duration::human;

/// A file to write.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct File {
    /// Where it belongs.
    pub path: String,
    /// What is in it.
    pub text: String,
}

/// A duration as in a unit file: without the space.
fn written(duration: Duration) -> String {
    human(duration).replace(' ', "")
}
