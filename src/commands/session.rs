//! What the commands that change something share: one run of the engine, ended by itself, the deadline or a
//! signal.

use std::io::IsTerminal;
use std::sync::Arc;
use std::time::Duration;

use indicatif::MultiProgress;
use serde_json::{Value, json};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;

use super::level;
use crate::budget::{Budget, Deadline, Source};
use crate::cli::Common;
use crate::engine::{Ledger, Member, Run, Traffic, Waiting};
use crate::evidence;
use crate::exit::Exit;
use crate::main_process;
use crate::record::Record;
use crate::report::narrator::Narrator;
use crate::report::{json as report_json, log, progress, status};
use crate::service_manager::{Asked, Notifier, process_age};

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
    screen: Option<MultiProgress>,
    notifier: Option<Notifier>,
    watching: std::pin::Pin<Box<dyn Future<Output = ()> + Send>>,
}

impl Session {
    /// Sets up a run. `failing` says how a host stands that the command could not help.
    pub(super) fn new(
        common: &Common,
        Grounds {
            budget,
            asked,
            remarks,
            scope,
        }: Grounds,
        waiting: Waiting,
        failing: &'static str,
    ) -> Self {
        let age = process_age(std::process::id()).unwrap_or_default();
        let deadline = Deadline::of(&budget, age);
        let screen = (std::io::stderr().is_terminal() && !common.quiet).then(MultiProgress::new);
        log::init(level(common), common.log_format, screen.clone());
        for remark in remarks {
            tracing::warn!("{remark}");
        }
        let notifier = Notifier::of_this_process();
        if let (Some(notifier), Source::Extended(_)) = (&notifier, &budget.source) {
            notifier.extend(budget.total);
        }
        let ledger = Ledger::default();
        let (gone_sender, main_process_gone) = watch::channel(false);
        let application = main_process::application(&asked, common.service.as_deref());
        let pid = main_process::pid(application);
        let (traffic, looking) = Traffic::new(waiting.ports.clone(), evidence::open(pid));
        let run = Run {
            deadline,
            audience: Arc::new(Narrator::new(ledger.clone(), waiting.quiet, failing)),
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
            async move {
                match screen {
                    Some(screen) => progress::draw(screen, ledger, deadline).await,
                    None => std::future::pending().await,
                }
            }
        };
        let telling = {
            let (ledger, deadline) = (self.run.ledger.clone(), self.run.deadline);
            let notifier = self.notifier.as_ref();
            async move {
                match notifier {
                    Some(notifier) => status::tell(notifier, &ledger, deadline).await,
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

/// Resolves when SIGTERM or SIGINT comes. SIGHUP does not end a drain: a lost terminal is no wish to stop
/// half way.
pub(super) async fn interruption() -> Exit {
    Interruptions::listen().next().await
}

/// SIGTERM and SIGINT from now on, one after the other: what comes while nobody waits for it is kept.
pub(super) struct Interruptions {
    terminate: Option<Signal>,
    interrupt: Option<Signal>,
}

impl Interruptions {
    /// From now on no signal ends the process by itself.
    pub(super) fn listen() -> Self {
        let _heard = signal(SignalKind::hangup());
        Self {
            terminate: signal(SignalKind::terminate()).ok(),
            interrupt: signal(SignalKind::interrupt()).ok(),
        }
    }

    /// The next one.
    pub(super) async fn next(&mut self) -> Exit {
        let (Some(terminate), Some(interrupt)) = (&mut self.terminate, &mut self.interrupt) else {
            return std::future::pending().await;
        };
        tokio::select! {
            _ = terminate.recv() => Exit::Terminated,
            _ = interrupt.recv() => Exit::Interrupted,
        }
    }
}
