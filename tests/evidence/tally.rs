//! What the looks found, and what is asked of it.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use crate::clients::Kind;

/// The fewest connections of one kind of which a share means something.
const MEANINGFUL: usize = 50;

/// Sightings, and what was wrong with some of them.
#[derive(Default)]
pub(crate) struct Sightings {
    seen: usize,
    wrong: Vec<String>,
}

/// What the looks found.
#[derive(Default)]
pub(crate) struct Tally {
    connections: usize,
    looks: usize,
    longest_look: Duration,
    /// Connections with an unanswered request, one sighting per look; wrong is to call them idle.
    pub(crate) unanswered: Sightings,
    /// Connections on which a chunk moved since the look before, one sighting per look.
    pub(crate) moving: Sightings,
    /// By the kind of their last request, connections idle for a second; wrong is to call them in flight.
    pub(crate) idle: BTreeMap<Kind, Sightings>,
    /// The same for first looks, which know no history. Nothing is promised for them here: answers are slow now and
    /// then.
    pub(crate) first_look: Sightings,
    /// Idle connections that are not judged, because looks came too late.
    pub(crate) set_aside: usize,
}

impl Sightings {
    pub(crate) fn saw(&mut self, wrong: Option<String>) {
        self.seen += 1;
        self.wrong.extend(wrong);
    }

    fn add(&mut self, other: Self) {
        self.seen += other.seen;
        self.wrong.extend(other.wrong);
    }
}

impl Tally {
    pub(crate) fn look(&mut self, connections: usize, took: Duration) {
        self.looks += 1;
        self.connections = self.connections.max(connections);
        self.longest_look = self.longest_look.max(took);
    }

    /// Adds another batch, of other connections.
    pub(crate) fn add(&mut self, other: Self) {
        self.connections += other.connections;
        self.looks += other.looks;
        self.longest_look = self.longest_look.max(other.longest_look);
        self.unanswered.add(other.unanswered);
        self.moving.add(other.moving);
        for (kind, sightings) in other.idle {
            self.idle.entry(kind).or_default().add(sightings);
        }
        self.first_look.add(other.first_look);
        self.set_aside += other.set_aside;
    }

    /// None in flight is called idle.
    pub(crate) fn assert_sound(&self) {
        assert!(
            self.unanswered.seen > 1_000,
            "too few requests in flight were seen to prove anything"
        );
        assert!(
            self.unanswered.wrong.is_empty(),
            "in flight and called idle: {:#?}",
            self.unanswered.wrong
        );
        assert!(
            self.moving.wrong.is_empty(),
            "moving and called idle: {:#?}",
            self.moving.wrong
        );
    }

    /// How many idle connections have been judged.
    pub(crate) fn judged(&self) -> usize {
        self.idle_but_in_two_writes().0
    }

    /// At most so many in a thousand of the idle ones are called in flight after a second, and one in four of the
    /// worst kind: those that last had a request in two segments and a fast answer.
    ///
    /// What stays undecided had its request and its answer in one tick and acknowledged in it too, and more than
    /// one segment came, or a long one. That looks the same in every field that Linux shows as the last chunk of a
    /// stream with a request behind it: such a connection stays in flight, because no request may be lost.
    pub(crate) fn assert_precise(&self, enough: usize, per_mille: usize) {
        let (seen, wrong) = self.idle_but_in_two_writes();
        assert!(
            seen >= enough,
            "not proved: of {enough} idle connections only {seen} were looked at in time, the machine is too busy"
        );
        assert!(
            wrong * 1_000 <= per_mille * seen,
            "{wrong} of {seen} idle connections are called in flight"
        );
        if let Some(worst) = self.idle.get(&Kind::UploadInTwoWrites) {
            let (seen, wrong) = (worst.seen, worst.wrong.len());
            assert!(
                seen < MEANINGFUL || wrong * 4 <= seen,
                "{wrong} of {seen} idle ones of the worst kind are called in flight"
            );
        }
    }

    fn idle_but_in_two_writes(&self) -> (usize, usize) {
        let counted = self
            .idle
            .iter()
            .filter(|&(&kind, _)| kind != Kind::UploadInTwoWrites);
        counted.fold((0, 0), |(seen, wrong), (_, idle)| {
            (seen + idle.seen, wrong + idle.wrong.len())
        })
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let right = |sightings: &Sightings| of(sightings.seen - sightings.wrong.len(), sightings.seen);
        writeln!(
            f,
            "{} connections, {} looks, {:?} the longest",
            self.connections, self.looks, self.longest_look
        )?;
        writeln!(f, "  unanswered, called in flight: {}", right(&self.unanswered))?;
        writeln!(f, "  moving, called in flight: {}", right(&self.moving))?;
        let (seen, wrong) = self.idle_but_in_two_writes();
        writeln!(
            f,
            "  idle, called in flight after 1 s: {}; {} set aside",
            of(wrong, seen),
            self.set_aside
        )?;
        for (kind, idle) in &self.idle {
            let mut reasons: BTreeMap<&str, usize> = BTreeMap::new();
            for reason in &idle.wrong {
                *reasons.entry(reason).or_default() += 1;
            }
            writeln!(
                f,
                "    {kind:?} before: {} {reasons:?}",
                of(idle.wrong.len(), idle.seen)
            )?;
        }
        let first = &self.first_look;
        write!(
            f,
            "  idle, called in flight at a first look: {}",
            of(first.wrong.len(), first.seen)
        )
    }
}

fn of(part: usize, whole: usize) -> String {
    format!(
        "{part} of {whole} ({:.3} %)",
        100.0 * part as f64 / whole.max(1) as f64
    )
}
