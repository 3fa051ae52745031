//! Where every entry stands, at any moment: the one truth that the report, the live progress and the guard
//! read.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde_json::Value;

/// One entry of this host at one endpoint, and what became of it. Times count from the process's start.
#[derive(Debug, Clone)]
pub struct Member {
    /// The load balancer's name in the configuration.
    pub name: String,
    /// Which of the run's load balancers (endpoints) it belongs to.
    pub balancer: usize,
    /// The provider's name.
    pub provider: &'static str,
    /// The endpoint.
    pub endpoint: String,
    /// The entry; `None` while, or because, none could be found.
    pub target: Option<String>,
    /// Whether the run succeeds without it.
    pub optional: bool,
    /// Where it stands.
    pub standing: Standing,
    /// On what evidence it counts as drained.
    pub evidence: Option<Evidence>,
    /// When it was verified to be out of rotation.
    pub deregistered: Option<Duration>,
    /// When it was drained.
    pub drained: Option<Duration>,
    /// Requests to the load balancer that were to change something.
    pub attempts: u32,
    /// Requests in flight at the last look.
    pub in_flight: Option<u64>,
    /// What was cut at the end of the budget.
    pub cut: Option<u64>,
    /// This host's ports that are watched for it.
    pub ports: BTreeSet<u16>,
    /// Its state, in the load balancer's words.
    pub state: Option<String>,
    /// What it was asked last, and may not have answered.
    pub asked: Option<&'static str>,
    /// What went wrong last.
    pub error: Option<String>,
}

/// Where an entry stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// Requests may be routed here.
    In,
    /// Out of rotation, verified; requests may be in flight.
    Out,
    /// Out, and nothing is in flight any more.
    Drained,
    /// Given up: requests may still be routed here, or, when coming back, are not.
    Failed,
    /// Back in rotation.
    Back,
    /// Out before `lb-drain` came, and left so.
    LeftOut,
    /// Taken out by hand to stay out, and left so.
    KeptOut,
}

/// Why an entry counts as drained.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Evidence {
    /// The load balancer reports nothing in flight.
    LoadBalancer,
    /// The load balancer has no such entry any more.
    Gone,
    /// This host's connections show nothing in flight.
    Connections,
    /// The deregistration delay has passed.
    Delay,
    /// There was nothing to leave.
    NotAMember,
    /// The service's main process is gone: nobody is left who could answer.
    MainProcessGone,
}

impl Evidence {
    /// The word for it in `--output json`.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::LoadBalancer | Self::Gone => "load_balancer",
            Self::Connections => "connections",
            Self::Delay => "delay",
            Self::NotAMember => "not_a_member",
            Self::MainProcessGone => "main_process_gone",
        }
    }
}

impl Member {
    /// The outcome's word in `--output json`. At the end of a run, an entry that is still in rotation has
    /// failed to leave.
    #[must_use]
    pub fn outcome(&self) -> &'static str {
        match self.standing {
            Standing::In | Standing::Failed => "failed",
            Standing::Out => "undrained",
            Standing::Drained => "drained",
            Standing::Back => "registered",
            Standing::LeftOut => "left_out",
            Standing::KeptOut => "kept_out",
        }
    }

    /// This entry as JSON, in the shape of `load_balancers[]`.
    #[must_use]
    pub fn json(&self) -> Value {
        let millis = |time: Option<Duration>| time.map(|t| u64::try_from(t.as_millis()).unwrap_or(u64::MAX));
        serde_json::json!({
            "name": self.name,
            "provider": self.provider,
            "endpoint": self.endpoint,
            "target": self.target,
            "outcome": self.outcome(),
            "evidence": self.evidence.map(Evidence::word),
            "deregistered_ms": millis(self.deregistered),
            "drained_ms": millis(self.drained),
            "attempts": self.attempts,
            "in_flight": self.in_flight,
            "cut": self.cut,
            "ports": self.ports,
            "state": self.state,
            "optional": self.optional,
            "error": self.error,
        })
    }
}

/// All entries of a run. Cheap to clone; all clones are the same ledger.
#[derive(Debug, Clone, Default)]
pub struct Ledger {
    members: Arc<Mutex<Vec<Member>>>,
}

impl Ledger {
    /// Adds an entry and returns its number.
    pub fn add(&self, member: Member) -> usize {
        let mut members = self.lock();
        members.push(member);
        members.len() - 1
    }

    /// Changes an entry and returns it as it then is.
    pub fn change(&self, number: usize, change: impl FnOnce(&mut Member)) -> Member {
        let mut members = self.lock();
        change(&mut members[number]);
        members[number].clone()
    }

    /// Notes a mistake of ours in whatever deals with an entry, which stays where it stands.
    pub(super) fn mistake(&self, number: usize, panic: &tokio::task::JoinError) -> Member {
        self.change(number, |member| {
            member.error = Some(format!("a mistake in lb-drain: {panic}"));
        })
    }

    /// All entries as they are now.
    #[must_use]
    pub fn members(&self) -> Vec<Member> {
        self.lock().clone()
    }

    /// How many entries one name stands for.
    #[must_use]
    pub fn named(&self, name: &str) -> usize {
        self.lock().iter().filter(|member| member.name == name).count()
    }

    /// Whether no load balancer that matters may still route requests here; or, when coming back, whether each
    /// has been come back to as far as was wanted. As long as nobody was asked, none of that is so.
    #[must_use]
    pub fn all_out(&self) -> bool {
        let members = self.lock();
        let out =
            |member: &Member| member.optional || !matches!(member.standing, Standing::In | Standing::Failed);
        !members.is_empty() && members.iter().all(out)
    }

    /// Whether, on top of [`Ledger::all_out`], nothing is in flight any more.
    #[must_use]
    pub fn all_drained(&self) -> bool {
        self.all_out()
            && self
                .lock()
                .iter()
                .all(|member| member.optional || member.standing != Standing::Out)
    }

    /// How many entries of one load balancer are out and waited for.
    #[must_use]
    pub fn waiting(&self, balancer: usize) -> usize {
        let waits = |member: &&Member| member.balancer == balancer && member.standing == Standing::Out;
        self.lock().iter().filter(waits).count()
    }

    /// Whether any entry stands so.
    #[must_use]
    pub fn any(&self, standing: Standing) -> bool {
        self.lock().iter().any(|member| member.standing == standing)
    }

    // A panic while the lock was held leaves plain values behind, each of them true.
    fn lock(&self) -> MutexGuard<'_, Vec<Member>> {
        self.members.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
