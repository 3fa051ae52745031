//! One connection: what the kernel shows of it at one look, and the verdict on it.

use std::net::SocketAddr;
use std::time::Duration;

use super::exchange::{SETTLED_MS, Standing};
use super::tcp_info::TcpInfo;

/// The states of a TCP socket that matter here, with the kernel's numbers (`include/net/tcp_states.h`).
///
/// FIN_WAIT2 and TIME_WAIT are not asked for: there the peer has acknowledged all of our answer and we have
/// closed, so nothing of ours is left to lose.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum State {
    Established = 1,
    SynRecv = 3,
    FinWait1 = 4,
    /// Never asked for: told of when a socket ends.
    Closed = 7,
    CloseWait = 8,
    LastAck = 9,
    Listen = 10,
    Closing = 11,
}

impl State {
    /// All that are asked for.
    pub(super) const ALL: [Self; 7] = [
        Self::Established,
        Self::SynRecv,
        Self::FinWait1,
        Self::CloseWait,
        Self::LastAck,
        Self::Listen,
        Self::Closing,
    ];

    /// The state with the kernel's number, if it is one of those that matter.
    pub(super) fn from_kernel(number: u8) -> Option<Self> {
        let mut known = Self::ALL.into_iter().chain([Self::Closed]);
        known.find(|&state| state as u8 == number)
    }

    /// Whether the peer's FIN has been received: it counts as one received byte.
    pub(super) fn fin_received(self) -> bool {
        matches!(self, Self::CloseWait | Self::LastAck | Self::Closing)
    }
}

/// A TCP socket as one look saw it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Socket {
    pub(super) state: State,
    pub(super) local_port: u16,
    pub(super) peer: SocketAddr,
    /// Received and not read by the application, in bytes; an unread FIN counts as one. For a listener: the
    /// connections that wait to be accepted.
    pub(super) receive_queue: u32,
    /// Written by the application and not acknowledged by the peer, in bytes; our FIN counts as one.
    pub(super) send_queue: u32,
    /// The inode of the application's socket; 0 before it was accepted and after it was closed.
    pub(super) inode: u64,
    /// The kernel's cookie, unique among all sockets since boot. 0 from procfs, which has none.
    pub(super) cookie: u64,
    /// Ages and counters. `None` from procfs and for a handshake that has not ended.
    pub(super) tcp: Option<TcpInfo>,
}

/// Why a connection counts as in flight.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Reason {
    /// The handshake has not ended: the peer may take the connection for open and have sent a request.
    Handshake,
    /// Bytes of a request wait for the application to read them.
    Unread,
    /// Bytes of an answer wait for the peer to acknowledge them.
    Unacknowledged,
    /// A request, or a part of one, came after our last data.
    Unanswered,
    /// Bytes moved since the look before.
    Moving,
    /// Request and answer fell into one kernel tick, and nothing has shown yet which came last.
    Undecided,
    /// The kernel shows connections only, not their traffic.
    Unknown,
}

/// Whether a connection is in flight.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Verdict {
    /// Open, every request answered, nothing moving.
    Idle,
    /// A request is being received, worked on or answered, or that cannot be ruled out.
    InFlight(Reason),
}

/// One connection and the verdict of one look on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Connection {
    /// Our port.
    pub local_port: u16,
    /// The other end.
    pub peer: SocketAddr,
    /// Whether it is in flight.
    pub verdict: Verdict,
    /// How long ago a byte last moved. `None`: never, or the kernel does not say.
    pub last_moved: Option<Duration>,
    /// Whether it waits in a listener's backlog to be accepted.
    pub(super) unaccepted: bool,
}

impl Connection {
    /// Whether it has stood still for so long that its standing is as clear as it will get.
    pub(super) fn has_settled(&self) -> bool {
        self.last_moved
            .is_some_and(|age| age >= Duration::from_millis(SETTLED_MS.into()))
    }
}

impl Socket {
    /// The verdict, from this look and from what the looks before have made known.
    pub(super) fn verdict(&self, standing: Standing, moved: bool) -> Verdict {
        let fin_received = u32::from(self.state.fin_received());
        let reason = match self.state {
            State::SynRecv if self.tcp.is_none() => Some(Reason::Handshake),
            // We have closed, so no request can be answered any more; what was written is still delivered.
            // One byte in the queue is our FIN.
            State::FinWait1 | State::LastAck | State::Closing => {
                (self.send_queue > 1).then_some(Reason::Unacknowledged)
            }
            _ if self.receive_queue > fin_received => Some(Reason::Unread),
            _ if self.send_queue > 0 => Some(Reason::Unacknowledged),
            _ if self.tcp.is_none() => Some(Reason::Unknown),
            _ => match standing {
                Standing::Unanswered => Some(Reason::Unanswered),
                Standing::Tie(_) => Some(Reason::Undecided),
                Standing::Untouched | Standing::Answered => moved.then_some(Reason::Moving),
            },
        };
        reason.map_or(Verdict::Idle, Verdict::InFlight)
    }

    /// How long ago a byte last moved in either direction.
    pub(super) fn last_moved(&self) -> Option<Duration> {
        let tcp = self.tcp?;
        // Without data these ages count from the connection's birth.
        let received = (tcp.data_segs_in > 0).then_some(tcp.last_data_recv);
        let sent = (tcp.data_segs_out > 0).then_some(tcp.last_data_sent);
        let age = received.into_iter().chain(sent).min()?;
        Some(Duration::from_millis(age.into()))
    }

    /// This connection with a verdict, as others see it.
    pub(super) fn judged(&self, verdict: Verdict) -> Connection {
        Connection {
            local_port: self.local_port,
            peer: self.peer,
            verdict,
            last_moved: self.last_moved(),
            unaccepted: self.inode == 0 && matches!(self.state, State::Established | State::CloseWait),
        }
    }
}
