//! What the tests of `lb-drain` share.

pub mod certificates;
pub mod http;
