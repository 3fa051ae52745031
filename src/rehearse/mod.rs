//! A drain test: what clients see while this host leaves its load balancers and comes back, in numbers.
//!
//! First nothing is touched: [`standing`] and [`way_back`] find out whether it would be right and could be undone.
//! [`load`] sends requests at a steady rate, and [`watch`] sees which of them arrive here; [`Recorder`] has
//! both on one clock. [`Course`] is what is done with this host meanwhile: the engine's own leaving and coming
//! back. [`Figures`] count what was recorded, [`advice`] says what to write, and [`text`], [`json`] and
//! [`page`] tell it.

pub mod advice;
mod all_is_well;
mod course;
mod figures;
pub mod json;
mod last_one;
pub mod load;
pub mod page;
mod page_file;
mod recorder;
mod restart;
pub mod text;
mod timeline;
mod watch;
mod way_back;

use std::fmt;
use std::time::Duration;

pub use course::{Course, Means, Times};
pub use figures::{Came, Figures, LastArrival, Latency, Spell};
pub use last_one::{Refusal, Standing, standing};
pub use page_file::PageFile;
pub use recorder::{Recorded, Recorder};
pub use restart::Unit;
pub use way_back::{floors_fit, patience, way_back};

/// What a rehearsal is made of, in order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Phase {
    /// In service: what is usual.
    Before,
    /// Leaving, until drained.
    Leaving,
    /// Out, to see what still arrives.
    Out,
    /// The service stops and starts.
    Restarting,
    /// Coming back, until requests arrive again.
    Returning,
    /// In service again.
    After,
}

impl Phase {
    /// Its name in a report.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Before => "before",
            Self::Leaving => "leaving",
            Self::Out => "out",
            Self::Restarting => "restarting",
            Self::Returning => "returning",
            Self::After => "after",
        }
    }
}

impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.word())
    }
}

/// What was done with this host, and when. Times count from the start of the load.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Deeds {
    /// When leaving began.
    pub leaving: Option<Duration>,
    /// When a load balancer first said that this host is out of rotation.
    pub out: Option<Duration>,
    /// When it had drained.
    pub drained: Option<Duration>,
    /// On what evidence.
    pub evidence: Option<String>,
    /// Whether this host's connections were the evidence for any of them.
    pub by_connections: bool,
    /// Each load balancer's entry and how leaving it ended, in the shape of `load_balancers[]`.
    pub load_balancers: Vec<serde_json::Value>,
    /// When coming back began.
    pub returning: Option<Duration>,
    /// When the first request arrived again.
    pub back: Option<Duration>,
    /// What went wrong, apart from requests: a sentence each.
    pub troubles: Vec<String>,
}

/// A rehearsal that has ended.
#[derive(Debug)]
pub struct Rehearsal {
    /// What it is called where there are several.
    pub title: String,
    /// Where requests were sent.
    pub aim: String,
    /// How many a second.
    pub rate: u32,
    /// What was recorded.
    pub recorded: Recorded,
    /// What was done meanwhile.
    pub deeds: Deeds,
    /// What the record amounts to.
    pub figures: Figures,
    /// What to write into the configuration and the unit; empty where nothing can be said.
    pub advice: Vec<advice::Line>,
}
