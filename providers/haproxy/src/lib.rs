//! HAProxy, asked over its runtime API: a unix socket or a TCP address, of a worker or of the master.
//!
//! The protocol (HAProxy management guide, section 9.3, "Unix Socket commands") is one command line per
//! connection and text in return; there is no status code. From the bytes to the policy:
//!
//! - [`mod@endpoint`] where a socket is, [`mod@transport`] one line there and its answer back;
//! - [`mod@command`] what may be said, [`mod@table`] and [`mod@answer`] what comes back;
//! - [`mod@client`] one HAProxy, its failures told so that an operator can act;
//! - [`mod@entry`] what a server's state means for leaving, [`mod@restore`] how it comes back;
//! - [`mod@process`] how far the process that answers can be believed: [`mod@sender`] which it is, [`mod@succession`]
//!   whether it took over from another;
//! - [`mod@balancer`] the verbs, [`mod@check`] the verb that changes nothing, [`mod@settings`] the configuration.

mod answer;
mod balancer;
mod check;
mod client;
mod command;
mod endpoint;
mod entry;
#[cfg(any(test, feature = "fuzzing"))]
#[doc(hidden)]
pub mod fuzzing;
mod process;
mod restore;
mod sender;
mod settings;
mod succession;
mod table;
mod transport;

pub use settings::{Match, Settings, connect};
