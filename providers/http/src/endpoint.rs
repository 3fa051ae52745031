//! One HTTP control endpoint: what each verb asks of it.

use std::collections::{BTreeMap, BTreeSet};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::{Mutex, Once, PoisonError};
use std::time::Duration;

use lb_drain_api::{
    ATTEMPT, Error, Finding, Firmness, Found, Host, Identity, LoadBalancer, NO_WAY_BACK, Pace, Result,
    Rotation, Schedule, SettingsError, Severity, Target, Terms, View, async_trait,
};
use serde_json::Value;

use crate::call::{Call, Common};
use crate::check;
use crate::client::Clients;
use crate::poll::{Poll, view};
use crate::settings::Settings;
use crate::source::Source;
use crate::steps::{End, Ended, Progress, Step, run};
use crate::template::{Scope, Template};
use crate::tls::Tls;
use crate::values::{Captured, Facts, Name};

/// How often `drained` is asked: a control endpoint answers in about a millisecond, so ten times a second
/// near the end costs it 1 %.
const PACE: Pace = Pace {
    first: Duration::from_millis(100),
    near: Duration::from_millis(100),
    far: Duration::from_secs(2),
    share: 100,
};
/// The state of an entry that nothing was asked of: what is configured are requests that change it.
const NOT_ASKED: &str = "its state is not asked for";
/// The longest time for one request where the configuration names none. A third of the budget at most: one
/// silent answer must leave time to ask again.
const LIMIT: Duration = Duration::from_secs(10);

/// One HTTP control endpoint.
#[derive(Debug)]
pub(crate) struct Endpoint {
    identity: Identity,
    target: Target,
    deregister: Vec<Step>,
    register: Option<Vec<Step>>,
    drained: Option<Poll>,
    /// Captured by `deregister`'s first requests and needed by `register`: this is what `before` carries.
    kept: BTreeSet<String>,
    facts: Facts,
    clients: Clients,
    sources: Vec<Source>,
    leaving: Progress,
    returning: Progress,
    /// How long the engine's first attempt has to be.
    attempt: Duration,
    exposure_told: Once,
    stands: Mutex<Stands>,
}

/// What this run has come to.
#[derive(Debug, Clone)]
enum Stands {
    /// This host has not left, and may have come back, in these words.
    Here(String),
    /// It has left: what `deregister` captured, and what was said to it.
    Left(Captured, String),
}

impl Endpoint {
    /// # Errors
    ///
    /// A setting that cannot be meant.
    pub(crate) fn new(settings: &Settings, host: &Host) -> Result<Self, SettingsError> {
        let variables = variables(settings)?;
        let common = Common {
            headers: settings.headers.clone(),
            bearer: settings.bearer.clone(),
            basic: settings.basic.clone(),
        };
        if settings.client_key.is_some() && settings.client_cert.is_none() {
            return Err(SettingsError::new(
                "client_key",
                "needs client_cert: the certificate that it belongs to",
            ));
        }
        if settings.deregister.is_empty() {
            return Err(SettingsError::new(
                "deregister",
                "is empty: the request that takes this host out",
            ));
        }
        let mut scope = Scope {
            own: variables.keys().cloned().collect(),
        };
        let deregister = Step::read_all(
            "deregister",
            &settings.deregister,
            &common,
            &scope,
            &BTreeSet::new(),
        )?;
        let captured: BTreeSet<String> = deregister.iter().flat_map(Step::captures).cloned().collect();
        scope.own.extend(captured.iter().cloned());
        let drained = settings
            .drained
            .as_ref()
            .map(|drained| Poll::read(drained, &common, &scope, &captured));
        let register = settings
            .register
            .as_ref()
            .map(|requests| Step::read_all("register", requests, &common, &scope, &captured))
            .transpose()?;
        let kept = needed(register.as_deref().unwrap_or_default(), &captured);
        recordable(&kept, &deregister, &variables)?;
        let facts = Facts::new(host, variables);
        let drained = drained.transpose()?;
        needs_ports(host, &deregister, register.as_deref(), drained.as_ref(), &facts)?;
        // The request that changes something names the entry; a list may start with questions.
        let telling = deregister
            .iter()
            .rfind(|step| !step.call.is_safe())
            .or(deregister.last());
        let telling = telling.map(|step| (step.call.origin(&facts), step.call.line(&facts)));
        let (endpoint, line) = telling.unwrap_or_default();
        let limit = limit(settings, host);
        let attempt = attempt(
            settings,
            limit,
            &deregister,
            register.as_deref().unwrap_or_default(),
        );
        Ok(Self {
            identity: Identity {
                provider: crate::NAME,
                endpoint,
            },
            target: Target::new(line + &mark(settings)),
            drained,
            clients: Clients::new(tls(settings), limit),
            sources: sources(settings),
            leaving: Progress::default(),
            returning: Progress::default(),
            attempt,
            exposure_told: Once::new(),
            stands: Mutex::new(Stands::Here(NOT_ASKED.to_owned())),
            deregister,
            register,
            kept,
            facts,
        })
    }

