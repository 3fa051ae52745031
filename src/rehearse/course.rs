//! What is done with this host while requests are sent: it leaves, restarts perhaps, and comes back.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use lb_drain_api::duration::human;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, timeout};

use super::figures::Figures;
use super::{Deeds, Phase, Recorded, Recorder, Unit, text};
use crate::budget::Deadline;
use crate::engine::{self, Ledger, Plan, Return, Run, Standing, Waiting};
use crate::evidence;
use crate::record::Record;
use crate::report::narrator::Narrator;

/// How often to look for what has to come true.
const LOOK: Duration = Duration::from_millis(10);

/// What it takes.
#[derive(Debug)]
pub struct Means {
    /// The load balancers.
    pub plans: Vec<Plan>,
    /// For leaving, and again for coming back.
    pub budget: Duration,
    /// How long nothing may be in flight before that counts.
    pub quiet: Duration,
    /// The service's ports.
    pub ports: BTreeSet<u16>,
    /// What was taken out, for the way back.
    pub record: Arc<Record>,
    /// The unit to restart while this host is out.
    pub restart: Option<Unit>,
}

/// How long each part takes at least.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Times {
    /// In service, before leaving.
    pub before: Duration,
    /// From leaving to coming back, where nothing is restarted.
    pub out: Duration,
    /// In service again.
    pub after: Duration,
}

impl Times {
    /// A sixth of the whole before, half of it out, a sixth after: the rest is for draining and coming back.
    #[must_use]
    pub fn of(duration: Duration) -> Self {
        Self {
            before: duration / 6,
            out: duration / 2,
            after: duration / 6,
        }
    }
}

/// A rehearsal that runs.
#[derive(Debug)]
pub struct Course {
    recorder: Recorder,
    means: Means,
    times: Times,
    deeds: Mutex<Deeds>,
    away: AtomicBool,
    restarting: tokio::sync::Mutex<Option<JoinHandle<Result<(), String>>>>,
}

impl Course {
    /// A rehearsal whose load runs already.
    #[must_use]
    pub fn new(recorder: Recorder, means: Means, times: Times) -> Self {
        Self {
            recorder,
            means,
            times,
            deeds: Mutex::default(),
            away: AtomicBool::new(false),
            restarting: tokio::sync::Mutex::default(),
        }
    }

    /// What is recorded.
    #[must_use]
    pub fn recorder(&self) -> &Recorder {
        &self.recorder
    }

    /// All of it, from the first request to the last.
    ///
    /// # Errors
    ///
    /// What went wrong, other than requests. This host may be out then: see [`Course::recover`].
    pub async fn run(&self) -> Result<(), String> {
        sleep(self.times.before).await;
        self.all_is_well_before().await?;
        self.leave().await?;
        match &self.means.restart {
            Some(unit) => self.restart(unit).await?,
            None => self.watch_for_latecomers().await,
        }
        self.come_back().await?;
        self.recorder.enter(Phase::After);
        sleep(self.times.after).await;
        Ok(())
    }

    /// Brings this host back, if it is out. To be called when [`Course::run`] was dropped or has failed.
    ///
    /// # Errors
    ///
    /// Why it stays out, and what to do.
    pub async fn recover(&self) -> Result<(), String> {
        if !self.away.load(Ordering::Relaxed) {
            return Ok(());
        }
        if let Some(restarting) = self.restarting.lock().await.take() {
            tracing::warn!("waiting until the service has started again");
            // Whether it does shows below.
            drop(timeout(self.means.budget, restarting).await);
        }
        let advice = "this host is out: when its service runs, run lb-drain register";
        self.register()
            .await
            .map(drop)
            .map_err(|error| format!("{error}; {advice}"))
    }

    /// The record and the deeds, once all is answered.
    pub async fn finish(self) -> (Recorded, Deeds) {
        let deeds = self.deeds.into_inner().unwrap_or_else(PoisonError::into_inner);
        (self.recorder.finish().await, deeds)
    }

    /// A test whose requests fail anyway, or do not come here, would take the host out for nothing.
    async fn all_is_well_before(&self) -> Result<(), String> {
        let done = self.recorder.done();
        let figures = Figures::new(
            &Recorded {
                requests: done,
                ..Recorded::default()
            },
            &Deeds::default(),
        );
        if figures.failed() * 2 > figures.sent {
            return Err(format!(
                "of {} requests {} failed before this host left ({}); nothing was touched",
                figures.sent,
                figures.failed(),
                text::kinds(&figures.failures)
            ));
        }
        if let Ok(None) = self.recorder.arrived_since(Duration::ZERO) {
            let ports: Vec<String> = self.means.ports.iter().map(ToString::to_string).collect();
            return Err(format!(
                "none of {} requests arrived at port {} of this host; nothing was touched (is it the right URL and port? \
                 a higher --rate or a longer --duration help where there are many hosts)",
                self.recorder.tally().sent,
                ports.join(", ")
            ));
        }
        Ok(())
    }

