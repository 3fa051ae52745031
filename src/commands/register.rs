//! `lb-drain register`.

use super::session::{Grounds, Session};
use super::wants_json;
use crate::cli::Register;
use crate::config::Settings;
use crate::engine::{self, Return, Standing, Waiting};
use crate::exit::Exit;
use crate::guard;
use crate::report::verdict;
use crate::service_manager::Asked;

pub(super) async fn register(settings: Settings, options: &Register) -> Exit {
    let waiting = Waiting {
        no_wait: true,
        quiet: settings.quiet,
        ports: settings.ports,
        keep_out: false,
    };
    let how = Return {
        until_in_service: options.wait,
        // A person who runs this means it; a unit that starts does not know what a person wants.
        even_if_kept_out: options.even_if_kept_out || matches!(settings.asked, Asked::NotInUnit(_)),
    };
    let grounds = Grounds {
        budget: settings.budget,
        asked: settings.asked,
        remarks: settings.remarks,
        scope: settings.scope,
    };
    let mut session = Session::new(&options.common, grounds, waiting, "not back in rotation");
    let run = session.run.clone();
    let deadline = run.deadline;
    guard::start(deadline, run.ledger.clone(), false, move |members| {
        verdict::registered(members, deadline.used())
    });

    let interrupted = session.conduct(engine::register(&run, settings.plans, how)).await;

    let exit = interrupted.unwrap_or_else(|| guard::verdict(&run.ledger, false));
    let line = verdict::registered(&run.ledger.members(), run.deadline.used());
    let outcome = match (interrupted, exit) {
        (Some(_), _) => "interrupted",
        (None, Exit::Done) if run.ledger.any(Standing::KeptOut) => "kept_out",
        (None, Exit::Done) => "registered",
        (None, _) => "failed",
    };
    match (interrupted, exit) {
        (Some(_), _) => tracing::warn!(outcome, "interrupted: {line}"),
        (None, Exit::Failed) => tracing::error!(outcome, "{line}"),
        (None, _) => tracing::info!(outcome, "{line}"),
    }
    session.conclude(&line);
    if wants_json(&options.common) {
        session.print_json("register", outcome);
    }
    exit
}
