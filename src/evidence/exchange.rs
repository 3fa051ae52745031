//! The exchange of requests and answers on one connection: which came last.
//!
//! One look is often not enough: where a request and an answer fall into one kernel tick, their ages are the same
//! whichever came last, and that is so for a third to a half of the idle connections behind HAProxy. The
//! counters between two looks say more, and so does what our kernel does afterwards: it acknowledges what it
//! received within 200 ms, on an answer if there is one, else on a bare segment.

use super::connection::State;
use super::tcp_info::TcpInfo;

/// The age in milliseconds at which our kernel has acknowledged what it received for certain: it waits up to
/// 200 ms (`TCP_DELACK_MAX`); the rest is for a timer that runs late on a loaded machine.
pub(super) const SETTLED_MS: u32 = 400;

/// The silence in milliseconds after which keep-alive probes can be sent and acknowledged, which means nothing.
/// `TCP_KEEPIDLE` is in whole seconds.
const PROBED_AFTER_MS: u32 = 1_000;

/// The age in milliseconds at which an answer that stands still is taken for complete. It is what the quiet
/// window is by default: an answer that goes on after a longer gap is not seen anyway.
const COMPLETE_MS: u32 = 1_000;

/// The window that the kernel offers at first, in bytes: the handshake has no room for a larger number.
const LARGEST_FIRST_WINDOW: u64 = 65_535;

/// Which came last on a connection, request or answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Standing {
    /// Neither ever came.
    Untouched,
    /// The request, or a part of it.
    Unanswered,
    /// The answer, or a part of it.
    Answered,
    /// They came in one tick, and it is not known yet.
    Tie(Tie),
}

/// What can still decide a tie.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Tie {
    /// The bare acknowledgements we had sent before any of it came.
    bare_acks_before: u32,
    /// Whether a request that came last would have ended the ping-pong mode by now, so that the mode decides.
    mode_tells: bool,
    /// Whether it holds all that ever came on the connection.
    from_birth: bool,
}

/// What procfs shows of a connection and its port.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Modes {
    /// Whether the socket is in ping-pong mode.
    pub(super) ping_pong: bool,
    /// Whether connections of its port have been in it from their birth. `None`: nothing listens there.
    pub(super) from_birth: Option<bool>,
}

/// What all looks so far have made known of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Exchange {
    received: u64,
    acked: u64,
    segments_in: u32,
    segments_out: u32,
    bare_acks: u32,
    /// The largest window that the kernel offered the peer, in bytes.
    window: u64,
    pub(super) standing: Standing,
    /// Whether the last answer is complete, so that the peer speaks next.
    complete: bool,
    /// Whether we have acknowledged all that we received, so that the next acknowledgement is for what comes next.
    acknowledged: bool,
}

impl Exchange {
    /// A connection at its birth. All its counters are zero then, so even a connection that is seen for the first
    /// time has a look before.
    pub(super) const BIRTH: Self = Self {
        received: 0,
        acked: 0,
        segments_in: 0,
        segments_out: 0,
        bare_acks: 0,
        window: LARGEST_FIRST_WINDOW,
        standing: Standing::Untouched,
        complete: true,
        // Between its birth and the first look it may have acknowledged any number of keep-alive probes.
        acknowledged: false,
    };

    /// What is known once the next look has shown this.
    pub(super) fn after(&self, state: State, tcp: &TcpInfo) -> Self {
        let mut next = Self {
            received: tcp.bytes_received.saturating_sub(state.fin_received().into()),
            acked: tcp.bytes_acked,
            segments_in: tcp.data_segs_in,
            segments_out: tcp.data_segs_out,
            bare_acks: tcp.bare_acks_out,
            window: tcp.rcv_ssthresh.into(),
            ..*self
        };
        next.standing = self.standing_at(&next, tcp);
        (next.complete, next.acknowledged) = match next.standing {
            Standing::Untouched => (true, true),
            Standing::Answered => (tcp.last_data_sent >= COMPLETE_MS, true),
            Standing::Unanswered | Standing::Tie(_) => (false, self.acknowledged_at(&next, tcp)),
        };
        next
    }

    /// Whether bytes moved between that look and this.
    pub(super) fn moved_since(&self, before: &Self) -> bool {
        (self.received, self.acked, self.segments_out) != (before.received, before.acked, before.segments_out)
    }

    /// Whether this is a tie that nothing but the socket's ping-pong mode can decide, and that can by now.
    ///
    /// The kernel enters this mode when it sends data within 40 ms of a request (`tcp_event_data_sent`), so an
    /// answer in the same tick enters it. It leaves the mode when it has to acknowledge a request without an
    /// answer (`tcp_delack_timer_handler`).
    pub(super) fn needs_mode(&self, state: State, tcp: &TcpInfo) -> bool {
        let Standing::Tie(tie) = self.standing else {
            return false;
        };
        let may_tell = mode_tells(tie, state, tcp) || the_first_alone_was_bare(tie, tcp);
        tcp.last_data_recv >= SETTLED_MS && may_tell
    }

