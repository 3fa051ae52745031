//! One target group as a [`LoadBalancer`].

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use lb_drain_api::{
    ATTEMPT, Error, Finding, Firmness, Found, Identity, LoadBalancer, Pace, Result, Rotation, Schedule,
    Target, Terms, View,
};
use serde_json::Value;

use crate::entry::{self, Entry, Seen, pair, registrations, target, view};
use crate::failure::{Failure, Kind};
use crate::kind;
use crate::reference::Reference;
use crate::session::Session;
use crate::{change, check, ours, terms};

/// The provider's name in configuration.
const PROVIDER: &str = "aws-elbv2";

/// How long after the floor the first look comes. Until the floor has passed nothing that AWS says can end
/// the wait, so an idle host is gone before it costs its account a look.
const AFTER_FLOOR: Duration = Duration::from_secs(5);

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
    /// This host's registrations as of the last answer. They are one entry to the engine, so its name is for
    /// people alone.
    seen: Option<Vec<Seen>>,
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

    fn remember(&self, seen: &[Seen]) {
        self.known().seen = Some(seen.to_vec());
    }

    /// This host's registrations by the last answer, where there are any.
    fn members(&self) -> Option<Vec<Entry>> {
        let known = self.known();
        let members = known
            .seen
            .iter()
            .flatten()
            .filter(|seen| seen.rotation != Rotation::NotAMember);
        let entries: Vec<Entry> = members.map(|seen| seen.entry.clone()).collect();
        (!entries.is_empty()).then_some(entries)
    }

    /// This host's registrations, looked for where that has not been done yet.
    async fn seen(&self) -> Result<Vec<Seen>> {
        let known = self.known().seen.clone();
        if let Some(seen) = known {
            return Ok(seen);
        }
        self.find().await?;
        Ok(self.known().seen.clone().unwrap_or_default())
    }

    /// What can be done where IAM does not allow to read the state: leave as configured, on trust.
    async fn blindly(&self, denied: Failure) -> Result<Vec<Found>> {
        if self.session.settings.port.is_none() {
            return Err(self.error(denied.advise(
                r#"allow elasticloadbalancing:DescribeTargetHealth on "*" to the role of this host, or set `port` to leave without being able to verify it"#,
            )));
        }
        let entry = ours::configured(&self.session, &self.reference)
            .await
            .map_err(|failure| self.error(failure))?;
        self.known().blind = true;
        Ok(vec![self.found(&[unreadable(entry)])])
    }

    fn found(&self, seen: &[Seen]) -> Found {
        let entries: Vec<Entry> = seen.iter().map(|seen| seen.entry.clone()).collect();
        self.remember(seen);
        Found {
            target: target(&entries),
            view: Ok(view(seen)),
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
            attempt: ATTEMPT,
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
        let ready = async { Ok((session.arn(&self.reference).await?, session.api().await?)) };
        let (arn, api) = ready.await.map_err(|failure| self.error(failure))?;
        let all = match api.health(&arn, None).await {
            Ok(all) => all,
            Err(failure) if failure.kind == Kind::Denied => return self.blindly(failure).await,
            Err(failure) => return Err(self.error(failure)),
        };
        let mine = ours::registered(session, &all)
            .await
            .map_err(|failure| self.error(failure))?;
        if mine.is_empty() {
            let stranger = Seen::gone(ours::stranger(session, &all), "not registered");
            return Ok(vec![self.found(&[stranger])]);
        }
        Ok(vec![self.found(&mine)])
    }

    async fn look(&self, _: &Target) -> Result<View> {
        let before = self.seen().await?;
        if self.known().blind {
            return Ok(view(&before));
        }
        let asked: Vec<Entry> = before.iter().map(|seen| seen.entry.clone()).collect();
        let answered = async {
            let arn = self.session.arn(&self.reference).await?;
            let api = self.session.api().await?;
            match api.health(&arn, Some(&asked)).await {
                // One of them does not exist any more; what the group holds tells of the others.
                Err(failure) if failure.kind == Kind::InvalidTarget => api.health(&arn, None).await,
                answered => answered,
            }
        };
        let seen = match answered.await {
            Ok(answered) => pair(&asked, &answered),
            Err(failure) if failure.kind == Kind::NoSuchGroup => {
                gone(&asked, "the target group no longer exists")
            }
            Err(failure) if failure.kind == Kind::Denied => {
                self.known().blind = true;
                asked.into_iter().map(unreadable).collect()
            }
            Err(failure) => return Err(self.error(failure)),
        };
        self.remember(&seen);
        Ok(view(&seen))
    }

    async fn terms(&self, target: &Target) -> Result<Terms> {
        let blind = self.known().blind;
        let learned = terms::learn(&self.session, &self.reference, target, blind).await;
        self.known().floor = learned.min_wait;
        Ok(learned)
    }

    async fn deregister(&self, _: &Target, _: Firmness) -> Result<()> {
        let seen = self.seen().await?;
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
            change::deregister(&self.session.api().await?, &arn, &leaving).await
        };
        match asked.await {
            // Deleted a moment ago, with all that was in it; the look that follows tells.
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

    async fn register(&self, _: &Target, before: Option<&Value>) -> Result<()> {
        let recorded = registrations(before.unwrap_or(&Value::Null)).map_err(|error| {
            self.error(
                Failure::lasting("cannot read what was registered before", error.to_string())
                    .advise("remove the record; the configuration then tells what to register"),
            )
        })?;
        // Without a record, what is registered comes before what the configuration says: without a `port`, that
        // would be a second registration, on the group's default port.
        let entries = match recorded.or_else(|| self.members()) {
            Some(entries) => entries,
            None => vec![
                ours::configured(&self.session, &self.reference)
                    .await
                    .map_err(|failure| self.error(failure))?,
            ],
        };
        let asked = async {
            let arn = self.session.arn(&self.reference).await?;
            change::register(&self.session.api().await?, &arn, &entries).await
        };
        asked.await.map_err(|failure| self.error(failure))?;
        let seen: Vec<Seen> = entries
            .into_iter()
            .map(|entry| Seen {
                entry,
                rotation: Rotation::NotInService,
                state: "registered".to_owned(),
            })
            .collect();
        self.remember(&seen);
        Ok(())
    }

    async fn others_in_service(&self, _: &Target) -> Result<Option<u64>> {
        let ours = self.seen().await?;
        if self.known().blind {
            return Ok(None);
        }
        let asked = async {
            let arn = self.session.arn(&self.reference).await?;
            self.session.api().await?.health(&arn, None).await
        };
        match asked.await {
            Ok(all) => {
                let is_ours = |seen: &Seen| ours.iter().any(|own| own.entry.id == seen.entry.id);
                let others = all
                    .iter()
                    .filter(|seen| !is_ours(seen) && seen.rotation == Rotation::InService);
                Ok(Some(others.count() as u64))
            }
            Err(failure) if failure.kind == Kind::Denied => Ok(None),
            Err(failure) => Err(self.error(failure)),
        }
    }

    async fn check(&self) -> Vec<Finding> {
        check::check(&self.session, &self.reference, self.find().await).await
    }
}

fn unreadable(entry: Entry) -> Seen {
    Seen {
        entry,
        rotation: Rotation::Unknown,
        state: "not permitted to be read".to_owned(),
    }
}

fn gone(entries: &[Entry], state: &str) -> Vec<Seen> {
    entries
        .iter()
        .map(|entry| entry::Seen::gone(entry.clone(), state))
        .collect()
}
