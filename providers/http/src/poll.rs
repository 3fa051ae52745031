//! The poll that tells when nothing is in flight any more.

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use lb_drain_api::{Error, Result, Rotation, SettingsError, View};
use serde_json::Value;

use crate::answer::Interest;
use crate::call::{Call, Common, Parts};
use crate::client::Clients;
use crate::condition::{Condition, Reading};
use crate::failure;
use crate::settings::{self, Drained};
use crate::statuses::Statuses;
use crate::template::Scope;
use crate::values::{Captured, Facts, Name};

/// The longest time for one poll: shorter than what the engine gives a look, so that silence is told as what it is,
/// and is no reason to give anything up.
const LIMIT: Duration = Duration::from_millis(1500);

/// The `drained` poll.
#[derive(Debug)]
pub(crate) struct Poll {
    pub call: Call,
    expect: Statuses,
    gone: Statuses,
    condition: Condition,
    failed: Option<Condition>,
    /// The statuses whose trouble was told (`None`: there was no answer): a poll repeats it many times a second, and
    /// words of the server that differ each time, such as a request's number, make it no other trouble.
    told: Mutex<BTreeSet<Option<u16>>>,
}

impl Poll {
    /// # Errors
    ///
    /// What is wrong with which key.
    pub(crate) fn read(
        drained: &Drained,
        common: &Common,
        scope: &Scope,
        captured: &BTreeSet<String>,
    ) -> Result<Self, SettingsError> {
        Self::try_read(drained, common, scope, captured)
            .map_err(|error| SettingsError::new("drained", error.to_string()))
    }

    fn try_read(
        drained: &Drained,
        common: &Common,
        scope: &Scope,
        captured: &BTreeSet<String>,
    ) -> Result<Self, SettingsError> {
        let parts = Parts {
            method: &drained.method.text(),
            url: &drained.url.text(),
            headers: &drained.headers,
            body: drained.body.as_ref(),
            repeat: Some(true),
        };
        let condition = settings::Condition {
            status: None,
            array: drained.array.clone(),
            matching: drained.matching.clone(),
            pointer: drained.pointer.clone(),
            op: drained.op,
            value: drained.value.clone(),
            text: drained.text.clone(),
            or_absent: drained.or_absent,
        };
        let failed = drained
            .failed
            .as_ref()
            .map(|keys| Condition::read(keys, scope))
            .transpose()?;
        if failed.as_ref().is_some_and(Condition::is_empty) {
            return Err(SettingsError::new(
                "failed",
                "says nothing; give it a status, a pointer or a text",
            ));
        }
        Ok(Self {
            call: Call::read(&parts, common, scope, captured)?,
            expect: drained.expect.clone(),
            gone: drained.gone.clone(),
            condition: Condition::read(&condition, scope)?,
            failed,
            told: Mutex::default(),
        })
    }

    /// The names that it takes from elsewhere.
    pub(crate) fn names(&self) -> BTreeSet<Name> {
        let mut names = self.call.names();
        names.extend(self.reading());
        names
    }

    /// The names that reading its answer takes.
    pub(crate) fn reading(&self) -> BTreeSet<Name> {
        let mut names = self.condition.names();
        names.extend(self.failed.iter().flat_map(Condition::names));
        names
    }

    fn interest(&self, status: u16) -> Interest {
        let expected = self.expect.contains(status);
        if !expected && !self.gone.contains(status) {
            return Interest::None;
        }
        let failing = self.failed.as_ref().is_some_and(Condition::reads_answer);
        match failing || (expected && self.condition.reads_answer()) {
            true => Interest::Whole,
            false => Interest::Status,
        }
    }

    /// Asks once. An answer that cannot be had or read is no error: it tells nothing, and the host has left already.
    pub(crate) async fn look(&self, facts: &Facts, clients: &Clients, captured: &Captured) -> View {
        match self.ask(facts, clients, captured).await {
            Ok(reading) if reading.holds => {
                view(Rotation::Out, Some(0), format!("drained: {}", reading.seen))
            }
            // A count speaks for itself; of what is not there, nothing was said.
            Ok(reading) => View {
                undrained: reading.in_flight.is_none() && !reading.absent,
                ..view(
                    Rotation::Unknown,
                    reading.in_flight,
                    format!("not drained: {}", reading.seen),
                )
            },
            // Then this host is where it was, and has to leave once more.
            Err(Trouble::Failed(seen)) => {
                view(Rotation::InService, None, format!("the drain has failed: {seen}"))
            }
            Err(Trouble::Unread(status, error)) => {
                self.tell(status, &error);
                view(
                    Rotation::Unknown,
                    None,
                    format!("drained cannot be told: {error}"),
                )
            }
        }
    }

    fn tell(&self, status: Option<u16>, error: &Error) {
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        if told.insert(status) {
            tracing::warn!("{error}; going by what this host sees until it can be told");
        }
    }

    async fn ask(&self, facts: &Facts, clients: &Clients, captured: &Captured) -> Result<Reading, Trouble> {
        let unheard = |error| Trouble::Unread(None, error);
        let mut sent = self.call.fill(facts, clients, captured).await.map_err(unheard)?;
        sent.limit = sent.limit.min(LIMIT);
        let status_only = !self.condition.reads_answer();
        let answer = sent
            .send(clients, |status| self.interest(status))
            .await
            .map_err(unheard)?;
        let status = answer.status.as_u16();
        let said = || format!(r#"http {} answered "{}" with {status}"#, sent.origin, sent.line);
        let unread = |error| Trouble::Unread(Some(status), error);
        let values = facts
            .resolve(&self.reading(), captured)
            .await
            .map_err(|missing| unread(Error::permanent(said(), missing.why)))?;
        if let Some(failed) = &self.failed {
            // An answer of another shape says nothing of a failure; it is judged below.
            if let Ok(reading) = failed.judge(&answer, &values)
                && reading.holds
            {
                return Err(Trouble::Failed(sent.secrets.hide(&reading.seen)));
            }
        }
        if self.gone.contains(status) || (status_only && self.expect.contains(status)) {
            return Ok(Reading {
                holds: true,
                in_flight: None,
                absent: false,
                seen: answer.status.to_string(),
            });
        }
        if !self.expect.contains(status) {
            // Without a condition, a healthy answer of another status says "not yet".
            if status_only && !answer.status.is_server_error() && !matches!(status, 401 | 403 | 407 | 429) {
                return Ok(Reading {
                    holds: false,
                    in_flight: None,
                    absent: false,
                    seen: answer.status.to_string(),
                });
            }
            return Err(unread(failure::refused(&sent, &answer, false)));
        }
        let reading = self.condition.judge(&answer, &values).map_err(|why| {
            unread(Error::permanent(said(), sent.secrets.hide(&why)).advise("check drained"))
        })?;
        Ok(Reading {
            seen: sent.secrets.hide(&reading.seen),
            ..reading
        })
    }
}

/// Why a poll does not tell.
enum Trouble {
    /// The failure condition holds: what was seen.
    Failed(String),
    /// There is no answer (of this status) that could be read.
    Unread(Option<u16>, Error),
}

/// What is known of this host's entry.
pub(crate) fn view(rotation: Rotation, in_flight: Option<u64>, state: String) -> View {
    View {
        rotation,
        in_flight,
        undrained: false,
        partial: false,
        state,
        ports: Vec::new(),
        before: Value::Null,
    }
}
