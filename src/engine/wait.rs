//! Waiting for one entry that is out of rotation, until there is evidence that nothing is in flight.

use std::collections::BTreeSet;
use std::time::Duration;

use lb_drain_api::{Firmness, Lifetime, Rotation, Schedule, Target, Terms, View};
use tokio::time::Instant;

use super::ask::Entry;
use super::leave::{ports, put_back};
use super::{Event, Evidence, Standing};

/// How long asking for terms may take: they are no reason to lose sight of the drain.
const TERMS: Duration = Duration::from_secs(5);

/// So few requests in flight may all be answered at any moment; each time as many again slow the looks down.
const NEARLY: u64 = 8;

/// How soon to look again at connections that may show what a partial count leaves out: whoever moved a moment ago
/// is told from whoever still moves by the next look. Each next one takes twice as long, up to the usual pace.
const DOUBT: Duration = Duration::from_millis(2);
const LONGEST_DOUBT: Duration = Duration::from_millis(20);

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
    /// That count may leave some out.
    partial: bool,
    /// When it came down to nothing.
    zero_at: Instant,
    /// The pause before the next look of this host's own that may do away with the doubt about it.
    doubt: Duration,
    /// It says that it has not drained, whatever this host's connections show.
    undrained: bool,
    /// It has a state to tell at all.
    tells: bool,
    /// Requests in flight on this host's ports at the look before.
    here: Option<u64>,
    gone: bool,
    /// Whether its connections may outlive it.
    outlived: bool,
    /// Put back into rotation behind our back, and not out yet: no evidence counts until it is.
    inside: bool,
    firm: bool,
    /// When to take it out firmly; `None` where that is done or not wanted.
    firm_at: Option<Instant>,
    cut: bool,
    lost_sight: bool,
    told_blind: bool,
    told_nothing: bool,
    /// What a look costs the load balancer at most.
    cost: Duration,
    next_look: Instant,
    /// By how much the next look has been brought forward, if it has.
    ahead: Option<Duration>,
    /// The look after such a one comes later by as much, and none is brought forward until then.
    makes_up: bool,
}

