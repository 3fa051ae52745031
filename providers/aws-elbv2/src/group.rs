//! One target group as a [`LoadBalancer`].

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use lb_drain_api::{
    Error, Finding, Firmness, Found, Identity, LoadBalancer, Pace, Result, Rotation, Schedule, Target, Terms,
    View,
};
use serde_json::Value;

use crate::entry::{self, Entry, Seen, pair, registrations, target, view};
use crate::failure::{Failure, Kind};
use crate::kind;
use crate::reference::Reference;
use crate::session::Session;
use crate::{check, terms};

/// The provider's name in configuration.
const PROVIDER: &str = "aws-elbv2";

/// How long after the floor the first look comes. Until the floor has passed nothing that AWS says can end
/// the wait, so an idle host is gone before it costs its account a look.
const AFTER_FLOOR: Duration = Duration::from_secs(5);

/// How long to leave an address that is still draining before it is tried again.
const STILL_DRAINING: Duration = Duration::from_secs(5);

/// One target group.
#[derive(Debug)]
pub(crate) struct Group {
    identity: Identity,
    reference: Reference,
    session: Arc<Session>,
    known: Mutex<Known>,
}

/// What has been learned so far.
#[derive(Debug, Default)]
struct Known {
    /// This host's registrations as of the last answer, under the name given to the engine.
    target: Option<(Target, Vec<Seen>)>,
    /// The action that IAM denies, where state cannot be read.
    blind: bool,
    /// How long this kind of load balancer needs for changes, where it has been asked for.
    floor: Option<Duration>,
}