    /// Tells once of secrets that would travel in plain text. Not in `new`, when nobody listens yet.
    fn warn_of_exposure(&self) {
        self.exposure_told.call_once(|| self.tell_exposure());
    }

    fn tell_exposure(&self) {
        let mut told = BTreeSet::new();
        for call in self.calls() {
            let origin = call.origin(&self.facts);
            if call.exposes(&self.facts) && told.insert(origin.clone()) {
                tracing::warn!(
                    "{origin} is plain http, and is sent a secret: whoever is on the way can read it; use https"
                );
            }
        }
    }

    fn calls(&self) -> impl Iterator<Item = &Call> {
        let steps = self
            .deregister
            .iter()
            .chain(self.register.iter().flatten())
            .map(|step| &step.call);
        steps.chain(self.drained.iter().map(|poll| &poll.call))
    }

    /// The first requests of `deregister`, which only read, where `register` needs what they capture or they can
    /// tell that the host has left already: its entry has to be known before it is touched.
    async fn before(&self) -> Result<Option<Ended>> {
        let reading = self
            .deregister
            .iter()
            .take_while(|step| step.call.is_safe())
            .count();
        let (steps, changing) = self.deregister.split_at(reading);
        // Where all of them are GETs, one of them is what takes the host out.
        let knows_gone = !changing.is_empty() && steps.iter().any(Step::knows_gone);
        if self.kept.is_empty() && !knows_gone {
            return Ok(None);
        }
        run(
            steps,
            &Progress::default(),
            &Captured::new(),
            &self.facts,
            &self.clients,
        )
        .await
        .map(Some)
    }

    fn stands(&self) -> Stands {
        self.stands.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn set_stands(&self, stands: Stands) {
        *self.stands.lock().unwrap_or_else(PoisonError::into_inner) = stands;
    }

    /// Takes in that this host has left, and returns how, for people.
    fn has_left(&self, ended: Ended) -> String {
        let said = said(&ended);
        if ended.end == End::Missing {
            tracing::warn!(
                r#"http {} has nothing to take out for "{}": {}; so this host counts as gone there. If it is in service under another name, correct its section"#,
                self.identity.endpoint,
                self.target,
                ended.said
            );
        }
        self.set_stands(Stands::Left(ended.captured, said.clone()));
        said
    }
}

#[async_trait]
impl LoadBalancer for Endpoint {
    fn identity(&self) -> &Identity {
        &self.identity
    }

    fn schedule(&self) -> Schedule {
        Schedule {
            firm_after: None,
            cut: false,
            attempt: self.attempt,
            floor: Duration::ZERO,
            pace: PACE,
        }
    }

    /// One entry. Nothing is asked, unless only the entry as it is now can tell what `register` will need, or
    /// whether it has left already.
    ///
    /// `drained` is not asked either: before the host has left, a count of 0 says nothing of rotation.
    async fn find(&self) -> Result<Vec<Found>> {
        self.warn_of_exposure();
        let view = match self.before().await? {
            None => view(Rotation::Unknown, None, NOT_ASKED.to_owned()),
            // Whoever took it out may have left requests in flight: `drained` is asked from here on.
            Some(ended) if ended.end != End::Done => view(Rotation::Out, None, self.has_left(ended)),
            Some(ended) => {
                let kept = ended
                    .captured
                    .into_iter()
                    .filter(|(name, _)| self.kept.contains(name));
                let kept: serde_json::Map<_, _> = kept.collect();
                View {
                    before: if kept.is_empty() { Value::Null } else { kept.into() },
                    ..view(Rotation::Unknown, None, NOT_ASKED.to_owned())
                }
            }
        };
        Ok(vec![Found {
            target: self.target.clone(),
            view: Ok(view),
        }])
    }

    /// What `drained` tells, once this run has left; before that, and without it, nothing is known.
    async fn look(&self, _target: &Target) -> Result<View> {
        Ok(match (self.stands(), &self.drained) {
            (Stands::Here(said), _) | (Stands::Left(_, said), None) => view(Rotation::Unknown, None, said),
            (Stands::Left(captured, _), Some(poll)) => poll.look(&self.facts, &self.clients, &captured).await,
        })
    }

