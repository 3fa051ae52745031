//! What is true of each connection, told by those who send and answer on it.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU8, AtomicU32, AtomicU64, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::time::Instant;

use crate::clients::Kind;

/// Microseconds since the batch began; never 0.
pub(crate) type Micros = u64;

#[derive(Clone, Copy)]
pub(crate) struct Clock(Instant);

impl Clock {
    pub(crate) fn start() -> Self {
        Self(Instant::now())
    }

    pub(crate) fn now(self) -> Micros {
        u64::try_from(self.0.elapsed().as_micros()).expect("a short test") + 1
    }
}

/// One connection. Requests are numbered from 1.
#[derive(Default)]
pub(crate) struct Truth {
    /// The request that has begun to be sent, and when that was.
    begun: AtomicU32,
    begun_at: AtomicU64,
    /// The request of which at least the head has been sent, and when that was over.
    asked: AtomicU32,
    asked_at: AtomicU64,
    /// The request of which the answer has begun to be sent.
    answered: AtomicU32,
    /// The request of which the answer has ended, and when. Request 0 ends when the connection is accepted.
    done: AtomicU32,
    done_at: AtomicU64,
    /// The last write of a chunk, before and after.
    write_begun: AtomicU64,
    write_ended: AtomicU64,
    /// What kind of request the last one is.
    kind: AtomicU8,
}

impl Truth {
    pub(crate) fn begin(&self, request: u32, kind: u8, now: Micros) {
        self.kind.store(kind, SeqCst);
        self.begun_at.store(now, SeqCst);
        self.begun.store(request, SeqCst);
    }

    pub(crate) fn asked(&self, request: u32, now: Micros) {
        self.asked_at.store(now, SeqCst);
        self.asked.store(request, SeqCst);
    }

    pub(crate) fn answering(&self, request: u32) {
        self.answered.store(request, SeqCst);
    }

    pub(crate) fn done(&self, request: u32, now: Micros) {
        self.done_at.store(now, SeqCst);
        self.done.store(request, SeqCst);
    }

    pub(crate) fn writing(&self, now: Micros) {
        self.write_ended.store(0, SeqCst);
        self.write_begun.store(now, SeqCst);
    }

    pub(crate) fn written(&self, now: Micros) {
        self.write_ended.store(now, SeqCst);
    }

    /// The request that has been unanswered since before `deadline`.
    pub(crate) fn unanswered_since(&self, deadline: Micros) -> Option<u32> {
        let request = self.asked.load(SeqCst);
        let asked_at = self.asked_at.load(SeqCst);
        (request > self.answered.load(SeqCst) && asked_at <= deadline).then_some(request)
    }

    pub(crate) fn still_unanswered(&self, request: u32) -> bool {
        self.answered.load(SeqCst) < request
    }

    /// The request after which nothing has happened since before `deadline`.
    pub(crate) fn idle_since(&self, deadline: Micros) -> Option<u32> {
        let done = self.done.load(SeqCst);
        let done_at = self.done_at.load(SeqCst);
        (self.begun.load(SeqCst) == done && done_at > 0 && done_at <= deadline).then_some(done)
    }

    /// When the last request began and its answer ended.
    pub(crate) fn last_request(&self) -> (Micros, Micros) {
        (self.begun_at.load(SeqCst), self.done_at.load(SeqCst))
    }

    pub(crate) fn still_idle(&self, request: u32) -> bool {
        self.begun.load(SeqCst) == request
    }

    /// Whether a chunk was written between two moments.
    pub(crate) fn wrote_between(&self, from: Micros, to: Micros) -> bool {
        let ended = self.write_ended.load(SeqCst);
        let begun = self.write_begun.load(SeqCst);
        begun > from && ended > begun && ended < to && self.write_ended.load(SeqCst) == ended
    }

    pub(crate) fn kind(&self) -> Kind {
        Kind::from_number(self.kind.load(SeqCst))
    }
}

/// All connections of a server, by the peer's port.
#[derive(Default)]
pub(crate) struct Truths(Mutex<HashMap<u16, Arc<Truth>>>);

impl Truths {
    /// The truth of a connection, made by whichever end comes first.
    pub(crate) fn of(&self, peer_port: u16) -> Arc<Truth> {
        Arc::clone(self.0.lock().expect("no panic").entry(peer_port).or_default())
    }

    pub(crate) fn forget(&self, peer_port: u16) {
        self.0.lock().expect("no panic").remove(&peer_port);
    }

    pub(crate) fn all(&self) -> Vec<(u16, Arc<Truth>)> {
        let truths = self.0.lock().expect("no panic");
        truths
            .iter()
            .map(|(&port, truth)| (port, Arc::clone(truth)))
            .collect()
    }
}
