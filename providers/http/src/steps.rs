//! A list of requests run in order, with what one answer gives to the next.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, PoisonError};

use crate::answer::{Answer, Interest};
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
    pub end: End,
    /// What the last answer said, for people.
    pub said: String,
    pub captured: Captured,
}

/// Where a list ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    /// At its end.
    Done,
    /// An answer said that there was nothing left to do.
    Gone,
    /// As `Gone`, because what the request names is not there: it has left, or it has another name.
    Missing,
}

/// What an answer says.
enum Understood {
    Done(Captured),
    Gone {
        missing: bool,
        said: String,
        captured: Captured,
    },
}

/// How far a list has come, so that a repeated run does not repeat what must not be.
#[derive(Debug, Default)]
pub(crate) struct Progress(Mutex<Kept>);

#[derive(Debug, Clone, Default)]
struct Kept {
    /// The first request to send: the one after the last that was carried out and must not be again, or the one
    /// that waits for what those before it began. What comes before any other request that failed is asked anew,
    /// because what it captured (an ETag) may be why.
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
            method: &request.method.text(),
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
        let until = request
            .until
            .as_ref()
            .map(|keys| Condition::read(keys, scope))
            .transpose()?;
        for (key, condition) in [("gone", &gone), ("until", &until)] {
            if condition.as_ref().is_some_and(Condition::is_empty) {
                return Err(SettingsError::new(
                    key,
                    "says nothing; give it statuses, a pointer or a text",
                ));
            }
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
            until,
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

    /// Whether it can say that there is nothing left to do.
    pub(crate) fn knows_gone(&self) -> bool {
        self.gone.is_some()
    }

    /// The names that reading its answer takes.
    pub(crate) fn reading(&self) -> BTreeSet<Name> {
        let conditions = self.until.iter().chain(&self.gone).map(Condition::names);
        let captures = self.capture.values().map(Capture::names);
        conditions.chain(captures).flatten().collect()
    }

    /// Whether `gone` counts for a status: for those that it names, else for those that are expected.
    fn may_be_gone(&self, status: u16) -> bool {
        self.gone
            .as_ref()
            .is_some_and(|gone| gone.statuses().unwrap_or(&self.expect).contains(status))
    }

    fn interest(&self, status: u16) -> Interest {
        let reads = |condition: &Option<Condition>| condition.as_ref().is_some_and(Condition::reads_answer);
        if self.may_be_gone(status) && reads(&self.gone) {
            Interest::Whole
        } else if self.expect.contains(status) {
            match reads(&self.until) || !self.capture.is_empty() {
                true => Interest::Whole,
                false => Interest::Status,
            }
        } else if self.may_be_gone(status) {
            Interest::Status
        } else if self.retry.contains(status) {
            Interest::Whole // for its words
        } else {
            Interest::None
        }
    }

    /// Reads what the answer says.
    async fn understand(
        &self,
        sent: &Sent<'_>,
        answer: &Answer,
        facts: &Facts,
        captured: &Captured,
    ) -> Result<Understood> {
        let status = answer.status.as_u16();
        let said = || format!(r#"http {} answered "{}" with {status}"#, sent.origin, sent.line);
        let unread = |key: &str, why: &str| {
            Error::permanent(said(), sent.secrets.hide(why)).advise(format!("check {key}"))
        };
        let values = facts.resolve(&self.reading(), captured).await;
        let values = values.map_err(|missing| Error::permanent(said(), missing.why))?;
        let expected = self.expect.contains(status);
        if let Some(gone) = self.gone.as_ref().filter(|_| self.may_be_gone(status)) {
            let reading = gone.judge(answer, &values).map_err(|why| unread("gone", &why))?;
            if reading.holds {
                // `drained` may need what the answer holds all the same.
                let taken = |(name, capture): (&String, &Capture)| {
                    Some((name.clone(), capture.take(answer, &values).ok()??))
                };
                return Ok(Understood::Gone {
                    missing: reading.absent || matches!(status, 404 | 410),
                    said: sent.secrets.hide(&reading.seen),
                    captured: self.capture.iter().filter_map(taken).collect(),
                });
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
        Ok(Understood::Done(new))
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
        if step.until.is_some() && step.call.is_safe() {
            kept = Kept {
                from: number,
                captured: captured.clone(),
                in_doubt: None,
            };
            progress.set(kept.clone());
        }
        if !step.call.repeatable {
            kept.in_doubt = Some(number);
            progress.set(kept.clone());
        }
        let answer = sent.send(clients, |status| step.interest(status)).await;
        // What comes back at all is known: either an answer, or an error that says what to do about it.
        if !step.call.repeatable {
            kept.in_doubt = None;
            progress.set(kept.clone());
        }
        let answer = answer?;
        said = answer.status.to_string();
        match step.understand(&sent, &answer, facts, &captured).await? {
            Understood::Done(mut new) => captured.append(&mut new),
            Understood::Gone {
                missing,
                said,
                captured: mut new,
            } => {
                captured.append(&mut new);
                progress.set(Kept::default());
                return Ok(Ended {
                    end: if missing { End::Missing } else { End::Gone },
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
        end: End::Done,
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
