//! What the engine is given: validated settings, and nothing of where they came from.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use lb_drain_api::LoadBalancer;
use tokio::sync::watch;

use super::Audience;
use super::ledger::Ledger;
use super::traffic::Traffic;
use crate::budget::Deadline;
use crate::record::Record;

/// One load balancer of a run, and what the configuration says about it.
#[derive(Debug, Clone)]
pub struct Plan {
    /// Its name.
    pub name: String,
    /// Its section of the configuration, by a name that no other one has.
    pub section: String,
    /// Its endpoint.
    pub balancer: Arc<dyn LoadBalancer>,
    /// Whether the run succeeds without it.
    pub optional: bool,
    /// The floor, instead of the load balancer's own.
    pub min_wait: Option<Duration>,
    /// The deregistration delay, instead of the load balancer's own.
    pub max_wait: Option<Duration>,
}

/// How to wait.
#[derive(Debug, Clone)]
pub struct Waiting {
    /// Out of rotation is enough.
    pub no_wait: bool,
    /// How long nothing may be in flight on this host's ports before that counts.
    pub quiet: Duration,
    /// The service's ports; where empty, those that the load balancer names.
    pub ports: BTreeSet<u16>,
    /// What is left stays out until somebody brings it back by hand.
    pub keep_out: bool,
}

/// How to come back.
#[derive(Debug, Clone, Copy, Default)]
pub struct Return {
    /// Wait until every load balancer has this host in service.
    pub until_in_service: bool,
    /// Also to what is kept out.
    pub even_if_kept_out: bool,
}

/// What all tasks of a run share.
#[derive(Clone)]
pub struct Run {
    /// The one deadline.
    pub deadline: Deadline,
    /// How to wait.
    pub waiting: Waiting,
    /// Where everything stands.
    pub ledger: Ledger,
    /// Who is told of what happens.
    pub audience: Arc<dyn Audience>,
    /// What was taken out, for the way back.
    pub record: Arc<Record>,
    /// This host's own evidence.
    pub traffic: Traffic,
    /// Turns true when the service's main process is gone.
    pub main_process_gone: watch::Receiver<bool>,
}
