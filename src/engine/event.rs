//! What happens to an entry, for whoever tells people.

use std::time::Duration;

use super::ledger::Member;

/// Who is told of what happens.
pub trait Audience: Send + Sync {
    /// Something happened to an entry, which now is as `member` says.
    fn tell(&self, member: &Member, event: &Event);
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// It was no member when we came.
    NotAMember,
    /// The load balancer has nothing that the configuration could mean.
    NothingFound,
    /// It was out of rotation when we came, in this state.
    AlreadyOut,
    /// It is verified to be out of rotation, this long after the start of the process.
    OutOfRotation,
    /// It accepted that this host leaves, and cannot tell its state.
    ToldToLeave,
    /// A request failed and will be repeated after this pause.
    Retrying {
        /// The failure.
        error: String,
        /// The pause.
        pause: Duration,
    },
    /// Given up, for [`Member::error`].
    Failed,
    /// Somebody or something put it back into rotation while it was leaving; it is taken out again.
    PutBack,
    /// Requests still came for stickiness, so it was taken out firmly.
    Firm,
    /// What was left has been cut because the budget ends.
    Cut,
    /// The deregistration delay is longer than what is left of the budget.
    DelayBeyondBudget {
        /// The delay.
        delay: Duration,
        /// What is left.
        left: Duration,
    },
    /// The load balancer's changes need longer to take effect than what is left of the budget.
    FloorBeyondBudget {
        /// The floor.
        floor: Duration,
        /// What is left.
        left: Duration,
    },
    /// Nothing here can show that it has drained.
    NoEvidence,
    /// The load balancer does not answer while it drains.
    LostSight {
        /// The failure.
        error: String,
        /// Whether it had shown before that the host is out.
        was_out: bool,
    },
    /// Something else that an operator should know.
    Remark(String),
    /// It has drained, on [`Member::evidence`].
    Drained,
    /// The deregistration delay has passed with requests still in flight.
    DelayPassed,
    /// It is back in rotation.
    Registered,
    /// It accepted that this host comes back, and cannot tell its state.
    ToldToComeBack,
    /// It was out before `lb-drain` came, and is left as it was.
    LeftAsFound,
    /// It was taken out by hand to stay out, and does.
    KeptOut,
    /// The service does not listen on these ports yet; coming back waits for that.
    NotListening(Vec<u16>),
}

/// `port 8080`, `ports 8080, 8443`.
#[must_use]
pub fn ports_in_words<'a>(ports: impl Iterator<Item = &'a u16>) -> String {
    let ports: Vec<String> = ports.map(ToString::to_string).collect();
    let noun = if ports.len() == 1 { "port" } else { "ports" };
    format!("{noun} {}", ports.join(", "))
}
