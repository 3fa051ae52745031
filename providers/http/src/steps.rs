//! A list of requests run in order, with what one answer gives to the next.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, PoisonError};

use crate::answer::Answer;
use crate::call::{Call, Common, Parts, Sent};
use crate::capture::Capture;
use crate::client::Clients;
use crate::condition::Condition;
use crate::failure;
use crate::settings::{self, Request};
use crate::statuses::Statuses;
use crate::template::Scope;
use crate::values::{Captured, Facts, Name};
use lb_drain_api::{Error, Result, SettingsError};

/// One request of a list, and what its answer means.
#[derive(Debug, Clone)]
pub(crate) struct Step {
    pub call: Call,
    expect: Statuses,
    gone: Option<Condition>,
    retry: Statuses,
    until: Option<Condition>,
    capture: BTreeMap<String, Capture>,
}

/// How a list ended.
#[derive(Debug)]
pub(crate) struct Ended {
    /// Whether an answer said that there was nothing left to do.
    pub gone: bool,
    /// The last answer's status, for people.
    pub said: String,
    pub captured: Captured,
}

/// How far a list has come, so that a repeated run does not repeat what must not be.
#[derive(Debug, Default)]
pub(crate) struct Progress(Mutex<Kept>);

#[derive(Debug, Clone, Default)]
struct Kept {
    /// The first request to send: the one after the last that was carried out and must not be again. What
    /// comes before a refused request is asked anew, because what it captured (an ETag) may be why.
    from: usize,
    /// What had been captured then.
    captured: Captured,
    /// The request that has been sent, must not be sent again, and has not been answered.
    in_doubt: Option<usize>,
}

impl Step {
    /// Reads a list. `scope` holds the names that stand from the start, `captured` those of them that an
    /// answer gave.
    ///
    /// # Errors
    ///
    /// What is wrong, named by `list` and the request's number.
    pub(crate) fn read_all(
        list: &'static str,
        requests: &[Request],
        common: &Common,
        scope: &Scope,
        captured: &BTreeSet<String>,
    ) -> Result<Vec<Self>, SettingsError> {
        let (mut scope, mut captured) = (scope.clone(), captured.clone());
        let mut steps = Vec::new();
        for (number, request) in requests.iter().enumerate() {
            let step = Self::read(request, common, &scope, &captured).map_err(|error| {
                let number = if requests.len() > 1 {
                    format!("request {}: ", number + 1)
                } else {
                    String::new()
                };
                SettingsError::new(list, format!("{number}{error}"))
            })?;
            for name in request.capture.keys() {
                scope.own.insert(name.clone());
                captured.insert(name.clone());
            }
            steps.push(step);
        }
        Ok(steps)
    }

    fn read(
        request: &Request,
        common: &Common,
        scope: &Scope,
        captured: &BTreeSet<String>,
    ) -> Result<Self, SettingsError> {
        let parts = Parts {
            method: &request.method,
            url: &request.url.text(),
            headers: &request.headers,
            body: request.body.as_ref(),
            repeat: request.repeat,
        };
        let call = Call::read(&parts, common, scope, captured)?;
        if request.until.is_some() && !call.repeatable {
            let message = "asks again and again, which a request that must not be repeated cannot; give the poll a \
                           request of its own";
            return Err(SettingsError::new("until", message));
        }
        let gone = request
            .gone
            .as_ref()
            .map(|keys| Condition::read(keys, scope))
            .transpose();
        let gone = gone.map_err(|error| SettingsError::new("gone", error.to_string()))?;
        if gone.as_ref().is_some_and(Condition::is_empty) {
            return Err(SettingsError::new(
                "gone",
                "says nothing; give it statuses, a pointer or a text",
            ));
        }
        let capture = |(name, capture): (&String, &settings::Capture)| {
            if !matches!(Name::read(name), Name::Own(_)) || !crate::template::is_name(name) {
                return Err(SettingsError::new(
                    "capture",
                    format!("{name} is no name for a value of one's own"),
                ));
            }
            Ok((name.clone(), Capture::read(capture, scope)?))
        };
        Ok(Self {
            call,
            expect: request.expect.clone(),
            gone,
            retry: request.retry.clone(),
            until: request
                .until
                .as_ref()
                .map(|keys| Condition::read(keys, scope))
                .transpose()?,
            capture: request.capture.iter().map(capture).collect::<Result<_, _>>()?,
        })
    }

    /// The names that it takes from elsewhere.
    pub(crate) fn names(&self) -> BTreeSet<Name> {
        let mut names = self.call.names();
        names.extend(self.reading());
        names
    }

