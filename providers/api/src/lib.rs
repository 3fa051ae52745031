//! What a load balancer is to `lb-drain`.
//!
//! A provider speaks one load balancer's protocol and answers the verbs of [`LoadBalancer`]. It never
//! sleeps, retries or reads a clock: the engine owns time. The recipe for a new provider is in
//! `providers/README.md`.

pub mod duration;
mod error;
mod finding;
mod host;
mod load_balancer;
mod settings_error;
mod view;

pub use async_trait::async_trait;
pub use error::{Error, Lifetime};
pub use finding::{Finding, NO_WAY_BACK, Severity};
pub use host::{Addresses, Host};
pub use load_balancer::{ATTEMPT, Firmness, Identity, LoadBalancer, Pace, Schedule};
pub use settings_error::SettingsError;
pub use view::{Found, Rotation, Target, Terms, View};

/// The result of one verb.
pub type Result<T, E = Error> = std::result::Result<T, E>;
