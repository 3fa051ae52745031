//! What the commands that change something share: one run of the engine, ended by itself, the deadline or a
//! signal.

use std::io::IsTerminal;
use std::sync::Arc;
use std::time::Duration;

use indicatif::MultiProgress;
use serde_json::{Value, json};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

use super::level;
use crate::budget::{Budget, Deadline};
use crate::cli::Common;
use crate::engine::{Ledger, Member, Run, Traffic, Waiting};
use crate::evidence::SocketEvidence;
use crate::exit::Exit;
use crate::main_process;
use crate::record::Record;
use crate::report::narrator::Narrator;
use crate::report::{json as report_json, log, progress};

/// A run that has been set up.
pub(super) struct Session {
    pub(super) run: Run,
    budget: Budget,
    screen: Option<MultiProgress>,
    watching: std::pin::Pin<Box<dyn Future<Output = ()> + Send>>,
}

impl Session {
    /// Sets up a run. `failing` says how a host stands that the command could not help.
    pub(super) fn new(common: &Common, budget: Budget, waiting: Waiting, failing: &'static str) -> Self {
        let deadline = Deadline::new(budget.total, process_age());
        let screen = (std::io::stderr().is_terminal() && !common.quiet).then(MultiProgress::new);
        log::init(level(common), screen.clone());
        let ledger = Ledger::default();
        let (gone_sender, main_process_gone) = watch::channel(false);
        let pid = main_process::pid();
        let (traffic, looking) = Traffic::new(waiting.ports.clone(), Box::new(SocketEvidence::new(pid)));
        let run = Run {
            deadline,
            audience: Arc::new(Narrator::new(ledger.clone(), waiting.quiet, failing)),
            waiting,
            ledger,
            record: Arc::new(Record::open(common.state_dir.clone())),
            traffic,
            main_process_gone,
        };
        let watching = Box::pin(async move {
            tokio::join!(looking, main_process::watch(gone_sender));
        });
        Self {
            run,
            budget,
            screen,
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
        let interrupted = tokio::select! {
            biased;
            exit = interruption() => Some(exit),
            () = work => None,
            () = drawing => None,
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
async fn interruption() -> Exit {
    let signals = (signal(SignalKind::terminate()), signal(SignalKind::interrupt()));
    let _heard = signal(SignalKind::hangup());
    let (Ok(mut terminate), Ok(mut interrupt)) = signals else {
        return std::future::pending().await;
    };
    tokio::select! {
        _ = terminate.recv() => Exit::Terminated,
        _ = interrupt.recv() => Exit::Interrupted,
    }
}

/// How long this process has existed, by the kernel's account: the budget counts from there. To 10 ms,
/// rounded up (proc(5), `starttime`).
fn process_age() -> Duration {
    let age = || {
        let stat = std::fs::read_to_string("/proc/self/stat").ok()?;
        // The command's name, in parentheses, may hold anything; field 22 counts from behind it.
        let ticks: u64 = stat
            .rsplit_once(')')?
            .1
            .split_whitespace()
            .nth(19)?
            .parse()
            .ok()?;
        let started = Duration::from_millis(ticks * 10); // USER_HZ is 100 on every architecture we build for
        let now = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
        let now = Duration::new(now.tv_sec.try_into().ok()?, now.tv_nsec.try_into().ok()?);
        now.checked_sub(started)
    };
    age().unwrap_or_default()
}
