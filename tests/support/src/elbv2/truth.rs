//! What is registered where, and in which state: the truth that answers and tests are drawn from.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// A target group, as a test wants it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TargetGroup {
    /// Its name.
    pub name: String,
    /// Its region.
    pub region: String,
    /// `HTTP`, `HTTPS`, `TCP`, `TLS`, `UDP`, `TCP_UDP`, `GENEVE`: tells the kind of load balancer.
    pub protocol: String,
    /// `instance` or `ip`.
    pub target_type: String,
    /// The port of targets that are registered without one.
    pub port: u16,
    /// Its deregistration delay, as the attributes tell it.
    pub delay: Duration,
    /// Whether connections that are open after the delay are closed then, as the attributes of a network load
    /// balancer's target group tell it.
    pub closes: bool,
    /// How long draining takes in truth: `delay`, unless a test has no time for it.
    pub drains_for: Duration,
    /// How long a registered target is `initial`.
    pub warm_up: Duration,
}

impl TargetGroup {
    /// A target group of instances behind an application load balancer, with everything at its default.
    #[must_use]
    pub fn new(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            region: "eu-west-1".to_owned(),
            protocol: "HTTP".to_owned(),
            target_type: "instance".to_owned(),
            port: 80,
            delay: Duration::from_secs(300),
            closes: false,
            drains_for: Duration::from_secs(300),
            warm_up: Duration::ZERO,
        }
    }

    /// The kind of load balancer, as ARNs name it.
    pub(super) fn kind(&self) -> &'static str {
        match self.protocol.as_str() {
            "HTTP" | "HTTPS" => "app",
            "GENEVE" => "gwy",
            _ => "net",
        }
    }
}

/// A registration.
#[derive(Debug, Clone)]
pub(super) struct Target {
    pub(super) id: String,
    pub(super) port: u16,
    pub(super) zone: Option<String>,
    state: String,
    reason: String,
    until: Option<Instant>,
}

#[derive(Debug)]
pub(super) struct Group {
    pub(super) arn: String,
    pub(super) made: TargetGroup,
    targets: Vec<Target>,
}

#[derive(Debug)]
pub(super) struct Truth {
    pub(super) groups: BTreeMap<String, Group>,
    pub(super) terminated: Vec<String>,
    pub(super) page: usize,
    pub(super) now: Instant,
}

impl Default for Truth {
    fn default() -> Self {
        Self {
            groups: BTreeMap::new(),
            terminated: Vec::new(),
            page: 400,
            now: Instant::now(),
        }
    }
}

impl Truth {
    pub(super) fn add(&mut self, made: TargetGroup) -> String {
        let arn = format!(
            "arn:aws:elasticloadbalancing:{}:123456789012:targetgroup/{}/{:016x}",
            made.region,
            made.name,
            self.groups.len() + 1
        );
        let group = Group {
            arn: arn.clone(),
            made,
            targets: Vec::new(),
        };
        self.groups.insert(arn.clone(), group);
        arn
    }

    pub(super) fn delete(&mut self, arn: &str) {
        self.groups.remove(arn);
    }

    pub(super) fn put(
        &mut self,
        arn: &str,
        id: &str,
        port: u16,
        zone: Option<&str>,
        state: &str,
        reason: &str,
    ) {
        let group = self
            .groups
            .get_mut(arn)
            .expect("a target group that the test has added");
        group
            .targets
            .retain(|target| !(target.id == id && target.port == port));
        group.targets.push(Target {
            id: id.to_owned(),
            port,
            zone: zone.map(str::to_owned),
            state: state.to_owned(),
            reason: reason.to_owned(),
            until: None,
        });
    }

    pub(super) fn drain(&mut self, arn: &str, id: &str, port: u16) {
        let now = Instant::now();
        let group = self
            .groups
            .get_mut(arn)
            .expect("a target group that the test has added");
        group.deregister(id, port, None, now, true);
    }

    pub(super) fn terminate(&mut self, id: &str) {
        self.terminated.push(id.to_owned());
        for group in self.groups.values_mut() {
            group.targets.retain(|target| target.id != id);
        }
    }