    /// Nothing is known in general: `min_wait` and `max_wait` are configuration.
    async fn terms(&self, _target: &Target) -> Result<Terms> {
        Ok(Terms::default())
    }

    /// Runs the list. `Firm` is never asked for: there is one way to leave.
    async fn deregister(
        &self,
        _target: &Target,
        _firmness: Firmness,
        _seen: Option<&View>,
    ) -> Result<Option<View>> {
        let ended = run(
            &self.deregister,
            &self.leaving,
            &Captured::new(),
            &self.facts,
            &self.clients,
        )
        .await?;
        self.has_left(ended);
        Ok(None)
    }

    async fn cut(&self, target: &Target) -> Result<()> {
        let what = format!(
            "http {} has no request that cuts {target}",
            self.identity.endpoint
        );
        Err(Error::permanent(
            what,
            "an HTTP endpoint in general knows no such thing",
        ))
    }

    async fn register(&self, _target: &Target, before: Option<&Value>) -> Result<()> {
        self.warn_of_exposure();
        let Some(register) = &self.register else {
            let what = format!(
                "http {} cannot be told that this host is back",
                self.identity.endpoint
            );
            return Err(Error::permanent(what, "its section has no register request")
                .advise("add [load_balancer.register], or register = [] if the host comes back by itself"));
        };
        let given: Captured = match before {
            Some(Value::Object(kept)) => kept.clone().into_iter().collect(),
            _ => Captured::new(),
        };
        let on_record =
            |name: &&String| given.contains_key(*name) || self.facts.variables().contains_key(*name);
        if let Some(name) = self.kept.iter().find(|name| !on_record(name)) {
            let what = format!(
                "http {} cannot be told that this host is back",
                self.identity.endpoint
            );
            return Err(Error::permanent(
                what,
                format!("{{{name}}} is not on record, because no deregister captured it"),
            )
            .advise(format!(
                "give {name} a value in variables, for when there is no record"
            )));
        }
        let ended = run(register, &self.returning, &given, &self.facts, &self.clients).await?;
        let said = match ended.end {
            End::Done => format!("accepted: {}", ended.said),
            End::Gone | End::Missing => format!("nothing to do: {}", ended.said),
        };
        self.set_stands(Stands::Here(said));
        Ok(())
    }

    /// An endpoint in general knows no such thing.
    async fn others_in_service(&self, _target: &Target, _leaving: &[Target]) -> Result<Option<u64>> {
        Ok(None)
    }

