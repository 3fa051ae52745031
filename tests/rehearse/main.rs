//! `lb-drain rehearse` against a load balancer whose delays are known, and the page in a real browser.
//!
//! All of it is on this host's loopback, on free ports. With real HAProxy and systemd: `tests/system/rehearsal.rs`.

#![cfg(feature = "rehearse")]
#![allow(
    clippy::unwrap_used,
    missing_docs,
    reason = "a test that panics has failed, as it should"
)]

#[cfg(feature = "aws-elbv2")]
mod aws;
mod interruption;
mod measured;
mod page;
mod refusal;
mod scene;
mod secrets;
