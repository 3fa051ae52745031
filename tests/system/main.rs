//! The binary against the real thing: HAProxy, systemd, services with requests in flight.
//!
//! Each test has a network namespace of its own, where fixed ports and addresses harm nobody, and where it
//! needs systemd, a disposable machine (`tests/rig/machine`). All of it ends with the test. Root is needed
//! for that, and the Debian packages that `tests/run` installs.
//!
//! The binary under test is the one cargo built for the tests, or the one that `TESTED_BINARY` names.

#![allow(
    clippy::unwrap_used,
    missing_docs,
    reason = "a test that panics has failed, as it should"
)]

mod rig;

mod aws;
mod aws_trouble;
mod bad_balancers;
mod companion;
mod graceful;
mod http;
mod installing;
mod interruption;
mod journal;
mod leaving;
mod outcomes;
mod promptness;
#[cfg(feature = "rehearse")]
mod rehearsal;
mod returning;
mod sandboxes;
mod secrets;
mod states;
mod sticky;
mod timeouts;
mod upheaval;
