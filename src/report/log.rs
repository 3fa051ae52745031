//! Events as lines: what an operator reads.

use std::fmt::Debug;

use indicatif::MultiProgress;
use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt};
use tracing_subscriber::util::SubscriberInitExt;

use super::stderr;

/// Sends this process's events to stderr, each as one line.
///
/// On a terminal, lines go above the live progress, and warnings and errors are coloured.
pub fn init(level: Level, terminal: Option<MultiProgress>) {
    let lines = Lines { level, terminal };
    // Fails only where a subscriber is set already, as in tests; then that one is right.
    drop(tracing_subscriber::registry().with(lines).try_init());
}

struct Lines {
    level: Level,
    terminal: Option<MultiProgress>,
}

impl<S: Subscriber> Layer<S> for Lines {
    fn enabled(&self, metadata: &tracing::Metadata<'_>, _: Context<'_, S>) -> bool {
        // Libraries' own events are for their authors.
        *metadata.level() <= self.level && metadata.target().starts_with("lb_drain")
    }

    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let mut message = Message(String::new());
        event.record(&mut message);
        let Some(terminal) = &self.terminal else {
            return stderr::line(message.0);
        };
        let colour = match *event.metadata().level() {
            Level::ERROR => "\x1b[31m",
            Level::WARN => "\x1b[33m",
            Level::INFO => "",
            _ => "\x1b[2m",
        };
        let reset = if colour.is_empty() { "" } else { "\x1b[0m" };
        let line = format!("{colour}{}{reset}", message.0);
        terminal.suspend(|| stderr::line(line));
    }
}

/// The text of an event; its fields are for machines.
struct Message(String);

impl Visit for Message {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        if field.name() == "message" {
            self.0 = format!("{value:?}");
        }
    }
}