    async fn leave(&self) -> Result<(), String> {
        self.away.store(true, Ordering::Relaxed);
        let began = self.recorder.enter(Phase::Leaving);
        self.deeds().leaving = Some(began);
        let (run, narrator) = self.engine_run(false, "still in rotation");
        engine::deregister(&run, self.means.plans.clone()).await;
        let members = run.ledger.members();
        let start = self.recorder.at(run.deadline.start());
        let out = members.iter().filter_map(|member| member.deregistered).min();
        self.deeds().out = out.map(|out| start + out);
        if !run.ledger.all_out() {
            return Err(format!("not out of every load balancer: {}", errors(&run.ledger)));
        }
        if run.ledger.all_drained() {
            let last = members.iter().filter(|member| member.drained.is_some());
            if let Some(last) = last.max_by_key(|member| member.drained) {
                let mut deeds = self.deeds();
                deeds.drained = last.drained.map(|drained| start + drained);
                deeds.evidence = Some(narrator.evidence(last));
            }
        } else {
            let trouble = format!("not drained within the budget of {}", human(self.means.budget));
            tracing::warn!("{trouble}");
            self.deeds().troubles.push(trouble);
        }
        Ok(())
    }

    async fn watch_for_latecomers(&self) {
        self.recorder.enter(Phase::Out);
        let out = self.deeds().out.unwrap_or_default();
        sleep((out + self.times.out).saturating_sub(self.recorder.now())).await;
    }

    async fn restart(&self, unit: &Unit) -> Result<(), String> {
        self.recorder.enter(Phase::Restarting);
        tracing::info!("restarting {unit}");
        let mut restarting = self.restarting.lock().await;
        // It stays there while it runs, so that whoever ends this waits for it.
        let ended = restarting.insert(unit.restart()).await;
        *restarting = None;
        ended.map_err(|error| error.to_string())?
    }

    async fn come_back(&self) -> Result<(), String> {
        let (began, run) = self.register().await?;
        while run.deadline.left() > Duration::ZERO {
            match self.recorder.arrived_since(began) {
                Ok(None) => sleep(LOOK).await,
                Ok(back) => {
                    self.deeds().back = back;
                    return Ok(());
                }
                Err(_) => return Ok(()),
            }
        }
        Err(format!(
            "back in rotation, and no request arrived within {}",
            human(self.means.budget)
        ))
    }

    /// Puts this host back. Returns when that began.
    async fn register(&self) -> Result<(Duration, Run), String> {
        self.until_it_listens().await?;
        let began = self.recorder.enter(Phase::Returning);
        self.deeds().returning = Some(began);
        let (run, _) = self.engine_run(true, "not back in rotation");
        // Not what a person keeps out: that was out before the rehearsal, and stays so.
        let how = Return {
            until_in_service: true,
            even_if_kept_out: false,
        };
        engine::register(&run, self.means.plans.clone(), how).await;
        if !run.ledger.all_out() || run.ledger.any(Standing::LeftOut) {
            return Err(format!(
                "not back in every load balancer: {}",
                errors(&run.ledger)
            ));
        }
        self.away.store(false, Ordering::Relaxed);
        Ok((began, run))
    }

    /// The engine registers once the service listens, but by its last look: that may be from before the service
    /// stopped.
    async fn until_it_listens(&self) -> Result<(), String> {
        let mut evidence = evidence::open(None);
        let until = Instant::now() + self.means.budget;
        loop {
            // Where nothing can be seen the engine says so.
            let seen = evidence.look(&self.means.ports).unwrap_or_default();
            let Some((port, _)) = seen.iter().find(|(_, traffic)| !traffic.listening) else {
                return Ok(());
            };
            if Instant::now() >= until {
                let waited = human(self.means.budget);
                return Err(format!("nothing listens on port {port}, for {waited}"));
            }
            sleep(LOOK).await;
        }
    }

    /// A run of the engine, and who tells of it.
    fn engine_run(&self, no_wait: bool, failing: &'static str) -> (Run, Arc<Narrator>) {
        let ledger = Ledger::default();
        let narrator = Arc::new(Narrator::new(
            ledger.clone(),
            self.means.quiet,
            failing,
            "give a larger --budget".to_owned(),
        ));
        // The service is meant to run: nobody waits for its end. With the sender gone, nobody is ever told.
        let (_, main_process_gone) = watch::channel(false);
        let run = Run {
            deadline: Deadline::new(self.means.budget, Duration::ZERO),
            waiting: Waiting {
                no_wait,
                quiet: self.means.quiet,
                ports: self.means.ports.clone(),
                keep_out: false,
            },
            audience: Arc::<Narrator>::clone(&narrator),
            ledger,
            record: Arc::clone(&self.means.record),
            traffic: self.recorder.traffic().clone(),
            main_process_gone,
        };
        (run, narrator)
    }

    fn deeds(&self) -> MutexGuard<'_, Deeds> {
        // A panic while the lock was held leaves plain values behind.
        self.deeds.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What keeps the load balancers from having done as they were asked.
fn errors(ledger: &Ledger) -> String {
    let each = ledger.members().into_iter().filter_map(|member| {
        let why = match member.standing {
            Standing::In | Standing::Failed => member.error.as_deref().unwrap_or("no answer"),
            Standing::LeftOut => "it is on record as out before lb-drain came, and is left so",
            _ => return None,
        };
        (!member.optional).then(|| format!("{}: {why}", member.name))
    });
    each.collect::<Vec<_>>().join("; ")
}
