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
use crate::terms::Learned;
use crate::{change, check, ours, terms};

/// The provider's name in configuration.
const PROVIDER: &str = "aws-elbv2";

/// The state of what IAM does not allow to be read.
const UNVERIFIED: &str = "could not be verified: elasticloadbalancing:DescribeTargetHealth is not permitted";

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
    /// Whether one of them has been a member since this process looks: a stranger has nothing in flight.
    ours: bool,
    /// Whether IAM denies reading the state.
    blind: bool,
    /// What has been learned of waiting.
    learned: Option<Learned>,
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
        let mut known = self.known();
        known.ours |= seen.iter().any(|one| one.rotation != Rotation::NotAMember);
        known.seen = Some(seen.to_vec());
    }

    /// What is known of waiting, asked for as long as AWS has not said all of it.
    async fn learned(&self) -> Learned {
        let learned = self.known().learned.clone();
        if let Some(learned) = learned.filter(|learned| learned.certain) {
            return learned;
        }
        let learned = terms::learn(&self.session, &self.reference).await;
        self.known().learned = Some(learned.clone());
        learned
    }

    /// The state of registrations that were looked at.
    fn shown(&self, seen: &[Seen]) -> View {
        let mut view = view(seen);
        let known = self.known();
        if let Some(learned) = &known.learned {
            view.undrained = learned.unseen
                && match view.rotation {
                    Rotation::Out => true,
                    Rotation::NotAMember => known.ours && learned.terms.outlived,
                    _ => false,
                };
        }
        view
    }

    /// This host's registrations by the last answer, where there are any.
    fn members(&self) -> Option<Vec<Entry>> {
        let entries = entry::returning(self.known().seen.as_deref()?);
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
        Ok(vec![self.found(&unreadable(vec![entry]))])
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
        let known = self.known().learned.clone();
        // Whose kind is not known is taken for the slowest.
        let known_floor = known
            .as_ref()
            .map_or(kind::Kind::Network.floor(), |learned| learned.floor);
        let first = match &known {
            // One look more, and at once: it is what tells that quiet connections are no evidence.
            Some(learned) if learned.unseen => Duration::ZERO,
            Some(learned) => learned.floor + AFTER_FLOOR,
            None => kind::Kind::Application.floor() + AFTER_FLOOR,
        };
        Schedule {
            firm_after: None,
            cut: false,
            attempt: ATTEMPT,
            floor: known_floor,
            pace: Pace {
                first,
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
        let asked: Vec<Entry> = before.into_iter().map(|seen| seen.entry).collect();
        if self.known().blind {
            // Whatever was told of it before, it has not been seen.
            return Ok(view(&unreadable(asked)));
        }
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
                let seen = gone(&asked, "the target group no longer exists");
                self.remember(&seen);
                return Ok(view(&seen));
            }
            Err(failure) if failure.kind == Kind::Denied => {
                self.known().blind = true;
                return Ok(view(&unreadable(asked)));
            }
            Err(failure) => return Err(self.error(failure)),
        };
        self.remember(&seen);
        Ok(self.shown(&seen))
    }

    async fn terms(&self, _: &Target) -> Result<Terms> {
        Ok(self.learned().await.terms)
    }

    async fn deregister(&self, _: &Target, _: Firmness, _: Option<&View>) -> Result<Option<View>> {
        let seen = self.seen().await?;
        let leaving = entry::leaving(&seen);
        if leaving.is_empty() {
            return Ok(None);
        }
        let blind = self.known().blind;
        let asked = async {
            let arn = self.session.arn(&self.reference).await?;
            change::deregister(&self.session.api().await?, &arn, &leaving).await
        };
        match asked.await {
            // Gone a moment ago; the look that follows tells. Where none can, the refusal is all that is known.
            Err(failure) if matches!(failure.kind, Kind::NoSuchGroup | Kind::InvalidTarget) && !blind => {
                Ok(None)
            }
            Err(failure) => Err(self.error(failure)),
            Ok(()) => Ok(None),
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

    async fn others_in_service(&self, _target: &Target, _leaving: &[Target]) -> Result<Option<u64>> {
        // Whatever the group has of this host, on any port, is one entry.
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

fn unreadable(entries: Vec<Entry>) -> Vec<Seen> {
    let unreadable = |entry| Seen {
        entry,
        rotation: Rotation::Unknown,
        state: UNVERIFIED.to_owned(),
    };
    entries.into_iter().map(unreadable).collect()
}

fn gone(entries: &[Entry], state: &str) -> Vec<Seen> {
    entries
        .iter()
        .map(|entry| Seen::gone(entry.clone(), state))
        .collect()
}