/// Waits until the entry has drained. Does not end otherwise: the engine drops it at the budget's end.
///
/// What was `out_before` us is taken out no further than it was.
pub(super) async fn wait(entry: &Entry<'_>, target: &Target, view: View, out: Instant, out_before: bool) {
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
        partial: false,
        zero_at: out,
        doubt: DOUBT,
        undrained: false,
        tells: true,
        here: None,
        gone: false,
        outlived: false,
        inside: false,
        firm: false,
        firm_at: schedule
            .firm_after
            .filter(|_| !out_before)
            .map(|after| out + after),
        cut: false,
        lost_sight: false,
        told_blind: false,
        told_nothing: false,
        cost: Duration::from_secs(1),
        next_look: out + schedule.pace.first,
        ahead: None,
        makes_up: false,
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

/// Returns when the service's main process is gone.
pub(super) async fn gone(main_process_gone: &mut tokio::sync::watch::Receiver<bool>) {
    if main_process_gone.wait_for(|gone| *gone).await.is_err() {
        std::future::pending::<()>().await;
    }
}

impl Drain<'_> {
    async fn until_drained(&mut self) {
        self.agree_on_terms().await;
        // What a load balancer says once its kind is known may be that quiet connections are no evidence.
        if self.reported.is_none() && Instant::now() >= self.next_look {
            self.look().await;
        }
        let mut traffic = self.entry.run.traffic.clone();
        loop {
            if let Some(evidence) = self.evidence() {
                return self.end(evidence);
            }
            self.tell_blind();
            self.tell_nothing();
            if self.wants_firm() {
                self.take_firm().await;
            } else if self.wants_cut() {
                self.cut_what_is_left().await;
            } else if Instant::now() >= self.next_look && !self.awaits_a_look_here() {
                self.look().await;
            } else {
                if self.needs_a_look() {
                    traffic.hurry();
                }
                let wake = self.wake();
                tokio::select! {
                    () = tokio::time::sleep_until(wake) => {}
                    () = traffic.next_look(), if !self.ports.is_empty() => self.heed_connections(),
                    () = tokio::time::sleep(self.doubt), if self.doubts() => {
                        self.doubt *= 2;
                        traffic.hurry();
                    }
                }
            }
        }
    }

    /// Floor and delay: the configuration's word first, else the load balancer's.
    async fn agree_on_terms(&mut self) {
        let Entry { plan, run, .. } = self.entry;
        let until = (Instant::now() + TERMS).min(run.deadline.finish());
        let asked = self
            .entry
            .insist("terms", until, || plan.balancer.terms(self.target))
            .await;
        let terms = asked.unwrap_or_else(|error| Terms {
            min_wait: Some(self.schedule.floor),
            outlived: true,
            remark: Some(format!("its delays are not known: {error}")),
            ..Terms::default()
        });
        // Now that it is known what it is, it may be asked at another pace.
        self.schedule = plan.balancer.schedule();
        self.next_look = self.out + self.schedule.pace.first;
        if let Some(remark) = terms.remark {
            self.entry.tell(&Event::Remark(remark), |_| {});
        }
        self.outlived = terms.outlived;
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
        if plan.min_wait.is_some() && !self.has_evidence() {
            self.delay = Some(self.floor); // the one thing the operator said about waiting
        }
    }

    /// Whether anything can show that it has drained.
    fn has_evidence(&self) -> bool {
        self.delay.is_some() || self.reported.is_some() || !self.ports.is_empty() || self.ended()
    }

    /// Whether the entry is gone, and its connections with it.
    fn ended(&self) -> bool {
        self.gone && !self.outlived
    }

    /// Says once that only the budget's end will end this.
    fn tell_nothing(&mut self) {
        if !self.told_nothing && !self.has_evidence() && !self.undrained {
            self.told_nothing = true;
            self.entry.tell(&Event::NoEvidence, |_| {});
        }
    }

    /// Takes in what the load balancer says.
    fn saw(&mut self, view: &View) {
        self.gone = view.rotation == Rotation::NotAMember;
        self.tells = view.rotation != Rotation::Unknown;
        self.reported = view.in_flight;
        self.partial = view.partial;
        self.undrained = view.undrained;
        if self.reported != Some(0) {
            self.doubt = DOUBT;
            self.zero_at = Instant::now(); // as soon as that, with the next look
        }
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
        self.reported.is_none() && !self.undrained && !self.ports.is_empty()
    }

    /// Whether this host's connections may show what a partial count leaves out: they do, or have not been looked at
    /// since it came down to nothing.
    fn contradicted(&self) -> bool {
        let traffic = &self.entry.run.traffic;
        self.partial
            && !self.ports.is_empty()
            && traffic.blind().is_none()
            && !traffic.nothing_certain(&self.ports, self.zero_at)
    }

    /// Whether all that is missing is a look at this host's connections: no reason to ask the load balancer again.
    fn awaits_a_look_here(&self) -> bool {
        let looked_at = self.entry.run.traffic.looked_at();
        self.reported == Some(0) && self.contradicted() && looked_at < Some(self.zero_at)
    }

    /// Whether the load balancer counts nothing, this host's connections do not agree, and a look soon may settle it.
    fn doubts(&self) -> bool {
        self.reported == Some(0) && self.doubt < LONGEST_DOUBT && self.contradicted()
    }

    /// From when on a look at this host's connections proves that they have been quiet for long enough, unless it
    /// sees something in flight.
    fn proof_due(&self) -> Option<Instant> {
        if !self.watches_ports() {
            return None;
        }
        let run = self.entry.run;
        let since = run.traffic.quiet_since(&self.ports)?;
        Some((since.max(self.out) + run.waiting.quiet).max(self.out + self.floor))
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

    /// Whether the last look at this host's connections is too old to prove anything.
    fn needs_a_look(&self) -> bool {
        let looked_at = self.entry.run.traffic.looked_at();
        let due = self.proof_due().filter(|_| !self.inside);
        due.is_some_and(|due| due <= Instant::now() && looked_at < Some(due))
    }

    fn evidence(&self) -> Option<Evidence> {
        let now = Instant::now();
        if self.inside || now < self.out + self.floor {
            return None;
        }
        if self.ended() {
            return Some(Evidence::Gone);
        }
        if self.reported == Some(0) && !self.contradicted() {
            return Some(Evidence::LoadBalancer);
        }
        let looked_at = self.entry.run.traffic.looked_at();
        if self.proof_due().is_some_and(|due| looked_at >= Some(due)) {
            return Some(Evidence::Connections);
        }
        self.delay
            .filter(|delay| now >= self.out + *delay)
            .map(|_| Evidence::Delay)
    }

    /// The moment this host's connections fall silent is the moment to ask a load balancer that counts for
    /// itself. The look is brought forward, and the next one makes up for it: however often they fall silent,
    /// looks take no more than their share.
    fn heed_connections(&mut self) {
        let here = self.entry.run.traffic.in_flight(&self.ports);
        let silent = here == Some(0) && self.here.is_some_and(|before| before > 0);
        self.here = here;
        let tells = self.reported.is_some() || self.undrained;
        if silent && tells && self.ahead.is_none() && !self.makes_up {
            let now = Instant::now();
            self.ahead = Some(self.next_look.saturating_duration_since(now));
            self.next_look = now;
        }
    }

    /// When something may have changed without anybody telling us.
    fn wake(&self) -> Instant {
        let mut wake = match self.awaits_a_look_here() {
            true => Instant::now() + LONGEST_DOUBT,
            false => self.next_look,
        };
        let mut at = |time: Instant| {
            if time > Instant::now() {
                wake = wake.min(time);
            }
        };
        at(self.out + self.floor);
        if let Some(delay) = self.delay {
            at(self.out + delay);
        }
        if let Some(firm_at) = self.firm_at {
            at(firm_at);
        }
        if self.schedule.cut {
            at(self.entry.run.deadline.cut());
        }
        if let Some(due) = self.proof_due() {
            at(due);
        }
        wake
    }

    fn wants_firm(&self) -> bool {
        self.firm_at.is_some_and(|at| Instant::now() >= at)
    }

    /// One attempt: what else there is to see goes on being looked at between two of them.
    async fn take_firm(&mut self) {
        self.entry.change(|member| member.attempts += 1);
        let balancer = &self.entry.plan.balancer;
        let limit = self.limit();
        let asked = self
            .entry
            .once(
                "deregister",
                limit,
                balancer.deregister(self.target, Firmness::Firm, None),
            )
            .await;
        match asked {
            Ok(after) => {
                self.firm = true;
                self.firm_at = None;
                match after {
                    Some(view) => self.took_in(view).await,
                    None => self.look().await,
                }
                if !self.inside && !self.lost_sight {
                    self.entry.tell(&Event::Firm, |_| {});
                }
            }
            Err(error) => {
                let temporary = matches!(error.lifetime(), Lifetime::Temporary { .. });
                self.firm_at = temporary.then(|| Instant::now() + self.schedule.pace.far);
                self.lose_sight(&error);
            }
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

    /// How long one question may take.
    fn limit(&self) -> Duration {
        let patience = self.schedule.pace.far.max(self.schedule.attempt);
        self.entry.run.deadline.left().min(patience)
    }

    /// One look; what was undone behind our back is done again.
    async fn look(&mut self) {
        let begun = Instant::now();
        let looked = self
            .entry
            .once("look", self.limit(), self.entry.plan.balancer.look(self.target))
            .await;
        // On a busy host most of what a look took was our own waiting for a processor; the quickest of the last
        // looks comes nearest to what it cost the load balancer.
        self.cost = begun.elapsed().min(self.cost.mul_f64(1.25));
        match looked {
            Ok(view) => self.took_in(view).await,
            Err(error) => self.lose_sight(&error),
        }
    }

    /// What was seen, by a look or with the answer to a request to leave.
    async fn took_in(&mut self, view: View) {
        if view.rotation.may_route() {
            return self.take_out_again(&view).await;
        }
        self.lost_sight = false;
        if self.inside {
            self.is_out_again();
        }
        self.saw(&view);
        let ahead = self.ahead.take();
        self.makes_up = ahead.is_some();
        self.next_look = Instant::now() + self.pause() + ahead.unwrap_or_default();
    }

    async fn take_out_again(&mut self, seen: &View) {
        self.inside = true;
        let firmness = if self.firm {
            Firmness::Firm
        } else {
            Firmness::Drain
        };
        match put_back(self.entry, self.target, seen, firmness).await {
            Ok(view) => {
                self.is_out_again();
                self.saw(&view);
                self.next_look = Instant::now() + self.pause();
            }
            Err(error) => {
                self.entry.change(|member| member.error = Some(error.to_string()));
                self.lose_sight(&error);
            }
        }
    }

    fn is_out_again(&mut self) {
        self.inside = false;
        self.out = Instant::now(); // requests came in again until now
        self.zero_at = self.out;
        self.entry.change(|member| {
            member.standing = Standing::Out;
            member.error = None;
        });
    }

    /// The load balancer does not answer. Where it was out when it last did, this is no failure to leave; this
    /// host's own evidence has to do.
    fn lose_sight(&mut self, error: &lb_drain_api::Error) {
        self.reported = None;
        if !self.lost_sight {
            self.lost_sight = true;
            let event = Event::LostSight {
                error: error.to_string(),
                was_out: self.tells && !self.inside,
            };
            self.entry.tell(&event, |_| {});
        }
        self.next_look = Instant::now() + self.jittered(self.schedule.pace.far);
    }

    /// Fast when the end is near, slow when it is far, and never more of the load balancer's time than its share.
    fn pause(&self) -> Duration {
        let pace = self.schedule.pace;
        let many = self.in_flight().map_or(u32::MAX, |number| {
            u32::try_from(number / NEARLY).unwrap_or(u32::MAX)
        });
        let pause = pace
            .near
            .saturating_mul(many.saturating_add(1))
            .min(pace.far)
            .max(self.share());
        self.jittered(pause)
    }

    /// The time between two looks that its share allows, all entries of this load balancer together. What a look
    /// takes is mostly the way there where that is long: so it slows the looks down to the longest pause, no more.
    fn share(&self) -> Duration {
        let ledger = &self.entry.run.ledger;
        let balancer = ledger.members()[self.entry.number].balancer;
        let entries = u32::try_from(ledger.waiting(balancer)).unwrap_or(u32::MAX).max(1);
        let pace = self.schedule.pace;
        (self.cost * pace.share).min(pace.far).saturating_mul(entries)
    }

    /// Slow paces are jittered, so that a fleet that stops together does not ask together.
    fn jittered(&self, pause: Duration) -> Duration {
        if self.schedule.pace.far < Duration::from_secs(2) {
            pause
        } else {
            pause.mul_f64(0.5 + fastrand::f64())
        }
    }

    fn end(&self, evidence: Evidence) {
        if self.inside {
            return; // still in rotation, whoever has gone
        }
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
