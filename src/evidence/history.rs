//! The memory of all connections over the looks of a run, by the cookie of their sockets.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use super::connection::Socket;
use super::exchange::{Exchange, Modes, Standing};

/// How long the memory of a connection outlives its last sighting, if looks are that close. A dump
/// can miss a socket whose neighbour closes while it runs; the socket must not lose its history for that.
const KEEP: Duration = Duration::from_secs(2);

/// The grain of ages at HZ=100, the coarsest that Linux has.
const LONGEST_TICK: Duration = Duration::from_millis(10);

/// What one look adds to the history of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Observation {
    pub(super) standing: Standing,
    /// Whether bytes moved since the look before.
    pub(super) moved: bool,
    /// Whether the socket's ping-pong mode, if it were known, would decide which came last.
    pub(super) needs_mode: bool,
}

/// The memory of all connections.
#[derive(Debug, Default)]
pub(super) struct History {
    connections: HashMap<u64, Memory>,
    this_look: Option<Instant>,
    last_look: Option<Instant>,
}

#[derive(Debug, Clone, Copy)]
struct Memory {
    exchange: Exchange,
    seen: Instant,
}

impl History {
    /// Begins a look.
    pub(super) fn begin(&mut self, now: Instant) {
        self.last_look = self.this_look.replace(now);
        // Looks at very many connections are farther apart than that.
        let last_look = self.last_look.unwrap_or(now);
        self.connections
            .retain(|_, memory| memory.seen >= last_look || now.duration_since(memory.seen) < KEEP);
    }

    /// Takes in one socket. `None` if this look has shown it already: a dump can repeat a socket.
    pub(super) fn note(&mut self, now: Instant, socket: &Socket) -> Option<Observation> {
        let Some(tcp) = &socket.tcp else {
            return Some(Observation {
                standing: Standing::Untouched,
                moved: false,
                needs_mode: false,
            });
        };
        let known = self.connections.get(&socket.cookie);
        if known.is_some_and(|memory| memory.seen == now) {
            return None;
        }
        let before = known.map_or(Exchange::BIRTH, |memory| memory.exchange);
        let exchange = before.after(socket.state, tcp);
        let moved = match known {
            Some(_) => exchange.moved_since(&before),
            None => self.moved_since_last_look(socket),
        };
        self.connections
            .insert(socket.cookie, Memory { exchange, seen: now });
        let needs_mode = exchange.needs_mode(socket.state, tcp);
        Some(Observation {
            standing: exchange.standing,
            moved,
            needs_mode,
        })
    }

    /// Takes in the modes of a socket that `needs_mode`.
    pub(super) fn note_modes(&mut self, socket: &Socket, modes: Modes) -> Option<Standing> {
        let memory = self.connections.get_mut(&socket.cookie)?;
        memory
            .exchange
            .decide_by_mode(socket.state, socket.tcp.as_ref()?, modes);
        Some(memory.exchange.standing)
    }

    /// Whether a connection seen for the first time has moved since the look before, by its ages. At the first
    /// look of all there is no look before.
    fn moved_since_last_look(&self, socket: &Socket) -> bool {
        let (Some(last_look), Some(age)) = (self.last_look, socket.last_moved()) else {
            return false;
        };
        age <= last_look.elapsed() + LONGEST_TICK
    }
}

#[cfg(test)]
#[path = "history_tests.rs"]
mod tests;
