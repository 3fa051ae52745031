//! What the tests of `lb-drain` share.

pub mod elbv2;
pub mod imds;
mod server;
mod tls;
