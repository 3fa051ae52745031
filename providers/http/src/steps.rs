//! A list of requests run in order, with what one answer gives to the next.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, PoisonError};

use lb_drain_api::{Error, Result, SettingsError};
use serde_json::Value;

use crate::answer::Answer;
use crate::call::{Call, Common, Parts, Sent};
use crate::client::Clients;
use crate::condition::Condition;
use crate::failure;
use crate::pick::Pick;
use crate::settings::{self, Request};
use crate::statuses::Statuses;
use crate::template::Scope;
use crate::values::{Captured, Facts, Name};

/// One request of a list, and what its answer means.
#[derive(Debug, Clone)]
pub(crate) struct Step {
    pub call: Call,
    expect: Statuses,
    gone: Statuses,
    retry: Statuses,
    until: Option<Condition>,
    capture: BTreeMap<String, Capture>,
}

#[derive(Debug, Clone)]
enum Capture {
    Header(String),
    Value { pick: Pick, index: bool, gone: bool },
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
            gone: request.gone.clone(),
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
        let picks = self.capture.values().filter_map(|capture| match capture {
            Capture::Value { pick, .. } => Some(pick.names()),
            Capture::Header(_) => None,
        });
        picks
            .chain(self.until.iter().map(Condition::names))
            .flatten()
            .collect()
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
        if self.gone.contains(status) {
            return Ok(None);
        }
        if !self.expect.contains(status) {
            return Err(failure::refused(sent, answer, self.retry.contains(status)));
        }
        let said = || format!(r#"http {} answered "{}" with {status}"#, sent.origin, sent.line);
        let values = facts
            .resolve(&self.reading(), captured)
            .await
            .map_err(|missing| Error::permanent(said(), missing.why))?;
        if let Some(until) = &self.until {
            let reading = until
                .judge(answer, &values)
                .map_err(|why| Error::permanent(said(), sent.secrets.hide(&why)).advise("check until"))?;
            if !reading.holds {
                return Err(Error::temporary(
                    said(),
                    format!("not there yet: {}", sent.secrets.hide(&reading.seen)),
                ));
            }
        }
        let mut new = Captured::new();
        for (name, capture) in &self.capture {
            let value = match capture {
                Capture::Header(header) => answer.header(header).map(Value::from),
                Capture::Value { pick, index, gone } => {
                    let json = answer.json();
                    let picked = json
                        .as_ref()
                        .map_err(Clone::clone)
                        .and_then(|json| pick.find(json, &values));
                    let picked =
                        picked.map_err(|why| Error::permanent(said(), why).advise("check capture"))?;
                    match picked {
                        None if *gone => return Ok(None),
                        None => None,
                        Some(picked) if *index => picked.index.map(Value::from),
                        Some(picked) => Some(picked.value.clone()),
                    }
                }
            };
            let Some(value) = value else {
                let why = match capture {
                    Capture::Header(header) => {
                        format!("without the header {header} that {name} is captured from")
                    }
                    Capture::Value { pick, .. } => {
                        format!("in which there is no {pick} to capture {name} from")
                    }
                };
                return Err(Error::permanent(said(), why)
                    .advise("check capture and what the server knows of this host"));
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
        let meant = |status| {
            step.expect.contains(status) || step.gone.contains(status) || step.retry.contains(status)
        };
        let answer = sent.send(clients, meant).await;
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

impl Capture {
    fn read(capture: &settings::Capture, scope: &Scope) -> Result<Self, SettingsError> {
        match capture {
            settings::Capture::Short(text) => match text.strip_prefix("header:") {
                Some(name) if !name.trim().is_empty() => Ok(Self::Header(name.trim().to_owned())),
                Some(_) => Err(SettingsError::new(
                    "capture",
                    "header: needs a name, such as header:ETag",
                )),
                None => Ok(Self::Value {
                    pick: Pick::read(None, &BTreeMap::new(), Some(text), scope)?,
                    index: false,
                    gone: false,
                }),
            },
            settings::Capture::Element(element) => {
                if element.index && element.pointer.is_some() {
                    return Err(SettingsError::new(
                        "index",
                        "does not go with pointer: choose one",
                    ));
                }
                if element.matching.is_empty() {
                    return Err(SettingsError::new(
                        "where",
                        "is missing: the fields by which the element is found",
                    ));
                }
                Ok(Self::Value {
                    pick: Pick::read(
                        element.array.as_deref(),
                        &element.matching,
                        element.pointer.as_deref(),
                        scope,
                    )?,
                    index: element.index,
                    gone: element.gone,
                })
            }
        }
    }
}
