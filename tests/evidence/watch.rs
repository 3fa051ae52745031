//! Looks at the server's port and compares each verdict with the truth.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use lb_drain::evidence::{SocketEvidence, Survey, Verdict};

use crate::clients::Kind;
use crate::random::Random;
use crate::tally::Tally;
use crate::truth::{Clock, Micros, Truth, Truths};

/// How long what was written may take to the other end's kernel: softirqs are late on a loaded machine.
const DELIVERED_WITHIN: Micros = 20_000;

/// The time after its last answer by which an idle connection should be known to be idle.
const KNOWN_AFTER: Micros = 1_000_000;

/// The longest distance of two looks, 25 ms apart by plan, at which a tie is expected to be decided. On a loaded
/// machine looks come late; then too much happens between two of them.
const IN_TIME: Micros = 40_000;

type Known = Vec<(u16, Arc<Truth>)>;

/// An idle connection in one look, to be judged if the next finds it idle still: a request may be on its way.
struct Suspect {
    port: u16,
    request: u32,
    truth: Arc<Truth>,
    in_flight: Option<String>,
}

/// One look's survey, and what was true before it.
struct Look<'a> {
    survey: &'a Survey,
    verdicts: HashMap<u16, Verdict>,
    began: Micros,
    unanswered: Vec<(u16, &'a Truth, u32)>,
    moving: Vec<(u16, &'a Truth)>,
    idle: Vec<(u16, &'a Arc<Truth>, u32)>,
}

/// Looks for so long, from before the first connection on.
pub(crate) fn watch(port: u16, clock: Clock, truths: &Truths, lasts: Duration, random: &Random) -> Tally {
    let ports = BTreeSet::from([port]);
    let mut watch = Watch::default();
    let mut evidence = SocketEvidence::new(None).expect("sock_diag");
    let end = Instant::now() + lasts;
    while Instant::now() < end {
        std::thread::sleep(random.millis(5, 25));
        let known = truths.all();
        // Now and then with fresh eyes, which know no history.
        if random.chance(3) {
            let mut fresh = SocketEvidence::new(None).expect("sock_diag");
            let look = Look::before(&known, clock.now(), None);
            let survey = fresh.survey(&ports).expect("sock_diag");
            watch.first_look(&look.after(&survey));
        } else {
            let look = Look::before(&known, clock.now(), watch.looks.last().copied());
            let survey = evidence.survey(&ports).expect("sock_diag");
            watch.look(&look.after(&survey), clock.now());
        }
    }
    watch.tally
}

/// What was true when a look began.
struct Before<'a> {
    began: Micros,
    unanswered: Vec<(u16, &'a Truth, u32)>,
    moving: Vec<(u16, &'a Truth)>,
    idle: Vec<(u16, &'a Arc<Truth>, u32)>,
}

impl<'a> Look<'a> {
    fn before(known: &'a Known, began: Micros, last_look: Option<Micros>) -> Before<'a> {
        let delivered = began.saturating_sub(DELIVERED_WITHIN);
        let long_ago = began.saturating_sub(KNOWN_AFTER);
        let unanswered = |(port, truth): &'a (u16, Arc<Truth>)| {
            Some((*port, truth.as_ref(), truth.unanswered_since(delivered)?))
        };
        let moving = |(port, truth): &'a (u16, Arc<Truth>)| {
            truth
                .wrote_between(last_look?, delivered)
                .then_some((*port, truth.as_ref()))
        };
        let idle = |(port, truth): &'a (u16, Arc<Truth>)| Some((*port, truth, truth.idle_since(long_ago)?));
        Before {
            began,
            unanswered: known.iter().filter_map(unanswered).collect(),
            moving: known.iter().filter_map(moving).collect(),
            idle: known.iter().filter_map(idle).collect(),
        }
    }

    fn flies(&self, port: u16) -> bool {
        matches!(self.verdicts.get(&port), Some(Verdict::InFlight(_)))
    }

    fn sighting(&self, port: u16, what: Kind) -> String {
        let found = self
            .survey
            .connections
            .iter()
            .find(|connection| connection.peer.port() == port);
        format!("{what:?} at {} µs on {port}: {found:?}", self.began)
    }
}

impl<'a> Before<'a> {
    fn after(self, survey: &'a Survey) -> Look<'a> {
        let verdicts = survey
            .connections
            .iter()
            .map(|connection| (connection.peer.port(), connection.verdict));
        Look {
            survey,
            verdicts: verdicts.collect(),
            began: self.began,
            unanswered: self.unanswered,
            moving: self.moving,
            idle: self.idle,
        }
    }
}

#[derive(Default)]
struct Watch {
    tally: Tally,
    /// When each look ended.
    looks: Vec<Micros>,
    suspects: Vec<Suspect>,
    /// Idle connections that have been judged, with their last request.
    judged: HashSet<(u16, u32)>,
}

impl Watch {
    fn look(&mut self, look: &Look<'_>, ended: Micros) {
        self.tally.look(
            look.survey.connections.len(),
            Duration::from_micros(ended - look.began),
        );
        self.unanswered(look);
        for &(port, truth) in &look.moving {
            self.tally
                .moving
                .saw((!look.flies(port)).then(|| look.sighting(port, truth.kind())));
        }
        for suspect in std::mem::take(&mut self.suspects) {
            if suspect.truth.still_idle(suspect.request) {
                self.judge(suspect);
            }
        }
        for &(port, truth, request) in &look.idle {
            let Some(&verdict) = look.verdicts.get(&port) else {
                continue;
            };
            if !self.judged.contains(&(port, request)) {
                let (truth, in_flight) = (Arc::clone(truth), in_flight(verdict));
                self.suspects.push(Suspect {
                    port,
                    request,
                    truth,
                    in_flight,
                });
            }
        }
        self.looks.push(ended);
    }

    fn first_look(&mut self, look: &Look<'_>) {
        self.unanswered(look);
        for &(port, truth, request) in &look.idle {
            let Some(&verdict) = look.verdicts.get(&port) else {
                continue;
            };
            if truth.still_idle(request) {
                self.tally.first_look.saw(in_flight(verdict));
            }
        }
    }

    fn unanswered(&mut self, look: &Look<'_>) {
        for &(port, truth, request) in &look.unanswered {
            if truth.still_unanswered(request) {
                self.tally
                    .unanswered
                    .saw((!look.flies(port)).then(|| look.sighting(port, truth.kind())));
            }
        }
    }

    fn judge(&mut self, suspect: Suspect) {
        self.judged.insert((suspect.port, suspect.request));
        let (began, ended) = suspect.truth.last_request();
        if suspect.request > 0 && !(self.in_time(began) && self.in_time(ended)) {
            self.tally.set_aside += 1;
        } else {
            self.tally
                .idle
                .entry(suspect.truth.kind())
                .or_default()
                .saw(suspect.in_flight);
        }
    }

    /// Whether the looks before and after this moment were as close together as planned.
    fn in_time(&self, moment: Micros) -> bool {
        let after = self.looks.partition_point(|&look| look < moment);
        let around = after
            .checked_sub(1)
            .and_then(|before| Some((self.looks[before], self.looks.get(after)?)));
        around.is_some_and(|(before, after)| after - before <= IN_TIME)
    }
}

/// Why it is called in flight, if it is.
fn in_flight(verdict: Verdict) -> Option<String> {
    match verdict {
        Verdict::Idle => None,
        Verdict::InFlight(reason) => Some(format!("{reason:?}")),
    }
}