    pub(super) fn remove(&mut self, arn: &str, id: &str, port: u16) {
        if let Some(group) = self.groups.get_mut(arn) {
            group
                .targets
                .retain(|target| !(target.id == id && target.port == port));
        }
    }

    pub(super) fn settle(&mut self) {
        for group in self.groups.values_mut() {
            let end = group.targets.iter().filter_map(|target| target.until).max();
            if let Some(end) = end {
                group.settle(end);
            }
        }
    }

    pub(super) fn snapshot(&self) -> String {
        let targets = self.groups.values().flat_map(|group| {
            let name = &group.made.name;
            let targets = group.targets.iter();
            targets.map(move |target| {
                let Target {
                    id,
                    port,
                    zone,
                    state,
                    ..
                } = target;
                format!("{name} {id}:{port} {zone:?} {state}\n")
            })
        });
        let mut lines: Vec<String> = targets.collect();
        lines.sort();
        lines.concat()
    }

    pub(super) fn zone(&self, arn: &str, id: &str, port: u16) -> Option<String> {
        self.groups.get(arn)?.find(id, port)?.zone.clone()
    }

    pub(super) fn state(&mut self, arn: &str, id: &str, port: u16) -> Option<String> {
        let group = self.groups.get_mut(arn)?;
        group.settle(Instant::now());
        group.find(id, port).map(|target| target.state.clone())
    }
}

impl Group {
    pub(super) fn find(&self, id: &str, port: u16) -> Option<&Target> {
        self.targets
            .iter()
            .find(|target| target.id == id && target.port == port)
    }

    /// Every registration, as of `now`.
    pub(super) fn targets(&mut self, now: Instant) -> &[Target] {
        self.settle(now);
        &self.targets
    }

    /// Lets pass what has passed: targets that have drained are gone, those that were initial are healthy.
    fn settle(&mut self, now: Instant) {
        let over = |target: &Target| target.until.is_some_and(|until| until <= now);
        self.targets
            .retain(|target| target.state != "draining" || !over(target));
        for target in self.targets.iter_mut().filter(|target| target.state == "initial") {
            if target.until.is_some_and(|until| until <= now) {
                *target = Target {
                    state: "healthy".to_owned(),
                    reason: String::new(),
                    until: None,
                    ..target.clone()
                };
            }
        }
    }

    /// Nothing happens unless id, port and, where it is registered with one, the zone are named; and
    /// nothing happens to a target that drains already.
    pub(super) fn deregister(
        &mut self,
        id: &str,
        port: u16,
        zone: Option<&str>,
        now: Instant,
        any_zone: bool,
    ) {
        self.settle(now);
        let until = now + self.made.drains_for;
        let target = self.targets.iter_mut().find(|target| {
            target.id == id && target.port == port && (any_zone || target.zone.as_deref() == zone)
        });
        if let Some(target) = target.filter(|target| target.state != "draining") {
            "draining".clone_into(&mut target.state);
            "Target.DeregistrationInProgress".clone_into(&mut target.reason);
            target.until = Some(until);
        }
    }

    /// A draining instance is taken back; a draining address is not.
    pub(super) fn register(
        &mut self,
        id: &str,
        port: u16,
        zone: Option<&str>,
        now: Instant,
    ) -> Result<(), String> {
        self.settle(now);
        if let Some(target) = self.find(id, port) {
            if target.state != "draining" {
                return Ok(());
            }
            if self.made.target_type == "ip" {
                return Err(format!(
                    "The IP address '{id}' is draining and cannot be registered yet"
                ));
            }
        }
        self.targets
            .retain(|target| !(target.id == id && target.port == port));
        let (state, reason, until) = if self.made.warm_up.is_zero() {
            ("healthy", "", None)
        } else {
            (
                "initial",
                "Elb.RegistrationInProgress",
                Some(now + self.made.warm_up),
            )
        };
        self.targets.push(Target {
            id: id.to_owned(),
            port,
            zone: zone.map(str::to_owned),
            state: state.to_owned(),
            reason: reason.to_owned(),
            until,
        });
        Ok(())
    }
}

impl Target {
    pub(super) fn state(&self) -> &str {
        &self.state
    }

    pub(super) fn reason(&self) -> &str {
        &self.reason
    }
}
