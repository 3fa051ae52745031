//! What the tests of `lb-drain` share.

pub mod behaviour;
pub mod haproxy;
