//! Waiting for one entry that is out of rotation, until there is evidence that nothing is in flight.

use std::collections::BTreeSet;
use std::time::Duration;

use lb_drain_api::{Firmness, Rotation, Schedule, Target, Terms, View};
use tokio::time::Instant;

use super::ask::Entry;
use super::leave::{ports, take_out};
use super::{Event, Evidence, Standing};

/// How long asking for terms may take: they are no reason to lose sight of the drain.
const TERMS: Duration = Duration::from_secs(5);

/// So few requests in flight may all be answered at any moment; each time as many again slow the looks down.
const NEARLY: u64 = 8;

/// What is known while waiting.
struct Drain<'a> {
    entry: &'a Entry<'a>,
    target: &'a Target,
    schedule: Schedule,
    ports: BTreeSet<u16>,
    out: Instant,
    floor: Duration,
    delay: Option<Duration>,
    /// Requests in flight by the load balancer's last answer; `None` where it does not say.
    reported: Option<u64>,
    /// Requests in flight on this host's ports at the look before.
    here: Option<u64>,
    gone: bool,
    firm: bool,
    cut: bool,
    lost_sight: bool,
    told_blind: bool,
    /// What a look costs the load balancer at most.
    cost: Duration,
    next_look: Instant,
}

/// Waits until the entry has drained. Does not end otherwise: the engine drops it at the budget's end.
pub(super) async fn wait(entry: &Entry<'_>, target: &Target, view: View, out: Instant) {
    let schedule = entry.plan.balancer.schedule();
    let ports = ports(entry, &view);
    entry.run.traffic.watch(&ports);
    entry.change(|member| member.ports.clone_from(&ports));
    let mut drain = Drain {
        entry,
        target,
        schedule,
        ports,
        out,
        floor: Duration::ZERO,
        delay: None,
        reported: None,
        here: None,
        gone: false,
        firm: false,
        cut: false,
        lost_sight: false,
        told_blind: false,
        cost: Duration::from_secs(1),
        next_look: out + schedule.pace.first,
    };
    drain.saw(&view);
    // Nothing can be in flight behind a dead process, and nobody is left to wait for.
    let mut main_process_gone = entry.run.main_process_gone.clone();
    tokio::select! {
        biased;
        () = gone(&mut main_process_gone) => drain.end(Evidence::MainProcessGone),
        () = drain.until_drained() => {}
    }
}

async fn gone(main_process_gone: &mut tokio::sync::watch::Receiver<bool>) {
    if main_process_gone.wait_for(|gone| *gone).await.is_err() {
        std::future::pending::<()>().await;
    }
}