    /// The names that it captures.
    pub(crate) fn captures(&self) -> impl Iterator<Item = &String> {
        self.capture.keys()
    }

    /// The names that reading its answer takes.
    fn reading(&self) -> BTreeSet<Name> {
        let conditions = self.until.iter().chain(&self.gone).map(Condition::names);
        let captures = self.capture.values().map(Capture::names);
        conditions.chain(captures).flatten().collect()
    }

    /// Whether a status has a meaning here beside the usual one.
    fn means(&self, status: u16) -> bool {
        let gone = self.gone.as_ref().and_then(Condition::statuses);
        [Some(&self.expect), gone, Some(&self.retry)]
            .into_iter()
            .flatten()
            .any(|statuses| statuses.contains(status))
    }

    /// Reads what the answer says. `None`: it says that there is nothing left to do.
    async fn understand(
        &self,
        sent: &Sent<'_>,
        answer: &Answer,
        facts: &Facts,
        captured: &Captured,
    ) -> Result<Option<Captured>> {
        let status = answer.status.as_u16();
        let said = || format!(r#"http {} answered "{}" with {status}"#, sent.origin, sent.line);
        let unread = |key: &str, why: &str| {
            Error::permanent(said(), sent.secrets.hide(why)).advise(format!("check {key}"))
        };
        let values = facts.resolve(&self.reading(), captured).await;
        let values = values.map_err(|missing| Error::permanent(said(), missing.why))?;
        let expected = self.expect.contains(status);
        if let Some(gone) = &self.gone {
            // One that names its statuses counts for those; any other for the answers that are expected.
            let concerned = gone
                .statuses()
                .map_or(expected, |statuses| statuses.contains(status));
            if concerned
                && gone
                    .judge(answer, &values)
                    .map_err(|why| unread("gone", &why))?
                    .holds
            {
                return Ok(None);
            }
        }
        if !expected {
            return Err(failure::refused(sent, answer, self.retry.contains(status)));
        }
        if let Some(until) = &self.until {
            let reading = until
                .judge(answer, &values)
                .map_err(|why| unread("until", &why))?;
            if !reading.holds {
                let seen = sent.secrets.hide(&reading.seen);
                return Err(Error::temporary(said(), format!("not there yet: {seen}")));
            }
        }
        let mut new = Captured::new();
        for (name, capture) in &self.capture {
            let value = capture
                .take(answer, &values)
                .map_err(|why| unread("capture", &why))?;
            let Some(value) = value else {
                let why = format!("without {capture}, which {name} is captured from");
                return Err(unread("capture, and what the server knows of this host", &why));
            };
            new.insert(name.clone(), value);
        }
        Ok(Some(new))
    }
}

/// Runs a list from where it stands.
pub(crate) async fn run(
    steps: &[Step],
    progress: &Progress,
    given: &Captured,
    facts: &Facts,
    clients: &Clients,
) -> Result<Ended> {
    let mut kept = progress.get();
    if let Some(step) = kept.in_doubt.and_then(|number| steps.get(number)) {
        return Err(failure::given_up(
            &step.call.origin(facts),
            &step.call.line(facts),
        ));
    }
    let mut captured = given.clone();
    captured.append(&mut kept.captured.clone());
    let mut said = "nothing to ask".to_owned();
    for (number, step) in steps.iter().enumerate().skip(kept.from) {
        let sent = step.call.fill(facts, clients, &captured).await?;
        if !step.call.repeatable {
            kept.in_doubt = Some(number);
            progress.set(kept.clone());
        }
        let answer = sent.send(clients, |status| step.means(status)).await;
        // What comes back at all is known: either an answer, or an error that says what to do about it.
        if !step.call.repeatable {
            kept.in_doubt = None;
            progress.set(kept.clone());
        }
        let answer = answer?;
        said = answer.status.to_string();
        match step.understand(&sent, &answer, facts, &captured).await? {
            Some(mut new) => captured.append(&mut new),
            None => {
                progress.set(Kept::default());
                return Ok(Ended {
                    gone: true,
                    said,
                    captured,
                });
            }
        }
        if !step.call.repeatable {
            kept = Kept {
                from: number + 1,
                captured: captured.clone(),
                in_doubt: None,
            };
            progress.set(kept.clone());
        }
    }
    progress.set(Kept::default());
    Ok(Ended {
        gone: false,
        said,
        captured,
    })
}

impl Progress {
    // A panic while the lock was held leaves a whole value behind.
    fn get(&self) -> Kept {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn set(&self, kept: Kept) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = kept;
    }
}
