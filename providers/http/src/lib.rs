//! `lb-drain`'s provider for any load balancer with an HTTP control endpoint.
//!
//! What is asked, and what an answer means, is configuration: see this crate's `README.md` and the files in
//! `recipes/`. The crate knows HTTP (which requests may be repeated, which failures pass) and keeps the
//! secrets. Its parts, from the wire up:
//!
//! - `tls`, `client`, `answer`, `failure`: connections, answers, and what a failure means;
//! - `source`, `values`, `template`, `address`: secrets and placeholders;
//! - `call`: one request; `steps`: a list of them; `pick`, `condition`, `capture`, `poll`: reading answers;
//! - `settings`, `shape`, `statuses`: the configuration as it is written.
//!
//! An HTTP endpoint in general cannot say whether this host is in rotation: that it accepted the request is
//! all there is, so its rotation is mostly unknown. A `drained` poll, once the host has left, can say
//! that it is out and what is in flight.

mod address;
mod answer;
mod call;
mod capture;
mod check;
mod client;
mod condition;
mod endpoint;
mod failure;
#[cfg(any(test, feature = "fuzzing"))]
#[doc(hidden)]
pub mod fuzzing;
mod instance_id;
mod pick;
mod poll;
mod settings;
mod shape;
mod source;
mod statuses;
mod steps;
mod template;
mod tls;
mod values;

use std::sync::Arc;

use lb_drain_api::{Host, LoadBalancer, SettingsError};
use rustls::ClientConfig;

pub use settings::Settings;

/// The provider's name in configuration.
pub const NAME: &str = "http";

/// The load balancer that a section describes. Touches no network.
///
/// What depends on this host's moment (files, environment, the instance's id) is read when it is needed: a
/// token that is missing now must not keep the host in its other load balancers.
///
/// # Errors
///
/// A setting that cannot be meant, an unknown placeholder among them.
pub fn connect(settings: Settings, host: &Host) -> Result<Vec<Arc<dyn LoadBalancer>>, SettingsError> {
    let endpoint = endpoint::Endpoint::new(&settings, host)?;
    Ok(vec![Arc::new(endpoint)])
}

/// TLS that trusts the authorities that this host trusts, for HTTP/1.1.
///
/// # Errors
///
/// A sentence that names the bundle of authorities and what is wrong with it.
pub fn system_tls() -> Result<Arc<ClientConfig>, String> {
    tls::Tls::default().config().map(Arc::new)
}
