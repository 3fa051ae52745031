//! What the tests of `lb-drain` share.

mod server;
mod tls;
pub mod behaviour;
pub mod certificates;
pub mod elbv2;
pub mod haproxy;
pub mod http1;
pub mod http;
pub mod imds;
pub mod moto;
