//! The provider against servers of its own: fakes that behave well or badly, and real load balancers.

#![allow(clippy::unwrap_used)]

mod behaviour;
mod caddy;
mod check;
mod conditions;
mod envoy;
mod failures;
mod load;
mod network;
mod nginx;
mod recipes;
mod redirects;
mod requests;
mod secrets;
mod settings;
mod support;
mod tls;
