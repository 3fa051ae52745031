//! `lb-drain register`.

use super::session::{Grounds, Session};
use super::wants_json;
use crate::cli::Register;
use crate::config::Settings;
use crate::engine::{self, Waiting};
use crate::exit::Exit;
use crate::guard;
use crate::report::verdict;

pub(super) async fn register(settings: Settings, options: &Register) -> Exit {
    let waiting = Waiting {
        no_wait: true,
        quiet: settings.quiet,
        ports: std::collections::BTreeSet::new(), // nothing is waited for here
    };
    let grounds = Grounds {
        budget: settings.budget,
        asked: settings.asked,
        remarks: settings.remarks,
    };
    let mut session = Session::new(&options.common, grounds, waiting, "not back in rotation");
    let run = session.run.clone();
    guard::start(run.deadline, run.ledger.clone(), false);

    let interrupted = session
        .conduct(engine::register(&run, settings.plans, options.wait))
        .await;

    let exit = interrupted.unwrap_or_else(|| guard::verdict(&run.ledger, false));
    let line = verdict::registered(&run.ledger.members(), run.deadline.used());
    match (interrupted, exit) {
        (Some(_), _) => tracing::warn!("interrupted: {line}"),
        (None, Exit::Failed) => tracing::error!("{line}"),
        (None, _) => tracing::info!("{line}"),
    }
    if wants_json(&options.common) {
        session.print_json(
            "register",
            match (interrupted, exit) {
                (Some(_), _) => "interrupted",
                (None, Exit::Done) => "registered",
                (None, _) => "failed",
            },
        );
    }
    exit
}
