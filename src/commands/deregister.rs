//! `lb-drain deregister`.

use lb_drain_api::duration::human;

use super::session::{Grounds, Session};
use super::wants_json;
use crate::cli::Deregister;
use crate::config::Settings;
use crate::engine::{self, Waiting};
use crate::exit::Exit;
use crate::guard;
use crate::report::{count, verdict};

pub(super) async fn deregister(settings: Settings, options: &Deregister) -> Exit {
    let waiting = Waiting {
        no_wait: options.no_wait,
        quiet: settings.quiet,
        ports: settings.ports,
        keep_out: options.keep_out,
    };
    let reason = settings.asked.hook().and_then(|hook| hook.reason);
    let grounds = Grounds {
        budget: settings.budget,
        asked: settings.asked,
        remarks: settings.remarks,
        scope: settings.scope,
    };
    let mut session = Session::new(&options.common, grounds, waiting, "still in rotation");
    let run = session.run.clone();
    let (deadline, total) = (run.deadline, session.budget().total);
    guard::start(deadline, run.ledger.clone(), options.strict, move |members| {
        verdict::deregistered(members, deadline.used(), total)
    });

    let plans = settings.plans;
    let budget = session.budget();
    tracing::info!(
        "leaving {}; budget {} ({}){}",
        count(plans.len() as u64, "load balancer"),
        human(budget.total),
        budget.source,
        reason.map_or_else(String::new, |reason| format!("; {reason}"))
    );

    let interrupted = session.conduct(engine::deregister(&run, plans)).await;

    let exit = interrupted.unwrap_or_else(|| guard::verdict(&run.ledger, options.strict));
    let mut line = verdict::deregistered(&run.ledger.members(), run.deadline.used(), session.budget().total);
    if options.keep_out && exit != Exit::Failed {
        line.push_str("; it stays out until `lb-drain register` is run by hand");
    }
    let drained = run.ledger.all_drained();
    let outcome = outcome(interrupted, exit, drained);
    match (interrupted, exit) {
        (Some(_), _) => tracing::warn!(outcome, "interrupted: {line}"),
        (None, Exit::Failed) => tracing::error!(outcome, "{line}"),
        (None, _) if !drained && !options.no_wait => tracing::warn!(outcome, "{line}"),
        (None, _) => tracing::info!(outcome, "{line}"),
    }
    session.conclude(&line);
    if wants_json(&options.common) {
        session.print_json("deregister", outcome);
    }
    exit
}

fn outcome(interrupted: Option<Exit>, exit: Exit, drained: bool) -> &'static str {
    match (interrupted, exit) {
        (Some(_), _) => "interrupted",
        (None, Exit::Failed) => "failed",
        (None, _) if drained => "drained",
        (None, _) => "undrained",
    }
}
