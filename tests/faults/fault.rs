//! What goes wrong, and with whom it can.

use std::fmt;
use std::time::Duration;

use fastrand::Rng;
use lb_drain_test_support::gate;

/// Which load balancer it happens to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    HaproxyUnix,
    HaproxyTcp,
    Elbv2,
    Http,
    Https,
}

pub(crate) const KINDS: [Kind; 5] = [
    Kind::HaproxyUnix,
    Kind::HaproxyTcp,
    Kind::Elbv2,
    Kind::Http,
    Kind::Https,
];

/// One row of the matrix.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    /// On the wire, all the time.
    Wire(gate::Fault),
    /// Packets to it are dropped.
    Dropped,
    /// One packet in ten gets lost, either way.
    Lossy,
    /// No packet gets through from the moment on at which the drain has begun; then all do, and it has drained.
    Partition,
    /// Its name does not resolve.
    NoSuchName,
    /// The resolver does not answer.
    ResolverHangs,
    /// Its certificate has expired.
    Expired,
    /// Its certificate is signed by somebody whom nobody trusts.
    Stranger,
    /// Its certificate is for another name.
    WrongName,
    /// It refuses, with this status or what comes nearest to it.
    Status(u16),
    /// Until then it is so; then it is well.
    Recovers(gate::Fault),
    /// It refuses connections from the moment on at which the drain has begun.
    DiesMidDrain,
    /// It comes and goes.
    Flaps,
    /// One fault on the wire after the other, as this seed says.
    Random(u64),
}

/// When what recovers does so, counted from the start of the run.
pub(crate) const RECOVERY: Duration = Duration::from_millis(700);
/// How long one that flaps is away, and how long it is there.
pub(crate) const FLAP: Duration = Duration::from_millis(150);

pub(crate) const FAULTS: &[Fault] = &[
    Fault::NONE,
    Fault::Wire(gate::Fault::Refuses),
    Fault::Dropped,
    Fault::Lossy,
    Fault::Partition,
    Fault::Wire(gate::Fault::Silence),
    Fault::Wire(gate::Fault::HandshakeStalls),
    Fault::Wire(gate::Fault::ResetsMidAnswer),
    Fault::Wire(gate::Fault::Trickles),
    Fault::Wire(gate::Fault::Endless),
    Fault::Wire(gate::Fault::Garbage),
    Fault::Wire(gate::Fault::WrongProtocol),
    Fault::Expired,
    Fault::Stranger,
    Fault::WrongName,
    Fault::NoSuchName,
    Fault::ResolverHangs,
    Fault::Status(401),
    Fault::Status(403),
    Fault::Status(404),
    Fault::Status(409),
    Fault::Status(429),
    Fault::Status(500),
    Fault::Status(503),
    Fault::Recovers(gate::Fault::Refuses),
    Fault::Recovers(gate::Fault::ResetsMidAnswer),
    Fault::DiesMidDrain,
    Fault::Flaps,
];

impl Fault {
    /// All is well.
    pub(crate) const NONE: Self = Self::Wire(gate::Fault::Nothing);

    /// Whether it can happen to one of this kind.
    pub(crate) fn befalls(self, kind: Kind) -> bool {
        match self {
            Self::Expired | Self::Stranger | Self::WrongName | Self::Wire(gate::Fault::HandshakeStalls) => {
                kind == Kind::Https
            }
            // A target group's drain is its delay: there is no end of it to be missed.
            Self::Partition => !matches!(kind, Kind::HaproxyUnix | Kind::Elbv2),
            Self::Dropped | Self::Lossy | Self::NoSuchName | Self::ResolverHangs => kind != Kind::HaproxyUnix,
            // HAProxy knows no statuses: that the socket is not allowed to, and that there is no such server.
            Self::Status(status) => {
                !matches!(kind, Kind::HaproxyUnix | Kind::HaproxyTcp) || matches!(status, 403 | 404)
            }
            _ => true,
        }
    }

    /// How the gate in front of it is at first.
    pub(crate) fn at_first(self, kind: Kind) -> gate::Fault {
        match self {
            Self::Wire(fault) | Self::Recovers(fault) => fault,
            Self::Flaps => gate::Fault::Refuses,
            Self::Random(seed) => on_the_wire(&mut Rng::with_seed(seed), kind),
            _ => gate::Fault::Nothing,
        }
    }

    /// The budget of its runs: long enough for what has to happen, and no longer.
    pub(crate) fn budget(self) -> Duration {
        Duration::from_millis(match self {
            Self::Recovers(_) | Self::Flaps | Self::Partition => 6000,
            // A lost SYN costs a second, the next one two more.
            Self::Lossy => 12_000,
            Self::DiesMidDrain => 2500,
            _ => 2000,
        })
    }
}

/// Any of them. An endless answer of HTTP begins with a success, which the one behind does not mean.
pub(crate) fn on_the_wire(random: &mut Rng, kind: Kind) -> gate::Fault {
    let http = matches!(kind, Kind::Http | Kind::Https);
    let faults = [
        gate::Fault::Nothing,
        gate::Fault::Refuses,
        gate::Fault::Silence,
        gate::Fault::ResetsMidAnswer,
        gate::Fault::Trickles,
        gate::Fault::Garbage,
        gate::Fault::WrongProtocol,
        if http {
            gate::Fault::HandshakeStalls
        } else {
            gate::Fault::Endless
        },
    ];
    faults[random.usize(..faults.len())]
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Wire(gate::Fault::Refuses) => f.write_str("refused"),
            Self::Wire(gate::Fault::Silence) => f.write_str("accepts and never answers"),
            Self::Wire(gate::Fault::ResetsMidAnswer) => f.write_str("resets mid-answer"),
            Self::Wire(gate::Fault::Trickles) => f.write_str("one byte a second"),
            Self::Wire(gate::Fault::Endless) => f.write_str("endless answer"),
            Self::Wire(gate::Fault::Garbage) => f.write_str("garbage"),
            Self::Wire(gate::Fault::WrongProtocol) => f.write_str("wrong protocol"),
            Self::Wire(gate::Fault::HandshakeStalls) => f.write_str("handshake stalls"),
            Self::Wire(gate::Fault::Nothing) => f.write_str("nothing"),
            Self::Dropped => f.write_str("packets dropped"),
            Self::Lossy => f.write_str("packets lost"),
            Self::Partition => f.write_str("partition mid-drain"),
            Self::NoSuchName => f.write_str("name does not resolve"),
            Self::ResolverHangs => f.write_str("resolver hangs"),
            Self::Expired => f.write_str("certificate expired"),
            Self::Stranger => f.write_str("certificate of a stranger"),
            Self::WrongName => f.write_str("certificate of another name"),
            Self::Status(status) => write!(f, "{status}"),
            Self::Recovers(gate::Fault::Refuses) => f.write_str("recovers from refusing"),
            Self::Recovers(_) => f.write_str("recovers from resets"),
            Self::DiesMidDrain => f.write_str("dies mid-drain"),
            Self::Flaps => f.write_str("flaps"),
            Self::Random(seed) => write!(f, "random {seed}"),
        }
    }
}
