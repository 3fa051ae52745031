//! What the commands that change something share: one run of the engine, ended by itself, the deadline or a
//! signal.

use std::io::IsTerminal;
use std::sync::Arc;
use std::time::Duration;

use indicatif::MultiProgress;
use serde_json::{Value, json};
use tokio::sync::watch;

use super::level;
pub(super) use super::signals::interruption;
use crate::budget::{Budget, Deadline, SHORTEST, Source};
use crate::cli::Common;
use crate::engine::{Ledger, Member, Run, Traffic, Waiting};
use crate::evidence;
use crate::exit::Exit;
use crate::main_process;
use crate::record::Record;
use crate::report::narrator::Narrator;
use crate::report::{json as report_json, log, progress, status};
use crate::service_manager::{Asked, Notifier, process_age};

/// What systemd is asked for beyond the budget: time to see that we have ended, also on a busy host.
const ON_TOP: Duration = Duration::from_secs(1);

/// What a run is based on, besides its load balancers.
pub(super) struct Grounds {
    pub(super) budget: Budget,
    pub(super) asked: Asked,
    pub(super) remarks: Vec<String>,
    pub(super) scope: String,
}

/// A run that has been set up.
pub(super) struct Session {
    pub(super) run: Run,
    budget: Budget,
    failing: &'static str,
    screen: Option<MultiProgress>,
    notifier: Option<Notifier>,
    watching: std::pin::Pin<Box<dyn Future<Output = ()> + Send>>,
}

impl Session {
    /// Sets up a run. `failing` says how a host stands that the command could not help.
    pub(super) fn new(
        common: &Common,
        Grounds {
            mut budget,
            asked,
            mut remarks,
            scope,
        }: Grounds,
        waiting: Waiting,
        failing: &'static str,
    ) -> Self {
        let age = process_age(std::process::id()).unwrap_or_default();
        let notifier = Notifier::of_this_process();
        if let Source::Extended(hook) = &budget.source
            && !notifier
                .as_ref()
                .is_some_and(|notifier| notifier.extend(budget.total + ON_TOP))
        {
            remarks.push(format!(
                "--extend-timeout has no effect: systemd did not take the note; {} stays as it is",
                hook.unit
            ));
            budget = Budget {
                total: hook.budget().unwrap_or(budget.total).max(SHORTEST),
                source: Source::Systemd(hook.clone()),
            };
        }
        let deadline = Deadline::of(&budget, age);
        let screen = (std::io::stderr().is_terminal() && !common.quiet).then(MultiProgress::new);
        log::init(level(common), common.log_format, screen.clone());
        for remark in remarks {
            tracing::warn!("{remark}");
        }
        let ledger = Ledger::default();
        let (gone_sender, main_process_gone) = watch::channel(false);
        let application = main_process::application(&asked, common.service.as_deref());
        let pid = main_process::pid(application);
        let (traffic, looking) = Traffic::new(waiting.ports.clone(), evidence::open(pid));
        let run = Run {
            deadline,
            audience: Arc::new(Narrator::new(
                ledger.clone(),
                waiting.quiet,
                failing,
                budget.source.more_time(),
            )),
            waiting,
            ledger,
            record: Arc::new(Record::open(common.state_dir.clone(), &scope)),
            traffic,
            main_process_gone,
        };
        let watching = Box::pin(async move {
            tokio::join!(looking, main_process::watch(application, gone_sender));
        });
        Self {
            run,
            budget,
            failing,
            screen,
            notifier,
            watching,
        }
    }

    /// Runs `work` to its end, or until a signal ends it: then the exit code for that signal.
    pub(super) async fn conduct(&mut self, work: impl Future<Output = ()>) -> Option<Exit> {
        let drawing = {
            let (screen, ledger, deadline) =
                (self.screen.clone(), self.run.ledger.clone(), self.run.deadline);
            let failing = self.failing;
            async move {
                match screen {
                    Some(screen) => progress::draw(screen, ledger, deadline, failing).await,
                    None => std::future::pending().await,
                }
            }
        };
        let telling = {
            let (ledger, deadline) = (self.run.ledger.clone(), self.run.deadline);
            let (notifier, failing) = (self.notifier.as_ref(), self.failing);
            async move {
                match notifier {
                    Some(notifier) => status::tell(notifier, &ledger, deadline, failing).await,
                    None => std::future::pending().await,
                }
            }
        };
        let interrupted = tokio::select! {
            biased;
            exit = interruption() => Some(exit),
            () = work => None,
            () = drawing => None,
            () = telling => None,
            () = async { self.watching.as_mut().await; std::future::pending().await } => None,
        };
        if let Some(screen) = &self.screen {
            // A terminal that is gone has nothing to clear.
            drop(screen.clear());
        }
        interrupted
    }

    /// Leaves the verdict in `systemctl status`, where else the last thing waited for would stay.
    pub(super) fn conclude(&self, verdict: &str) {
        if let Some(notifier) = &self.notifier {
            notifier.status(&format!("lb-drain: {verdict}"));
        }
    }

    /// Prints the object of `--output json`.
    pub(super) fn print_json(&self, command: &str, outcome: &str) {
        let millis = |time: Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        let balancers: Vec<Value> = self.run.ledger.members().iter().map(Member::json).collect();
        report_json::print(&json!({
            "command": command,
            "outcome": outcome,
            "budget_ms": millis(self.budget.total),
            "budget_source": self.budget.source.word(),
            "elapsed_ms": millis(self.run.deadline.used()),
            "load_balancers": balancers,
        }));
    }

    /// The budget as given.
    pub(super) fn budget(&self) -> &Budget {
        &self.budget
    }
}