impl Group {
    pub(crate) fn new(reference: Reference, session: Arc<Session>) -> Self {
        Self {
            identity: Identity {
                provider: PROVIDER,
                endpoint: reference.name().to_owned(),
            },
            reference,
            session,
            known: Mutex::default(),
        }
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        // Nothing panics while holding it; and what it holds stays true.
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn error(&self, failure: Failure) -> Error {
        failure.of(&self.identity.endpoint)
    }

    fn remember(&self, target: &Target, seen: &[Seen]) {
        self.known().target = Some((target.clone(), seen.to_vec()));
    }

    /// The registrations behind a target's name; looked for again where another process found them.
    async fn seen(&self, target: &Target) -> Result<Vec<Seen>> {
        let remembered = |known: &Known| match &known.target {
            Some((name, seen)) if name == target => Some(seen.clone()),
            _ => None,
        };
        if let Some(seen) = remembered(&self.known()) {
            return Ok(seen);
        }
        self.find().await?;
        Ok(remembered(&self.known()).unwrap_or_default())
    }

    /// Which of a group's registrations are this host's.
    async fn mine(&self, all: Vec<Seen>) -> Result<Vec<Seen>, Failure> {
        let settings = &self.session.settings;
        let on_port = |seen: &Seen| settings.port.is_none() || seen.entry.port == settings.port;
        let mine = |test: &dyn Fn(&str) -> bool| -> Vec<Seen> {
            let of_host = all.iter().filter(|seen| test(&seen.entry.id));
            of_host.filter(|seen| on_port(seen)).cloned().collect()
        };
        if let Some(id) = &settings.target_id {
            return Ok(mine(&|described| id.is(described)));
        }
        // A group holds either addresses or instances, so the ids show its type.
        if all.iter().any(|seen| seen.entry.id.starts_with("i-")) {
            let own = self.session.instance_id().await?;
            return Ok(mine(&|described| described == own));
        }
        let addresses = &self.session.host.addresses;
        Ok(mine(&|described| {
            described
                .parse()
                .is_ok_and(|address| addresses.contains(&address))
        }))
    }

    /// How to name this host where it is not registered: without a call to AWS, as a stop is then done.
    async fn stranger(&self, all: &[Seen]) -> Entry {
        let settings = &self.session.settings;
        let addresses = &self.session.host.addresses;
        let by_address = all.iter().any(|seen| !seen.entry.id.starts_with("i-"));
        let id = match (&settings.target_id, addresses.first()) {
            (Some(id), _) => id.to_string(),
            (None, Some(address)) if by_address => address.to_string(),
            _ => match self.session.instance_id().await {
                Ok(id) => id,
                Err(_) => self.session.host.hostname.clone(),
            },
        };
        Entry::new(id, settings.port)
    }

    /// The registration that the configuration describes.
    async fn configured(&self) -> Result<Entry, Failure> {
        let Session { settings, host, .. } = &*self.session;
        if let Some(id) = &settings.target_id {
            return Ok(Entry::new(id.to_string(), settings.port));
        }
        let target_type = match self.session.group(&self.reference).await {
            Ok(group) => group.target_type,
            // Most groups hold instances, and a refused registration is told.
            Err(failure) if failure.kind == Kind::Denied => "instance".to_owned(),
            Err(failure) => return Err(failure),
        };
        let deed = "does not know this host";
        match (target_type.as_str(), &host.addresses[..]) {
            ("instance", _) => Ok(Entry::new(self.session.instance_id().await?, settings.port)),
            ("ip", [address]) => Ok(Entry::new(address.to_string(), settings.port)),
            ("ip", addresses) => {
                let why = format!(
                    "its targets are addresses, and this host has {} of them",
                    addresses.len()
                );
                Err(Failure::lasting(deed, why).advise("set `target_id` to the one that is registered"))
            }
            (other, _) => Err(
                Failure::lasting(deed, format!("its targets are of type {other}, not hosts"))
                    .advise("take it out of `target_groups`"),
            ),
        }
    }

    /// What can be done where IAM does not allow to read the state: leave as configured, on trust.
    async fn blindly(&self, denied: Failure) -> Result<Vec<Found>> {
        if self.session.settings.port.is_none() {
            return Err(self.error(denied.advise(
                r#"allow elasticloadbalancing:DescribeTargetHealth on "*" to the role of this host, or set `port` to leave without being able to verify it"#,
            )));
        }
        let entry = self.configured().await.map_err(|failure| self.error(failure))?;
        let seen = [Seen {
            entry,
            rotation: Rotation::Unknown,
            state: "not permitted to be read".to_owned(),
        }];
        self.known().blind = true;
        Ok(vec![self.found(&seen)])
    }

    fn found(&self, seen: &[Seen]) -> Found {
        let entries: Vec<Entry> = seen.iter().map(|seen| seen.entry.clone()).collect();
        let target = target(&entries);
        self.remember(&target, seen);
        Found {
            target,
            view: Ok(view(seen)),
        }
    }

    /// An address that is draining cannot be registered until its delay is over.
    async fn expect_free(&self, arn: &str, entries: &[Entry]) -> Result<()> {
        if entries.iter().all(|entry| entry.id.starts_with("i-")) {
            return Ok(());
        }
        let api = self.session.api().await.map_err(|failure| self.error(failure))?;
        let seen = match api.health(arn, Some(entries)).await {
            Ok(seen) => seen,
            Err(failure) if matches!(failure.kind, Kind::Denied | Kind::InvalidTarget) => return Ok(()),
            Err(failure) => return Err(self.error(failure)),
        };
        match seen.iter().find(|seen| seen.rotation == Rotation::Out) {
            None => Ok(()),
            Some(draining) => Err(self
                .error(
                    Failure::passing(
                        "cannot take this host back yet",
                        format!("{} is still draining", draining.entry.id),
                    )
                    .advise(
                        "an address can be registered again only after its deregistration delay; raise the budget or lower the delay",
                    ),
                )
                .retry_after(STILL_DRAINING)),
        }
    }
}

#[async_trait]
impl LoadBalancer for Group {
    fn identity(&self) -> &Identity {
        &self.identity
    }

    fn schedule(&self) -> Schedule {
        let floor = self.known().floor.unwrap_or(kind::Kind::Application.floor());
        Schedule {
            firm_after: None,
            cut: false,
            pace: Pace {
                first: floor + AFTER_FLOOR,
                // Only the host's own connections show an early end; AWS shows the end of the delay.
                near: Duration::from_secs(10),
                far: Duration::from_secs(60),
                share: 100,
            },
        }
    }