impl Drain<'_> {
    async fn until_drained(&mut self) {
        self.agree_on_terms().await;
        let mut traffic = self.entry.run.traffic.clone();
        loop {
            if let Some(evidence) = self.evidence() {
                return self.end(evidence);
            }
            self.tell_blind();
            if self.wants_firm() {
                self.take_firm().await;
            } else if self.wants_cut() {
                self.cut_what_is_left().await;
            } else if Instant::now() >= self.next_look {
                self.look().await;
            } else {
                let wake = self.wake();
                tokio::select! {
                    () = tokio::time::sleep_until(wake) => {}
                    () = traffic.next_look(), if !self.ports.is_empty() => self.heed_connections(),
                }
            }
        }
    }

    /// Floor and delay: the configuration's word first, else the load balancer's.
    async fn agree_on_terms(&mut self) {
        let Entry { plan, run, .. } = self.entry;
        let terms = if plan.min_wait.is_some() && plan.max_wait.is_some() {
            Terms::default()
        } else {
            let until = (Instant::now() + TERMS).min(run.deadline.finish());
            let asked = self
                .entry
                .insist("terms", until, || plan.balancer.terms(self.target))
                .await;
            asked.unwrap_or_else(|error| Terms {
                remark: Some(format!("its delays are not known: {error}")),
                ..Terms::default()
            })
        };
        if let Some(remark) = terms.remark {
            self.entry.tell(&Event::Remark(remark), |_| {});
        }
        self.floor = plan.min_wait.or(terms.min_wait).unwrap_or_default();
        // Where changes take effect after the delay has passed, the delay proves nothing before that.
        self.delay = plan
            .max_wait
            .or(terms.max_wait)
            .map(|delay| delay.max(self.floor));
        let left = run.deadline.finish().saturating_duration_since(self.out);
        if self.floor > left {
            let floor = self.floor;
            self.entry.tell(&Event::FloorBeyondBudget { floor, left }, |_| {});
        } else if let Some(delay) = self
            .delay
            .filter(|delay| *delay > left && self.reported.is_none())
        {
            self.entry.tell(&Event::DelayBeyondBudget { delay, left }, |_| {});
        }
        if self.delay.is_none() && self.reported.is_none() && self.ports.is_empty() && !self.gone {
            if plan.min_wait.is_some() {
                self.delay = Some(self.floor); // the one thing the operator said about waiting
            } else {
                self.entry.tell(&Event::NoEvidence, |_| {});
            }
        }
    }

    /// Takes in what the load balancer says.
    fn saw(&mut self, view: &View) {
        self.gone = view.rotation == Rotation::NotAMember;
        self.reported = view.in_flight;
        let in_flight = self.in_flight();
        self.entry.change(|member| {
            member.in_flight = in_flight;
            member.state = Some(view.state.clone());
        });
    }

    /// The load balancer's own number, else what this host's connections show.
    fn in_flight(&self) -> Option<u64> {
        self.reported
            .or_else(|| self.entry.run.traffic.in_flight(&self.ports))
    }

    /// This host's connections are evidence where the load balancer does not count for itself: what it
    /// counts may wait in its queue, or be an answer that pauses, and would be cut.
    fn watches_ports(&self) -> bool {
        self.reported.is_none() && !self.ports.is_empty()
    }

    /// Says once that this host's connections cannot be seen, where they are needed.
    fn tell_blind(&mut self) {
        if self.told_blind || !self.watches_ports() {
            return;
        }
        if let Some(reason) = self.entry.run.traffic.blind() {
            self.told_blind = true;
            let remark = format!("this host's connections cannot be seen: {reason}");
            self.entry.tell(&Event::Remark(remark), |_| {});
        }
    }

    fn evidence(&self) -> Option<Evidence> {
        let now = Instant::now();
        if now < self.out + self.floor {
            return None;
        }
        if self.gone {
            return Some(Evidence::Gone);
        }
        if self.reported == Some(0) {
            return Some(Evidence::LoadBalancer);
        }
        if self.watches_ports() {
            let quiet_since = self.entry.run.traffic.quiet_since(&self.ports);
            if quiet_since.is_some_and(|since| now >= since.max(self.out) + self.entry.run.waiting.quiet) {
                return Some(Evidence::Connections);
            }
        }
        self.delay
            .filter(|delay| now >= self.out + *delay)
            .map(|_| Evidence::Delay)
    }

    /// The moment this host's connections fall silent is the moment to ask a load balancer that counts for
    /// itself.
    fn heed_connections(&mut self) {
        let here = self.entry.run.traffic.in_flight(&self.ports);
        if here == Some(0) && self.here.is_some_and(|before| before > 0) && self.reported.is_some() {
            self.next_look = Instant::now();
        }
        self.here = here;
    }

    /// When something may have changed without anybody telling us.
    fn wake(&self) -> Instant {
        let mut wake = self.next_look;
        let mut at = |time: Instant| {
            if time > Instant::now() {
                wake = wake.min(time);
            }
        };
        at(self.out + self.floor);
        if let Some(delay) = self.delay {
            at(self.out + delay);
        }
        if let Some(after) = self.schedule.firm_after {
            at(self.out + after);
        }
        if self.schedule.cut {
            at(self.entry.run.deadline.cut());
        }
        if let Some(since) = self.entry.run.traffic.quiet_since(&self.ports) {
            at(since.max(self.out) + self.entry.run.waiting.quiet);
        }
        wake
    }

    fn wants_firm(&self) -> bool {
        !self.firm
            && self
                .schedule
                .firm_after
                .is_some_and(|after| Instant::now() >= self.out + after)
    }

    async fn take_firm(&mut self) {
        self.firm = true;
        match take_out(self.entry, self.target, Firmness::Firm).await {
            Ok(view) => {
                self.saw(&view);
                self.entry.tell(&Event::Firm, |member| member.error = None);
            }
            Err(error) => self.lose_sight(&error),
        }
    }

    fn wants_cut(&self) -> bool {
        self.schedule.cut && !self.cut && Instant::now() >= self.entry.run.deadline.cut()
    }

    async fn cut_what_is_left(&mut self) {
        self.cut = true;
        let until = self.entry.run.deadline.finish();
        match self
            .entry
            .insist("cut", until, || self.entry.plan.balancer.cut(self.target))
            .await
        {
            Ok(()) => {
                let in_flight = self.in_flight();
                self.entry.tell(&Event::Cut, |member| member.cut = in_flight);
                self.next_look = Instant::now();
            }
            Err(error) => self.lose_sight(&error),
        }
    }

    /// One look; what was undone behind our back is done again.
    async fn look(&mut self) {
        let begun = Instant::now();
        let left = self.entry.run.deadline.left();
        let limit = left.min(self.schedule.pace.far.max(Duration::from_secs(2)));
        let looked = self
            .entry
            .once("look", limit, self.entry.plan.balancer.look(self.target))
            .await;
        let cost = begun.elapsed();
        match looked {
            Ok(view) if view.rotation.may_route() => {
                self.entry.tell(&Event::PutBack, |member| {
                    member.standing = Standing::In;
                    member.state = Some(view.state.clone());
                });
                let firmness = if self.firm {
                    Firmness::Firm
                } else {
                    Firmness::Drain
                };
                match take_out(self.entry, self.target, firmness).await {
                    Ok(view) => {
                        self.saw(&view);
                        self.entry.change(|member| {
                            member.standing = Standing::Out;
                            member.error = None;
                        });
                        self.out = Instant::now(); // requests came in again until now
                    }
                    Err(error) => {
                        self.entry.change(|member| member.error = Some(error.to_string()));
                        self.lose_sight(&error);
                    }
                }
            }
            Ok(view) => {
                self.lost_sight = false;
                self.saw(&view);
            }
            Err(error) => self.lose_sight(&error),
        }
        self.next_look = Instant::now() + self.pause(cost);
    }

    /// The load balancer does not answer. It was out when it last did, so this is no failure to leave; this
    /// host's own evidence has to do.
    fn lose_sight(&mut self, error: &lb_drain_api::Error) {
        self.reported = None;
        if !self.lost_sight {
            self.lost_sight = true;
            let error = error.to_string();
            self.entry.tell(&Event::LostSight { error }, |_| {});
        }
        self.next_look = Instant::now() + self.schedule.pace.far;
    }

    /// Fast when the end is near, slow when it is far, and never more of the load balancer's time than its
    /// share. Slow paces are jittered, so that a fleet that stops together does not ask together.
    fn pause(&mut self, took: Duration) -> Duration {
        let pace = self.schedule.pace;
        // On a busy host most of what a look took was our own waiting for a processor; the quickest of the
        // last looks comes nearest to what it cost the load balancer.
        self.cost = took.min(self.cost.mul_f64(1.25));
        let many = self.in_flight().map_or(u32::MAX, |number| {
            u32::try_from(number / NEARLY).unwrap_or(u32::MAX)
        });
        let pause = pace
            .near
            .saturating_mul(many.saturating_add(1))
            .min(pace.far)
            .max(self.cost * pace.share);
        if pace.far < Duration::from_secs(2) {
            pause
        } else {
            pause.mul_f64(0.5 + fastrand::f64())
        }
    }

    fn end(&self, evidence: Evidence) {
        let used = self.entry.run.deadline.used();
        let in_flight = self.in_flight();
        let left_over = evidence == Evidence::Delay && in_flight.is_some_and(|n| n > 0);
        let event = if left_over {
            Event::DelayPassed
        } else {
            Event::Drained
        };
        self.entry.tell(&event, |member| {
            member.evidence = Some(evidence);
            member.in_flight = in_flight;
            member.error = None;
            // What was cut or is still moving has not drained, whatever the counters say now.
            if !left_over && member.cut.is_none_or(|cut| cut == 0) {
                member.standing = Standing::Drained;
                member.drained = Some(used);
            }
        });
    }
}
