//! Tells how it ended, in every way that was asked for.

use std::time::{Instant, SystemTime};

use serde_json::{Map, Value, json};

use super::Interrupted;
use crate::budget::Budget;
use crate::cli::Rehearse;
use crate::commands::wants_json;
use crate::exit::Exit;
use crate::rehearse::{PageFile, Refusal, Rehearsal, json as object, page, text};
use crate::report;

/// Who tells, and on what grounds.
pub(super) struct Teller<'a> {
    options: &'a Rehearse,
    budget: Budget,
    began: Instant,
}

impl<'a> Teller<'a> {
    pub(super) fn new(options: &'a Rehearse, budget: Budget, began: Instant) -> Self {
        Self {
            options,
            budget,
            began,
        }
    }

    /// There was none.
    pub(super) fn refused(&self, refusal: Refusal) -> Exit {
        let exit = match &refusal {
            Refusal::Unfit(_) => Exit::Usage,
            Refusal::NoAnswer(_) => Exit::Failed,
        };
        let why = refusal.why();
        tracing::error!("{why}; nothing was touched");
        let object = [
            ("load_balancers", Value::Array(Vec::new())),
            ("troubles", Value::from(vec![why])),
        ];
        let object = object.map(|(name, value)| (name.to_owned(), value));
        self.print_json("refused", object.into_iter().collect());
        exit
    }

    /// There was one, whole or in part.
    pub(super) fn conclude(
        &self,
        mut rehearsal: Rehearsal,
        file: Option<PageFile>,
        interrupted: Option<Interrupted>,
    ) -> Exit {
        if let (Some(file), Some(path)) = (file, &self.options.report)
            && let Err(error) = file.write(&self.page(&rehearsal))
        {
            let trouble = format!("cannot write {}: {error}", path.display());
            tracing::error!("{trouble}");
            rehearsal.deeds.troubles.push(trouble);
        }
        let troubled = !rehearsal.deeds.troubles.is_empty();
        let (outcome, exit) = match interrupted {
            Some(_) if troubled => ("interrupted", Exit::Failed),
            Some(Interrupted { exit, .. }) => ("interrupted", exit),
            None if troubled || rehearsal.figures.failed() > 0 => ("failed", Exit::Failed),
            None => ("passed", Exit::Done),
        };
        if let Some(Interrupted { phase, .. }) = interrupted
            && !troubled
        {
            tracing::warn!("interrupted ({phase}); this host is in rotation");
        }
        if wants_json(&self.options.common) {
            let mut whole = Map::new();
            if let Some(Interrupted { phase, .. }) = interrupted {
                whole.insert("phase".to_owned(), phase.word().into());
            }
            whole.extend(object::object(&rehearsal));
            self.print_json(outcome, whole);
        } else {
            report::text::print(&text::lines(&rehearsal));
        }
        exit
    }

    fn page(&self, rehearsal: &Rehearsal) -> String {
        let about = format!(
            "{} requests a second to {}, on {}, {}",
            rehearsal.rate,
            rehearsal.aim,
            rustix::system::uname().nodename().to_string_lossy(),
            humantime::format_rfc3339_seconds(SystemTime::now())
        );
        page::html("lb-drain rehearse", &about, std::slice::from_ref(rehearsal))
    }

    fn print_json(&self, outcome: &str, object: Map<String, Value>) {
        if !wants_json(&self.options.common) {
            return;
        }
        let millis = |time: std::time::Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        let head = json!({
            "command": "rehearse",
            "outcome": outcome,
            "budget_ms": millis(self.budget.total),
            "budget_source": self.budget.source.word(),
            "elapsed_ms": millis(self.began.elapsed()),
        });
        let Value::Object(mut whole) = head else {
            return;
        };
        whole.extend(object);
        report::json::print(&Value::Object(whole));
    }
}