    async fn find(&self) -> Result<Vec<Found>> {
        let session = &self.session;
        let all = async {
            let arn = session.arn(&self.reference).await?;
            session.api().await?.health(&arn, None).await
        };
        let all = match all.await {
            Ok(all) => all,
            Err(failure)
                if failure.kind == Kind::Denied && failure.deed.ends_with("DescribeTargetHealth") =>
            {
                return self.blindly(failure).await;
            }
            Err(failure) => return Err(self.error(failure)),
        };
        let mine = self
            .mine(all.clone())
            .await
            .map_err(|failure| self.error(failure))?;
        if mine.is_empty() {
            let stranger = Seen::gone(self.stranger(&all).await, "not registered");
            return Ok(vec![self.found(&[stranger])]);
        }
        Ok(vec![self.found(&mine)])
    }

    async fn look(&self, target: &Target) -> Result<View> {
        let before = self.seen(target).await?;
        if self.known().blind {
            return Ok(view(&before));
        }
        let asked: Vec<Entry> = before.iter().map(|seen| seen.entry.clone()).collect();
        let answered = async {
            let arn = self.session.arn(&self.reference).await?;
            self.session.api().await?.health(&arn, Some(&asked)).await
        };
        let seen = match answered.await {
            Ok(answered) => pair(&asked, &answered),
            // Both say that AWS has forgotten what it knew a moment ago.
            Err(failure) if failure.kind == Kind::InvalidTarget => {
                gone(&asked, "the target no longer exists")
            }
            Err(failure) if failure.kind == Kind::NoSuchGroup => {
                gone(&asked, "the target group no longer exists")
            }
            Err(failure) => return Err(self.error(failure)),
        };
        self.remember(target, &seen);
        Ok(view(&seen))
    }

    async fn terms(&self, target: &Target) -> Result<Terms> {
        let blind = self.known().blind;
        let learned = terms::learn(&self.session, &self.reference, target, blind).await;
        self.known().floor = learned.min_wait;
        Ok(learned)
    }

    async fn deregister(&self, target: &Target, _: Firmness) -> Result<()> {
        let seen = self.seen(target).await?;
        // Exactly what is ours and in: what drains already is left to drain.
        let leaving: Vec<Entry> = seen
            .iter()
            .filter(|seen| seen.rotation.may_route() || seen.rotation == Rotation::Unknown)
            .map(|seen| seen.entry.clone())
            .collect();
        if leaving.is_empty() {
            return Ok(());
        }
        let blind = self.known().blind;
        let asked = async {
            let arn = self.session.arn(&self.reference).await?;
            self.session.api().await?.deregister(&arn, &leaving).await
        };
        match asked.await {
            // It is gone already; the look that follows tells.
            Err(failure) if failure.kind == Kind::InvalidTarget => Ok(()),
            Err(failure) if failure.kind == Kind::NoSuchGroup && !blind => Ok(()),
            asked => asked.map_err(|failure| self.error(failure)),
        }
    }

    async fn cut(&self, _: &Target) -> Result<()> {
        Err(self.error(Failure::lasting(
            "cannot end requests in flight",
            "the API has no such action",
        )))
    }

    async fn register(&self, target: &Target, before: Option<&Value>) -> Result<()> {
        let recorded = registrations(before.unwrap_or(&Value::Null)).map_err(|error| {
            self.error(
                Failure::lasting("cannot read what was registered before", error.to_string())
                    .advise("remove the record; the configuration then tells what to register"),
            )
        })?;
        let entries = match recorded {
            Some(entries) => entries,
            None => vec![self.configured().await.map_err(|failure| self.error(failure))?],
        };
        let arn = self
            .session
            .arn(&self.reference)
            .await
            .map_err(|failure| self.error(failure))?;
        self.expect_free(&arn, &entries).await?;
        let asked = async { self.session.api().await?.register(&arn, &entries).await };
        asked.await.map_err(|failure| self.error(failure))?;
        let seen: Vec<Seen> = entries
            .into_iter()
            .map(|entry| Seen {
                entry,
                rotation: Rotation::NotInService,
                state: "registered".to_owned(),
            })
            .collect();
        self.remember(target, &seen);
        Ok(())
    }

    async fn check(&self) -> Vec<Finding> {
        check::check(&self.session, &self.reference, self.find().await).await
    }
}

fn gone(entries: &[Entry], state: &str) -> Vec<Seen> {
    entries
        .iter()
        .map(|entry| entry::Seen::gone(entry.clone(), state))
        .collect()
}
