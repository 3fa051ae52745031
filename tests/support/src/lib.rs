//! What the tests of `lb-drain` share.

pub mod balancer;
pub mod behaviour;
pub mod caddy;
pub mod certificates;
pub mod corpus;
pub mod elbv2;
pub mod gate;
pub mod haproxy;
pub mod http;
pub mod http1;
pub mod imds;
pub mod moto;
pub mod nginx;
pub mod secrets;
mod server;
pub mod slow_service;
pub mod sts;
