//! Events as lines, or as entries of the journal: what an operator reads.

use std::fmt::Debug;
use std::sync::OnceLock;
use std::time::{Duration, SystemTime};

use indicatif::MultiProgress;
use serde_json::{Map, Value};
use tracing::field::{Field, Visit};
use tracing::level_filters::LevelFilter;
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Level, Metadata, Subscriber};

use super::journal::{Journal, is_stderr, priority};
use super::stderr;
use crate::cli::LogFormat;
use crate::service_manager::unit_name;

/// Where events go besides stderr. Set once, before the first event.
static JOURNAL: OnceLock<Option<Journal>> = OnceLock::new();
/// The application's unit, where another one runs us.
static CONCERNED: OnceLock<String> = OnceLock::new();
/// How lines look, for who has no subscriber to ask.
static FORMAT: OnceLock<LogFormat> = OnceLock::new();

/// How long the end of the process waits for who reads its lines.
pub const LAST_CHANCE: Duration = Duration::from_millis(20);

/// Whom this process's events concern besides the unit that runs it: `journalctl -u` of that one shows them too.
pub fn concerns(application: Option<&str>) {
    if let Some(name) = application {
        CONCERNED.get_or_init(|| unit_name(name));
    }
}

/// Sends this process's events to stderr, each as one line; or to the journal, if stderr leads there.
///
/// On a terminal, lines go above the live progress, and warnings and errors are coloured.
pub fn init(level: Level, format: LogFormat, terminal: Option<MultiProgress>) {
    FORMAT.get_or_init(|| format);
    let lines = Lines {
        level,
        format,
        terminal,
    };
    // Fails only where a subscriber is set already, as in tests; then that one is right.
    drop(tracing::subscriber::set_global_default(lines));
}

/// Says what is wrong with the command line, before it could say how to log.
pub fn usage(message: String) {
    stderr::line(if is_stderr() {
        prefixed(Level::ERROR, &message)
    } else {
        message.trim_end().to_owned()
    });
    stderr::flush(LAST_CHANCE);
}

/// Writes an error if that is possible right now, even while another thread is stuck in writing one.
pub fn last_words(message: impl Into<String>) {
    let parts = Parts {
        message: message.into(),
        ..Parts::default()
    };
    stderr::last_words(match FORMAT.get() {
        Some(LogFormat::Json) => parts.json(Level::ERROR),
        _ if is_stderr() => prefixed(Level::ERROR, &parts.message),
        _ => parts.message,
    });
}

/// The journal reads priorities from a prefix too (SyslogLevelPrefix=, systemd.exec(5)), of each line its own.
fn prefixed(level: Level, message: &str) -> String {
    let lines: Vec<String> = message
        .lines()
        .map(|line| format!("<{}>{line}", priority(level)))
        .collect();
    lines.join("\n")
}

/// Gives what is still on its way a last chance, for at most `patience` each.
pub fn flush(patience: Duration) {
    if let Some(Some(journal)) = JOURNAL.get() {
        journal.flush(patience);
    }
    stderr::flush(patience);
}

struct Lines {
    level: Level,
    format: LogFormat,
    terminal: Option<MultiProgress>,
}

/// Without spans, which nothing here opens: a registry for them costs a start eight pages of memory.
impl Subscriber for Lines {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        // Libraries' own events are for their authors.
        metadata.is_event() && *metadata.level() <= self.level && metadata.target().starts_with("lb_drain")
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        Some(self.level.into())
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}

    fn event(&self, event: &Event<'_>) {
        let mut parts = Parts::default();
        event.record(&mut parts);
        let level = *event.metadata().level();
        if self.format == LogFormat::Json {
            return stderr::line(parts.json(level));
        }
        match (&self.terminal, JOURNAL.get_or_init(Journal::behind_stderr)) {
            (Some(terminal), _) => {
                let line = coloured(level, &parts.message);
                terminal.suspend(|| stderr::line(line));
            }
            (None, Some(journal)) => {
                if !journal.write(level, &parts.message, &parts.journal_fields()) {
                    stderr::line(prefixed(level, &parts.message));
                }
            }
            (None, None) => stderr::line(parts.message),
        }
    }
}

fn coloured(level: Level, message: &str) -> String {
    let colour = match level {
        Level::ERROR => "\x1b[31m",
        Level::WARN => "\x1b[33m",
        Level::INFO => return message.to_owned(),
        _ => "\x1b[2m",
    };
    format!("{colour}{message}\x1b[0m")
}

/// The text of an event, for people, and its fields, for machines.
#[derive(Default)]
struct Parts {
    message: String,
    fields: Vec<(&'static str, Value)>,
}

impl Parts {
    fn json(self, level: Level) -> String {
        let mut object = Map::new();
        let time = humantime::format_rfc3339_millis(SystemTime::now());
        object.insert("time".to_owned(), time.to_string().into());
        object.insert("level".to_owned(), level.as_str().to_lowercase().into());
        object.insert("message".to_owned(), self.message.into());
        for (name, value) in self.fields {
            object.insert(name.to_owned(), value);
        }
        Value::Object(object).to_string()
    }

    /// Names as the journal wants them; what is empty is left out.
    fn journal_fields(&self) -> Vec<(String, String)> {
        let concerned = CONCERNED
            .get()
            .map(|unit| ("OBJECT_SYSTEMD_UNIT".to_owned(), unit.clone()));
        self.fields
            .iter()
            .map(|(name, value)| {
                let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
                (format!("LB_DRAIN_{}", name.to_uppercase()), text)
            })
            .filter(|(_, value)| !value.is_empty())
            .chain(concerned)
            .collect()
    }
}

impl Visit for Parts {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.fields.push((field.name(), value.into()));
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.fields.push((field.name(), value.into()));
    }

    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        if field.name() == "message" {
            self.message = format!("{value:?}");
        } else {
            self.fields.push((field.name(), format!("{value:?}").into()));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_line_of_an_error_has_its_priority() {
        assert_eq!(
            prefixed(Level::ERROR, "web.toml, line 4\n  4 | prts"),
            "<3>web.toml, line 4\n<3>  4 | prts"
        );
    }

    #[test]
    fn a_line_as_json_has_its_level_and_its_fields() {
        let parts = Parts {
            message: "edge: \"drained\"".to_owned(),
            fields: vec![("in_flight", Value::from(0))],
        };
        let line: Value = serde_json::from_str(&parts.json(Level::WARN)).expect("JSON");
        assert_eq!(
            (&line["level"], &line["message"], &line["in_flight"]),
            (
                &Value::from("warn"),
                &Value::from("edge: \"drained\""),
                &Value::from(0)
            )
        );
    }
}
