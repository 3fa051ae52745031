//! What the tests of `lb-drain` share.

pub mod elbv2;
pub mod imds;
pub mod moto;
mod server;
mod tls;
