//! What is done with this host while requests are sent: it leaves, restarts perhaps, and comes back.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use lb_drain_api::duration::human;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep};

use super::way_back::whereabouts;
use super::{Deeds, Phase, Recorder, Unit, all_is_well};
use crate::budget::Deadline;
use crate::engine::{self, Evidence, Ledger, Plan, Return, Run, Standing, Waiting, ports_in_words};
use crate::evidence;
use crate::record::Record;
use crate::report::narrator::Narrator;
use crate::service_manager::{self, PATIENCE};

/// How often to look for what has to come true.
const LOOK: Duration = Duration::from_millis(10);

/// What it takes.
#[derive(Debug)]
pub struct Means {
    /// The load balancers.
    pub plans: Vec<Plan>,
    /// For leaving and draining.
    pub budget: Duration,
    /// For coming back: see [`super::patience`].
    pub patience: Duration,
    /// How long nothing may be in flight before that counts.
    pub quiet: Duration,
    /// The service's ports.
    pub ports: BTreeSet<u16>,
    /// What was taken out, for the way back.
    pub record: Arc<Record>,
    /// The service's unit, where its name is known.
    pub service: Option<String>,
    /// The unit to restart while this host is out.
    pub restart: Option<Unit>,
    /// Whether this host leaves even where nobody else is in service.
    pub even_if_last: bool,
    /// The command that brings this host back, should this not do it.
    pub command: String,
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
    /// Whether coming back has been tried to the end.
    tried: AtomicBool,
    /// Whether the service has failed to start again.
    broken: AtomicBool,
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
            tried: AtomicBool::new(false),
            broken: AtomicBool::new(false),
            restarting: tokio::sync::Mutex::default(),
        }
    }

    /// What is recorded.
    #[must_use]
    pub fn recorder(&self) -> &Recorder {
        &self.recorder
    }

    /// Whether this host has begun to leave and is not back.
    #[must_use]
    pub fn is_away(&self) -> bool {
        self.away.load(Ordering::Relaxed)
    }

    /// What was done so far.
    #[must_use]
    pub fn done(&self) -> Deeds {
        self.deeds().clone()
    }

    /// Tells of what went wrong, now and in the report.
    pub fn trouble(&self, trouble: String) {
        tracing::error!("{trouble}");
        self.deeds().troubles.push(trouble);
    }

    /// All of it, from the first request to the last.
    ///
    /// # Errors
    ///
    /// What went wrong, other than requests. This host may be out then: see [`Course::recover`].
    pub async fn run(&self) -> Result<(), String> {
        sleep(self.times.before).await;
        all_is_well::before_leaving(&self.recorder, &self.means).await?;
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
    /// Why it is not in service, where it stands, and what to do.
    pub async fn recover(&self) -> Result<(), String> {
        if !self.is_away() {
            return Ok(());
        }
        let restarting = self.restarting.lock().await.take();
        if let Some(restarting) = restarting {
            tracing::warn!("waiting until the service has started again");
            if let Err(error) = restarting.await.map_err(|error| error.to_string()).flatten() {
                self.broken.store(true, Ordering::Relaxed);
                self.trouble(error);
            }
        }
        if self.tried.load(Ordering::Relaxed) {
            return Err(self.whereabouts().await);
        }
        match self.register().await {
            Ok(_) => Ok(()),
            Err(error) => Err(format!("{error}; {}", self.whereabouts().await)),
        }
    }

    /// Where this host stands, and what to do, once coming back is given up.
    pub async fn whereabouts(&self) -> String {
        whereabouts(&self.means.plans, &self.means.command).await
    }

    async fn leave(&self) -> Result<(), String> {
        self.away.store(true, Ordering::Relaxed);
        let began = self.recorder.enter(Phase::Leaving);
        self.deeds().leaving = Some(began);
        let (run, narrator) = self.engine_run(self.means.budget, false, "still in rotation");
        engine::deregister(&run, self.means.plans.clone()).await;
        let members = run.ledger.members();
        let start = self.recorder.at(run.deadline.start());
        let out = members.iter().filter_map(|member| member.deregistered).min();
        {
            let mut deeds = self.deeds();
            deeds.out = out.map(|out| start + out);
            deeds.load_balancers = members.iter().map(engine::Member::json).collect();
            let evidence = |member: &engine::Member| member.evidence == Some(Evidence::Connections);
            deeds.by_connections = members.iter().any(evidence);
        }
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
            let budget = human(self.means.budget);
            self.trouble(format!("not drained within the budget of {budget}"));
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
        let ended = ended.map_err(|error| error.to_string()).flatten();
        self.broken.store(ended.is_err(), Ordering::Relaxed);
        ended
    }

    async fn come_back(&self) -> Result<(), String> {
        let began = self.register().await?;
        // Requests come as soon as its changes take effect, which takes as long as it did to leave.
        let until = Instant::now() + self.means.budget;
        while Instant::now() < until {
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
    async fn register(&self) -> Result<Duration, String> {
        let registered = self.register_in_time().await;
        self.tried.store(true, Ordering::Relaxed);
        if registered.is_ok() {
            self.away.store(false, Ordering::Relaxed);
        }
        registered
    }

    async fn register_in_time(&self) -> Result<Duration, String> {
        let until = Instant::now() + self.means.patience;
        self.until_it_listens(until).await?;
        let began = self.recorder.enter(Phase::Returning);
        self.deeds().returning = Some(began);
        let time = until.saturating_duration_since(Instant::now());
        let (run, _) = self.engine_run(time, true, "not back in rotation");
        // Not what a person keeps out: somebody has decided so, and a rehearsal does not know better.
        let how = Return {
            until_in_service: true,
            even_if_kept_out: false,
        };
        engine::register(&run, self.means.plans.clone(), how).await;
        let left_out = run.ledger.any(Standing::LeftOut) || run.ledger.any(Standing::KeptOut);
        if !run.ledger.all_out() || left_out {
            let errors = errors(&run.ledger);
            return Err(format!("not back in every load balancer: {errors}"));
        }
        Ok(began)
    }

    /// The engine registers once the service listens, but by its last look: that may be from before the service
    /// stopped.
    async fn until_it_listens(&self, until: Instant) -> Result<(), String> {
        let began = Instant::now();
        // One that systemd could not start is not waited for as one that takes its time.
        let until = if self.broken.load(Ordering::Relaxed) {
            until.min(began + self.means.budget)
        } else {
            until
        };
        let mut evidence = evidence::open(self.main_pid().await);
        let mut told = false;
        loop {
            // Where nothing can be seen the engine says so.
            let seen = evidence.look(&self.means.ports).unwrap_or_default();
            let silent: Vec<u16> = seen
                .iter()
                .filter(|(_, traffic)| !traffic.listening)
                .map(|(port, _)| *port)
                .collect();
            if silent.is_empty() {
                return Ok(());
            }
            let ports = ports_in_words(silent.iter());
            if Instant::now() >= until {
                let waited = human(began.elapsed());
                return Err(format!("nothing listens on {ports}, for {waited}"));
            }
            if !told && began.elapsed() >= Duration::from_secs(1) {
                told = true;
                tracing::info!("waiting for the service to listen on {ports}");
            }
            sleep(LOOK).await;
        }
    }

    /// The service's process now: a restart gives it another one, which may have a network of its own.
    async fn main_pid(&self) -> Option<u32> {
        let service = self.means.service.clone()?;
        let asked = move || service_manager::Unit::describe(&service, std::time::Instant::now() + PATIENCE);
        let unit = tokio::task::spawn_blocking(asked).await.ok()?;
        unit.ok()?.main_pid
    }

    /// A run of the engine, and who tells of it.
    fn engine_run(&self, time: Duration, no_wait: bool, failing: &'static str) -> (Run, Arc<Narrator>) {
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
            deadline: Deadline::new(time, Duration::ZERO),
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
            Standing::KeptOut => "somebody keeps it out by hand (deregister --keep-out), and it is left so",
            _ => return None,
        };
        (!member.optional).then(|| format!("{}: {why}", member.name))
    });
    each.collect::<Vec<_>>().join("; ")
}
