//! The trait that every provider implements.

use std::fmt::Debug;
use std::time::Duration;

use async_trait::async_trait;
use serde_json::Value;

use crate::{Finding, Found, Result, Target, Terms, View};

/// One control endpoint of one load balancer: a HAProxy socket, a target group, an HTTP endpoint.
///
/// Members of an HA pair share nothing, so each of them is a `LoadBalancer` of its own: all are told at
/// once, and the failure of one neither delays nor stops the others.
///
/// No verb has a default implementation: a provider that silently cannot do one would leave a host in
/// rotation. Every verb is a future that may be dropped at any await point, because the engine bounds each
/// call by what is left of the budget; a dropped call must leave nothing behind that a repeated call
/// would trip over.
#[async_trait]
pub trait LoadBalancer: Debug + Send + Sync {
    /// Who this is, for every line that an operator reads.
    fn identity(&self) -> &Identity;

    /// How this load balancer wants to be asked and, at the end, be pressed.
    fn schedule(&self) -> Schedule;

    /// Every entry of this host at this endpoint, with its state. Changes nothing.
    ///
    /// A host that is no member may be answered with a [`crate::Rotation::NotAMember`] entry or with an
    /// empty list. One entry that cannot be read is an error of that entry alone ([`Found::view`]).
    async fn find(&self) -> Result<Vec<Found>>;

    /// The state of one entry now. Changes nothing.
    async fn look(&self, target: &Target) -> Result<View>;

    /// What the load balancer says about waiting: asked once, after the entry has left, and not essential.
    async fn terms(&self, target: &Target) -> Result<Terms>;

    /// Takes one entry out of rotation. Idempotent: it may be repeated after an unknown outcome, and
    /// never brings back an entry that is further out than asked for.
    ///
    /// `seen` is its state a moment ago, by another verb of this value, where that is known: it need not be asked
    /// for again. The state after it is returned where it came with the answer; otherwise the engine looks.
    async fn deregister(
        &self,
        target: &Target,
        firmness: Firmness,
        seen: Option<&View>,
    ) -> Result<Option<View>>;

    /// Ends what is still in flight. Called only when [`Schedule::cut`] is set.
    async fn cut(&self, target: &Target) -> Result<()>;

    /// Puts one entry back into rotation: as `before` says (the [`View::before`] of when it left), else as
    /// the configuration says.
    async fn register(&self, target: &Target, before: Option<&Value>) -> Result<()>;

    /// How many others would take the requests of one entry while it is out: in service by the load
    /// balancer's account, in the same place. `leaving` are the entries that leave with it, `target` among them, by
    /// whatever section of the configuration. `None` where it has no way to tell, or does not permit it.
    /// Changes nothing.
    async fn others_in_service(&self, target: &Target, leaving: &[Target]) -> Result<Option<u64>>;

    /// Whether leaving would work, without changing anything: reachability, permissions, names.
    async fn check(&self) -> Vec<Finding>;
}

/// How a load balancer is named to people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// The provider's name in configuration, such as `haproxy`.
    pub provider: &'static str,
    /// The endpoint as configured, such as `/run/haproxy/admin.sock`. Never holds a secret.
    pub endpoint: String,
}

impl Identity {
    /// Whether it is spoken to by a unix socket: at once, or not at all.
    #[must_use]
    pub fn is_socket(&self) -> bool {
        self.endpoint.starts_with('/') || self.endpoint.starts_with("unix:")
    }
}

/// How firmly an entry is taken out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Firmness {
    /// No new traffic, except what the load balancer keeps sending to this host for stickiness.
    Drain,
    /// No new traffic at all. Asked for only when [`Schedule::firm_after`] is set.
    Firm,
}

/// What the engine has to know about time before it starts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Schedule {
    /// Time in [`Firmness::Drain`] with requests still in flight after which to ask for [`Firmness::Firm`].
    pub firm_after: Option<Duration>,
    /// Whether [`LoadBalancer::cut`] is wanted just before the budget ends.
    pub cut: bool,
    /// How long the first attempt at a verb is given; each further one gets twice as long, within the budget.
    /// Short, so that one lost packet does not eat the budget, and long enough for an answer that is only slow:
    /// a verb that is given up half way may have to be asked again.
    pub attempt: Duration,
    /// What [`crate::Terms::min_wait`] is taken for where the terms cannot be had.
    pub floor: Duration,
    /// How often [`LoadBalancer::look`] may be called.
    pub pace: Pace,
}

/// The first attempt where nothing is known of the load balancer's speed: long enough for TLS with a busy host.
pub const ATTEMPT: Duration = Duration::from_secs(2);

/// How often a load balancer may be asked for its state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pace {
    /// Time from leaving to the first look after the one that verified it.
    pub first: Duration,
    /// The shortest time between two looks: when the end is near.
    pub near: Duration,
    /// The longest time between two looks: when much is in flight.
    pub far: Duration,
    /// Looks may take at most one part in `share` of the load balancer's time, so that watching a slow
    /// or large one costs it no more than a fast one. 100 stands for 10 ms a second.
    pub share: u32,
}
