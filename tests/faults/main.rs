//! Everything else breaks, and the real binary keeps its promise: inside the budget, and with the truth.
//!
//! What breaks are load balancers, the way to them and their names (`matrix`), at random moments (`chaos`), and what
//! surrounds the process itself (`process`). All of it happens in network namespaces, so root is needed.

#![cfg(all(feature = "aws-elbv2", feature = "haproxy", feature = "http"))]
#![allow(
    clippy::unwrap_used,
    missing_docs,
    reason = "a test that panics has failed, as it should"
)]

mod balancer;
mod chaos;
mod crowd;
mod expected;
mod fault;
mod matrix;
mod names;
mod process;
mod run;

#[allow(dead_code, reason = "tests/system needs the rest")]
#[path = "../system/rig"]
mod rig {
    mod network;
    mod tool;

    pub(crate) use network::Network;
    pub(crate) use tool::{Ended, Running, binary, lb_drain_with};
}