    async fn check(&self) -> Vec<Finding> {
        let mut findings = check::readable_by_all(self.sources.iter());
        let mut connected = BTreeSet::new();
        // What is captured only when it is run: any value will do to see whether the rest is right.
        let steps = self.deregister.iter().chain(self.register.iter().flatten());
        let captured: Captured = steps
            .flat_map(Step::captures)
            .map(|name| (name.clone(), Value::from(0)))
            .collect();
        let of_step = |step: &Step| (step.call.clone(), step.reading());
        let drained = self
            .drained
            .iter()
            .map(|poll| (poll.call.clone(), poll.reading()));
        let leaving = self.deregister.iter().map(of_step);
        let returning = self.register.iter().flatten().map(of_step);
        let verbs: [(&str, Vec<check::Asked>); 3] = [
            ("deregister", leaving.collect()),
            ("drained", drained.collect()),
            ("register", returning.collect()),
        ];
        for (verb, asked) in verbs {
            findings.extend(
                check::requests(
                    verb,
                    &asked,
                    &self.facts,
                    &self.clients,
                    &captured,
                    &mut connected,
                )
                .await,
            );
        }
        if self.register.is_none() {
            findings.push(Finding {
                remedy: Some(
                    "add [load_balancer.register], or register = [] if it comes back by itself".to_owned(),
                ),
                ..check::finding(
                    Severity::Warning,
                    format!("{} has no register request", self.identity.endpoint),
                    NO_WAY_BACK.to_owned(),
                )
            });
        }
        findings
    }
}

fn variables(settings: &Settings) -> Result<BTreeMap<String, Template>, SettingsError> {
    let read = |(name, text): (&String, &crate::settings::Text)| {
        if !matches!(Name::read(name), Name::Own(_)) || !crate::template::is_name(name) {
            let message = format!("{name} is no name for a variable of one's own");
            return Err(SettingsError::new("variables", message));
        }
        Ok((
            name.clone(),
            Template::read_value("variables", &text.0, &Scope::default())?,
        ))
    };
    settings.variables.iter().map(read).collect()
}

/// What `register` takes from `deregister`'s captures: what it uses before it captures it itself.
fn needed(register: &[Step], captured: &BTreeSet<String>) -> BTreeSet<String> {
    let mut own = BTreeSet::new();
    let mut needed = BTreeSet::new();
    for step in register {
        for name in step.names() {
            if let Name::Own(name) = name
                && captured.contains(&name)
                && !own.contains(&name)
            {
                needed.insert(name);
            }
        }
        own.extend(step.captures().cloned());
    }
    needed
}

/// Only what can be read before anything is changed can be put on record for `register`.
fn recordable(
    kept: &BTreeSet<String>,
    deregister: &[Step],
    variables: &BTreeMap<String, Template>,
) -> Result<(), SettingsError> {
    let reading = deregister.iter().take_while(|step| step.call.is_safe());
    let readable: BTreeSet<&String> = reading.flat_map(Step::captures).collect();
    match kept
        .iter()
        .find(|name| !readable.contains(name) && !variables.contains_key(*name))
    {
        None => Ok(()),
        Some(name) => Err(SettingsError::new(
            "register",
            format!(
                "{{{name}}} is captured after deregister has begun to change things, so it cannot be on record; \
                 capture it in a GET at the beginning of deregister, or in register itself"
            ),
        )),
    }
}

/// `{port}` without `ports` is an error of the configuration, not of the moment.
fn needs_ports(
    host: &Host,
    deregister: &[Step],
    register: Option<&[Step]>,
    drained: Option<&Poll>,
    facts: &Facts,
) -> Result<(), SettingsError> {
    let steps = deregister.iter().chain(register.into_iter().flatten());
    let in_variables = facts.variables().values().flat_map(Template::names);
    let used = steps
        .flat_map(Step::names)
        .chain(drained.into_iter().flat_map(Poll::names))
        .chain(in_variables)
        .any(|name| name == Name::Port);
    if used && host.ports.is_empty() {
        return Err(SettingsError::new(
            "deregister",
            "{port} needs `ports` in the configuration",
        ));
    }
    Ok(())
}

fn tls(settings: &Settings) -> Tls {
    Tls {
        ca_file: settings.ca_file.clone(),
        client_cert: settings.client_cert.clone(),
        client_key: settings.client_key.clone(),
    }
}

fn limit(settings: &Settings, host: &Host) -> Duration {
    let third = if host.budget.is_zero() {
        LIMIT
    } else {
        host.budget / 3
    };
    settings.timeout.unwrap_or(LIMIT.min(third))
}

/// How long the engine's first attempt at a verb has to be. What must not be repeated, and what the configuration
/// grants a time, ends by its own limit and by nothing else: a list may take that for each of its requests, and a
/// little more to fill them in.
fn attempt(settings: &Settings, limit: Duration, deregister: &[Step], register: &[Step]) -> Duration {
    let repeatable = deregister.iter().chain(register).all(|step| step.call.repeatable);
    if repeatable && settings.timeout.is_none() {
        return ATTEMPT;
    }
    let longest = deregister.len().max(register.len());
    limit
        .saturating_mul(u32::try_from(longest).unwrap_or(u32::MAX))
        .saturating_add(ATTEMPT)
}

/// Tells this section from another that sends the same line: two pools of one endpoint may differ in a body, a query
/// or a variable alone, and must not share what is on record. A line that says it all needs none.
///
/// Sixteen bits name a handful of sections apart, and are too few to guess a secret in a body from.
fn mark(settings: &Settings) -> String {
    if let [only] = settings.deregister.as_slice()
        && only.body.is_none()
        && !only.url.text().contains('?')
    {
        return String::new();
    }
    let mut hasher = DefaultHasher::new();
    (&settings.deregister, &settings.variables).hash(&mut hasher);
    format!(" #{:04x}", hasher.finish() & 0xffff)
}

/// How a list ended, for people.
fn said(ended: &Ended) -> String {
    let word = match ended.end {
        End::Done => "accepted",
        End::Gone | End::Missing => "gone already",
    };
    format!("{word}: {}", ended.said)
}

/// Every header and password of the section.
fn sources(settings: &Settings) -> Vec<Source> {
    let requests = settings
        .deregister
        .iter()
        .chain(settings.register.iter().flatten());
    let of_requests = requests.flat_map(|request| request.headers.values());
    let of_drained = settings
        .drained
        .iter()
        .flat_map(|drained| drained.headers.values());
    let of_section = settings.headers.values().chain(&settings.bearer);
    let passwords = settings.basic.iter().map(|basic| &basic.password);
    of_requests
        .chain(of_drained)
        .chain(of_section)
        .chain(passwords)
        .cloned()
        .collect()
}
