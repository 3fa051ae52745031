//! Tells what happens, one line an event, each one true and worth reading.

use std::collections::HashSet;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use lb_drain_api::duration::human;

use super::in_flight;
use crate::engine::{Audience, Event, Evidence, Ledger, Member, ports_in_words};
use crate::registry;

/// Turns events into lines.
#[derive(Debug)]
pub struct Narrator {
    ledger: Ledger,
    quiet: Duration,
    /// What a failure leaves behind: `still in rotation`.
    failing: &'static str,
    /// How to give a run more time: `raise TimeoutStopSec= of web.service`.
    more_time: String,
    /// Failures that have been told: repeated attempts fail alike.
    told: Mutex<HashSet<String>>,
}

impl Narrator {
    /// A narrator of a run. `failing` says how a host stands that a command could not help, `more_time` how to give
    /// the run more of it.
    #[must_use]
    pub fn new(ledger: Ledger, quiet: Duration, failing: &'static str, more_time: String) -> Self {
        Self {
            ledger,
            quiet,
            failing,
            more_time,
            told: Mutex::default(),
        }
    }

    /// The name, and the entry too where one name stands for several.
    fn label(&self, member: &Member) -> String {
        if self.ledger.named(&member.name) < 2 {
            return member.name.clone();
        }
        match &member.target {
            Some(target) => format!("{} ({} {target})", member.name, member.endpoint),
            None => format!("{} ({})", member.name, member.endpoint),
        }
    }

    fn first_time(&self, line: &str) -> bool {
        self.told
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(line.to_owned())
    }
}

/// The load balancer and the entry in full: `haproxy /run/haproxy/admin.sock web/app1`.
fn whole(member: &Member) -> String {
    let target = member.target.as_deref().unwrap_or_default();
    format!("{} {} {target}", member.provider, member.endpoint)
        .trim_end()
        .to_owned()
}

macro_rules! say {
    ($level:ident, $member:expr, $($message:tt)+) => {
        tracing::$level!(
            load_balancer = $member.name.as_str(),
            target = $member.target.as_deref().unwrap_or_default(),
            endpoint = $member.endpoint.as_str(),
            outcome = $member.outcome(),
            in_flight = $member.in_flight,
            $($message)+
        )
    };
}

impl Audience for Narrator {
    fn tell(&self, member: &Member, event: &Event) {
        let label = self.label(member);
        let name = &member.name;
        let state = member.state.as_deref().unwrap_or("unknown");
        match event {
            Event::NotAMember => say!(
                info,
                member,
                "{name}: {} has no entry of this host: nothing to leave",
                whole(member)
            ),
            Event::NothingFound => say!(
                warn,
                member,
                "{name}: {} has no entry that could be this host: nothing to leave; if there should be one, `lb-drain check` says what was looked for",
                whole(member)
            ),
            Event::AlreadyOut => say!(
                info,
                member,
                "{name}: {} was out of rotation already ({state}), {}",
                whole(member),
                in_flight(member.in_flight)
            ),
            Event::OutOfRotation => say!(
                info,
                member,
                "{name}: {} out of rotation after {}, {}",
                whole(member),
                human(member.deregistered.unwrap_or_default()),
                in_flight(member.in_flight)
            ),
            Event::ToldToLeave => say!(
                info,
                member,
                "{name}: {} told to leave after {} ({state}), {}",
                whole(member),
                human(member.deregistered.unwrap_or_default()),
                in_flight(member.in_flight)
            ),
            Event::Retrying { error, pause } => {
                if self.first_time(&format!("{name} {error}")) {
                    say!(warn, member, "{name}: {error} (trying again)");
                } else {
                    say!(
                        debug,
                        member,
                        "{name}: {error} (trying again in {})",
                        human(*pause)
                    );
                }
            }
            Event::Failed => {
                let error = member.error.as_deref().unwrap_or_default();
                if member.optional {
                    say!(warn, member, "{name}: {}: {error} (optional)", self.failing);
                } else {
                    say!(error, member, "{name}: {}: {error}", self.failing);
                }
            }
            Event::PutBack => say!(
                warn,
                member,
                "{label}: may get requests again ({state}); taking it out again"
            ),
            Event::Firm => say!(
                info,
                member,
                "{label}: out for sticky requests too ({state}), {}",
                in_flight(member.in_flight)
            ),
            Event::Cut => say!(
                warn,
                member,
                "{label}: the budget ends; cut what was left ({})",
                in_flight(member.cut)
            ),
            Event::DelayBeyondBudget { delay, left } => say!(
                warn,
                member,
                "{label}: its deregistration delay of {} is longer than the budget; requests of more than {} would be cut ({} or lower the delay)",
                human(*delay),
                human(whole_seconds(*left)),
                self.more_time
            ),
            Event::FloorBeyondBudget { floor, left } => say!(
                warn,
                member,
                "{label}: its changes need {} to take effect and {} are left; requests may still arrive when the service stops ({})",
                human(*floor),
                human(whole_seconds(*left)),
                self.more_time
            ),
            Event::NoEvidence => say!(
                warn,
                member,
                "{label}: nothing here can show that it has drained, so this waits until the budget ends (set ports, min_wait or max_wait)"
            ),
            Event::LostSight { error, was_out: true } => {
                say!(warn, member, "{name}: out of rotation, but now {error}");
            }
            Event::LostSight { error, .. } => say!(warn, member, "{name}: {error}"),
            Event::Remark(remark) => say!(warn, member, "{label}: {remark}"),
            Event::Drained => say!(
                info,
                member,
                "{label}: drained after {} ({})",
                human(member.drained.unwrap_or_default()),
                self.evidence(member)
            ),
            Event::DelayPassed => say!(
                warn,
                member,
                "{label}: its deregistration delay has passed with {}",
                in_flight(member.in_flight)
            ),
            Event::Registered => say!(
                info,
                member,
                "{name}: {} back in rotation ({state})",
                whole(member)
            ),
            Event::ToldToComeBack => say!(
                info,
                member,
                "{name}: {} told to come back ({state})",
                whole(member)
            ),
            Event::LeftAsFound => say!(
                warn,
                member,
                "{label}: was out of rotation before lb-drain came, and is left so"
            ),
            // The verdict says it once for all.
            Event::KeptOut => say!(debug, member, "{label}: is kept out"),
            Event::NotListening(ports) => {
                let line = format!(
                    "waiting for the service to listen on {}",
                    ports_in_words(ports.iter())
                );
                if self.first_time(&line) {
                    say!(info, member, "{line}");
                }
            }
        }
    }
}

impl Narrator {
    /// On what evidence an entry counts as drained, in words.
    pub(crate) fn evidence(&self, member: &Member) -> String {
        match member.evidence {
            Some(Evidence::LoadBalancer) => {
                format!("{} reports nothing in flight", registry::title(member.provider))
            }
            Some(Evidence::Gone) => {
                format!("{} has no such entry any more", registry::title(member.provider))
            }
            Some(Evidence::Connections) => {
                format!(
                    "nothing in flight on {} for {}",
                    ports_in_words(member.ports.iter()),
                    human(self.quiet)
                )
            }
            Some(Evidence::Delay) => "its deregistration delay has passed".to_owned(),
            Some(Evidence::MainProcessGone) => "the main process is gone".to_owned(),
            Some(Evidence::NotAMember) | None => "nothing to leave".to_owned(),
        }
    }
}

/// Whole seconds where there are any: `28 s`, as people set budgets.
fn whole_seconds(duration: Duration) -> Duration {
    if duration.as_secs() > 0 {
        Duration::from_secs(duration.as_secs())
    } else {
        duration
    }
}
