//! What a load balancer says about this host.

use std::fmt;
use std::time::Duration;

use serde_json::Value;

use crate::Error;

/// One entry of this host at one endpoint, by the name under which the load balancer keeps it, such as
/// `web/app1` or `i-0ab12cd34:8080`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Target(String);

impl Target {
    /// A target of this name.
    pub fn new(name: impl Into<String>) -> Self {
        Self(name.into())
    }

    /// Its name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// An entry that [`crate::LoadBalancer::find`] came upon.
#[derive(Debug)]
pub struct Found {
    /// Its name.
    pub target: Target,
    /// Its state, or why this one entry cannot be read.
    pub view: Result<View, Error>,
}

/// The state of one entry.
#[derive(Debug, Clone, PartialEq)]
pub struct View {
    /// Whether requests are routed here.
    pub rotation: Rotation,
    /// Requests that the load balancer counts as in flight or queued for this entry. `None` where it does
    /// not count them (or this look did not tell).
    pub in_flight: Option<u64>,
    /// The load balancer says, in words that are no count, that it has not drained yet: quiet connections of
    /// this host are no evidence then.
    pub undrained: bool,
    /// The count may leave requests out, such as those of a process before a reload: this host's connections
    /// must show nothing in flight either.
    pub partial: bool,
    /// The state in the load balancer's own words, such as `DRAIN` or `Target.DeregistrationInProgress`.
    pub state: String,
    /// The ports of this host that the entry stands for, where the load balancer tells: evidence is looked
    /// for there when the configuration names none.
    pub ports: Vec<u16>,
    /// What [`crate::LoadBalancer::register`] needs in order to restore this state. Kept on disk; holds no
    /// secret.
    pub before: Value,
}

/// Whether a load balancer routes requests to this host.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rotation {
    /// New requests are routed here.
    InService,
    /// None are routed here now (health checks fail or have yet to pass), but they would be without any
    /// further request of ours: still in rotation as far as leaving is concerned.
    NotInService,
    /// None are routed here, and none will be until somebody asks for it; stickiness excepted where
    /// [`crate::Firmness::Drain`] was asked for. Requests may be in flight.
    Out,
    /// Not known to the load balancer: nothing is routed here, nothing is in flight.
    NotAMember,
    /// The load balancer has no way to tell, or does not permit it: its acceptance of the request is all
    /// there is.
    Unknown,
}

impl Rotation {
    /// Whether a new request may still be routed here.
    #[must_use]
    pub fn may_route(self) -> bool {
        matches!(self, Self::InService | Self::NotInService)
    }
}

/// What the load balancer, or what is known of its kind, says about waiting.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Terms {
    /// How long its changes need to take effect: new requests may arrive until then. `None`: at once.
    pub min_wait: Option<Duration>,
    /// Its deregistration delay: after this it has closed what was left. `None`: it has no such delay.
    pub max_wait: Option<Duration>,
    /// Whether connections outlive the membership: that the entry is gone is then no evidence.
    pub outlived: bool,
    /// Something the operator should know, in a sentence, such as what was skipped and assumed instead.
    pub remark: Option<String>,
}
