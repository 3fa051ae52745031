//! Local evidence: what this host itself shows of requests in flight.
//!
//! Arrows: [`SocketEvidence`] (`sockets`) asks the kernel (`sock_diag` in the format of `wire` and `tcp_info`, or
//! `procfs` where that is forbidden), remembers each connection (`history`), and judges it (`connection`).
//!
//! What TCP shows and what it cannot show:
//!
//! - An answer counts as complete once it stands still. A stream with gaps is seen only when it moves, so gaps
//!   longer than the quiet window end it.
//! - Any data of ours after a request counts as its answer. So these hide a request: several requests on one
//!   connection at once (HTTP/2, pipelining: the last answer hides an older request), HTTP/2 control frames
//!   (an acknowledged SETTINGS or PING), `100 Continue` before a body that pauses, and the session tickets that
//!   follow a TLS 1.3 handshake: the *first* request of a TLS 1.3 connection looks answered. Requests like these
//!   are safe only with the load balancer's own numbers, or a delay that covers the longest of them.
//! - Any data of the peer after our answer counts as a request. HTTP/2 control frames from it (WINDOW_UPDATE,
//!   PING) hold an idle connection in flight: the safe side.

mod arrivals;
mod connection;
mod effort;
mod exchange;
#[cfg(any(test, feature = "fuzzing"))]
pub(crate) mod fuzzing;
mod history;
mod lazy;
mod namespace;
mod ping_pong;
mod procfs;
mod sock_diag;
mod sockets;
mod tcp_info;
mod wire;

use std::collections::{BTreeMap, BTreeSet};
use std::io;

pub use arrivals::{Arrivals, Came};
pub use connection::{Connection, Reason, Verdict};
pub(crate) use effort::Effort;
pub use sockets::{Precision, SocketEvidence, Survey};

/// What can be seen on this host's ports.
///
/// One value lives for a whole run and is looked through again and again, from the first moment on: what a
/// single look leaves open is decided by what changes between looks.
pub trait Evidence: Send {
    /// One look at these local ports. Every port asked for is in the answer.
    ///
    /// # Errors
    ///
    /// Where neither sock_diag nor procfs can be read.
    fn look(&mut self, ports: &BTreeSet<u16>) -> io::Result<BTreeMap<u16, Traffic>>;
}

/// What one look saw on one port.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Traffic {
    /// Connections with an unanswered request, with an answer or upload that moved since the look before,
    /// or of which that cannot be ruled out. An idle keep-alive connection is none of these.
    pub in_flight: u64,
    /// Those of them of which it cannot be told, and never will be as long as nothing moves: request and answer came
    /// at one moment, too long ago to see what the kernel did afterwards.
    pub undecidable: u64,
    /// Those of them that are in flight only because bytes moved since the look before: unless more follow, they are
    /// done.
    pub moving: u64,
    /// Whether something listens there, on whatever address.
    pub listening: bool,
}

/// The best evidence that can be had here; `main_pid` is the service's process, whose network namespace is
/// meant. Costs nothing until the first look.
#[must_use]
pub fn open(main_pid: Option<u32>) -> Box<dyn Evidence> {
    Box::new(lazy::Lazy::new(main_pid))
}