    /// Decides such a tie, if the modes do.
    pub(super) fn decide_by_mode(&mut self, state: State, tcp: &TcpInfo, modes: Modes) {
        let Standing::Tie(tie) = self.standing else {
            return;
        };
        let tells = mode_tells(tie, state, tcp);
        let rest_on_answers = the_first_alone_was_bare(tie, tcp) && modes.from_birth == Some(false);
        self.standing = match modes.ping_pong {
            true if tells || rest_on_answers => Standing::Answered,
            false if tells => Standing::Unanswered,
            _ => self.standing,
        };
    }

    /// Which came last, from two looks' counters, then from the ages, then from what our kernel did afterwards.
    fn standing_at(&self, next: &Self, tcp: &TcpInfo) -> Standing {
        let request = self.received != next.received;
        let answer = self.segments_out != next.segments_out;
        match (request, answer, self.standing) {
            (false, false, Standing::Tie(tie)) => decide(tie, tcp),
            (false, false, known) => known,
            (true, false, _) => Standing::Unanswered,
            (false, true, _) => Standing::Answered,
            (true, true, _) if tcp.last_data_recv < tcp.last_data_sent => Standing::Unanswered,
            (true, true, _) if tcp.last_data_recv > tcp.last_data_sent => Standing::Answered,
            // All that came is one segment, and nothing was left to answer before.
            (true, true, _) if self.complete && self.came(next) == 1 => Standing::Answered,
            (true, true, _) => decide(self.tie_at(next, tcp), tcp),
        }
    }

    /// What can decide a tie that came between that look and the next.
    ///
    /// A request that came after our last data ends the ping-pong mode, because it is acknowledged late and bare.
    /// It does not where the kernel acknowledges at once and stays in the mode: upon a second segment, or when
    /// the application has read so much that the window opens. So the mode tells if only one segment can have
    /// come after our last data, or if each was acknowledged on its own, the first of them too: that happens
    /// only outside of the mode.
    fn tie_at(&self, next: &Self, tcp: &TcpInfo) -> Tie {
        let came = self.came(next);
        let after_our_last = if self.complete {
            came.saturating_sub(1)
        } else {
            came
        };
        let one_by_one = self.acknowledged && self.bare_acks_until(next) >= came;
        // The kernel tells the peer at once when it can offer twice what is left of the window, in whole units.
        let left = self
            .window
            .saturating_sub(next.received.wrapping_sub(self.received));
        let opens_window = next.window + (4 << tcp.rcv_wscale) >= 2 * left;
        Tie {
            bare_acks_before: self.bare_acks,
            mode_tells: (after_our_last <= 1 || one_by_one) && !opens_window,
            from_birth: self.segments_in == 0,
        }
    }

    /// Whether we have acknowledged all that we received, though no answer has come after it.
    fn acknowledged_at(&self, next: &Self, tcp: &TcpInfo) -> bool {
        let (came, bare_acks) = (self.came(next), self.bare_acks_until(next));
        // As long as nothing was ever sent, the age of the last data sent is that of the connection.
        let no_probe_ever = tcp.data_segs_out == 0 && tcp.last_data_sent < PROBED_AFTER_MS;
        tcp.last_data_recv >= SETTLED_MS
            || (came == 0 && bare_acks > 0)
            || (self.acknowledged && bare_acks >= came)
            || (no_probe_ever && tcp.bare_acks_out >= tcp.data_segs_in)
    }

    /// How many segments with data came until the next look.
    fn came(&self, next: &Self) -> u32 {
        next.segments_in.wrapping_sub(self.segments_in)
    }

    fn bare_acks_until(&self, next: &Self) -> u32 {
        next.bare_acks.wrapping_sub(self.bare_acks)
    }
}

/// Decides a tie by what our kernel did after it. All that came is acknowledged by now: if none of it was on a
/// bare segment, it was on an answer.
fn decide(tie: Tie, tcp: &TcpInfo) -> Standing {
    let on_answers = tcp.bare_acks_out == tie.bare_acks_before;
    if tcp.last_data_recv >= SETTLED_MS && on_answers {
        Standing::Answered
    } else {
        Standing::Tie(tie)
    }
}

fn mode_tells(tie: Tie, state: State, tcp: &TcpInfo) -> bool {
    tie.mode_tells || acknowledged_later(state, tcp)
}

/// Whether no segment but the first was acknowledged bare, if the first was.
///
/// The kernel acknowledges the first segment of a connection bare and at once, because it cannot know yet how soon
/// answers come (`tcp_event_data_recv`). It does not where the listener is in ping-pong mode already (`TCP_QUICKACK`
/// switched off, as HAProxy does), nor where the segment came with the handshake. An application that switches it off on
/// each connection instead is not told from others; no server is known that does.
fn the_first_alone_was_bare(tie: Tie, tcp: &TcpInfo) -> bool {
    tie.from_birth && tcp.bare_acks_out == 1 && !tcp.data_in_handshake
}

/// Whether the peer acknowledged something in a tick after the tie. A request carries its acknowledgement with
/// it, so most likely this one is for an answer. It is no proof by itself: the kernel notes the arrival of data
/// before that of its acknowledgement, and between the two the tick can change or the task be preempted. With
/// the peer's FIN another acknowledgement has come, which means nothing.
fn acknowledged_later(state: State, tcp: &TcpInfo) -> bool {
    let later = tcp.last_data_recv.saturating_sub(tcp.last_ack_recv);
    later > 0 && later < PROBED_AFTER_MS && state == State::Established
}

#[cfg(test)]
#[path = "exchange_tests.rs"]
mod tests;
