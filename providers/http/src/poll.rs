//! The poll that tells when nothing is in flight any more.

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};

use lb_drain_api::{Error, Result, Rotation, SettingsError, View};
use serde_json::Value;

use crate::call::{Call, Common, Parts};
use crate::client::Clients;
use crate::condition::{Condition, Reading};
use crate::failure;
use crate::settings::{self, Drained};
use crate::statuses::Statuses;
use crate::template::Scope;
use crate::values::{Captured, Facts};

/// The `drained` poll.
#[derive(Debug)]
pub(crate) struct Poll {
    pub call: Call,
    expect: Statuses,
    gone: Statuses,
    condition: Condition,
    failed: Option<Condition>,
    /// The trouble that was told last: a poll repeats it many times a second.
    told: Mutex<Option<Error>>,
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
            method: &drained.method,
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

    /// Asks once.
    ///
    /// # Errors
    ///
    /// The failure condition holds. An answer that cannot be had or read is no error: it tells nothing, and
    /// the host has left already.
    pub(crate) async fn look(&self, facts: &Facts, clients: &Clients, captured: &Captured) -> Result<View> {
        match self.ask(facts, clients, captured).await {
            Ok(reading) if reading.holds => {
                Ok(view(Rotation::Out, Some(0), format!("drained: {}", reading.seen)))
            }
            Ok(reading) => Ok(view(
                Rotation::Unknown,
                reading.in_flight,
                format!("not drained: {}", reading.seen),
            )),
            Err(Trouble::Failed(error)) => Err(error),
            Err(Trouble::Unread(error)) => {
                self.tell(&error);
                Ok(view(
                    Rotation::Unknown,
                    None,
                    format!("drained cannot be told: {error}"),
                ))
            }
        }
    }

    fn tell(&self, error: &Error) {
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        if told.as_ref() != Some(error) {
            tracing::warn!("{error}; going by what this host sees until it can be told");
            *told = Some(error.clone());
        }
    }

    async fn ask(&self, facts: &Facts, clients: &Clients, captured: &Captured) -> Result<Reading, Trouble> {
        let sent = self
            .call
            .fill(facts, clients, captured)
            .await
            .map_err(Trouble::Unread)?;
        let status_only = !self.condition.reads_answer();
        let meant = |status| self.expect.contains(status) || self.gone.contains(status);
        let answer = sent.send(clients, meant).await.map_err(Trouble::Unread)?;
        let status = answer.status.as_u16();
        let said = || format!(r#"http {} answered "{}" with {status}"#, sent.origin, sent.line);
        let mut names = self.condition.names();
        names.extend(self.failed.iter().flat_map(Condition::names));
        let values = facts
            .resolve(&names, captured)
            .await
            .map_err(|missing| Trouble::Unread(Error::permanent(said(), missing.why)))?;
        if let Some(failed) = &self.failed {
            // An answer of another shape says nothing of a failure; it is judged below.
            if let Ok(reading) = failed.judge(&answer, &values)
                && reading.holds
            {
                let seen = sent.secrets.hide(&reading.seen);
                return Err(Trouble::Failed(Error::permanent(
                    said(),
                    format!("the drain has failed: {seen}"),
                )));
            }
        }
        if self.gone.contains(status) || (status_only && self.expect.contains(status)) {
            return Ok(Reading {
                holds: true,
                in_flight: None,
                seen: answer.status.to_string(),
            });
        }
        if !self.expect.contains(status) {
            // Without a condition, a healthy answer of another status says "not yet".
            if status_only && !answer.status.is_server_error() && !matches!(status, 401 | 403 | 407 | 429) {
                return Ok(Reading {
                    holds: false,
                    in_flight: None,
                    seen: answer.status.to_string(),
                });
            }
            return Err(Trouble::Unread(failure::refused(&sent, &answer, false)));
        }
        let reading = self.condition.judge(&answer, &values).map_err(|why| {
            Trouble::Unread(Error::permanent(said(), sent.secrets.hide(&why)).advise("check drained"))
        })?;
        Ok(Reading {
            seen: sent.secrets.hide(&reading.seen),
            ..reading
        })
    }
}

/// Why a poll does not tell.
enum Trouble {
    /// The failure condition holds.
    Failed(Error),
    /// There is no answer that could be read.
    Unread(Error),
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
