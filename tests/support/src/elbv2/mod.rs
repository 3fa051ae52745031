//! A fake of the ELBv2 API: an HTTP server that speaks the query protocol (form-encoded `POST`, XML back).
//!
//! It imitates what is documented and was observed on the real service, and what `moto` lacks: a target
//! drains for the delay, is known by id, port and zone together, stays if its port is not named, and a
//! call succeeds for targets that are not there. Calls are counted, limited by token buckets, denied, slowed
//! and broken on demand. Sources: the API reference (2015-12-01) and the user guide, "Register targets".

mod actions;
mod limits;
mod truth;
mod wire;

use std::collections::BTreeMap;
use std::future::pending;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use rustls::ServerConfig;
use tokio_rustls::TlsAcceptor;

pub use limits::{Bucket, Limits};
pub use truth::TargetGroup;

use crate::certificates::Authority;
use crate::server::{Answer, Asked, ENDLESS, Server};
use truth::Truth;
use wire::Refusal;

/// What goes wrong with a call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fault {
    /// Answered with this error.
    Refuse {
        /// The HTTP status.
        status: u16,
        /// The error's code, such as `ServiceUnavailable`.
        code: String,
    },
    /// Read, and never answered.
    Silence,
    /// The connection is closed without an answer.
    HangUp,
    /// Answered, with status 200, by something that is no XML.
    Garbage,
    /// Answered, with status 200, by more than anybody should read.
    Endless,
    /// Carried out; then the connection is closed without an answer.
    AnswerLost,
}

/// The running fake. Every test has its own.
#[derive(Debug)]
pub struct Elbv2 {
    /// `None` while connections are refused.
    server: Mutex<Option<Server>>,
    address: SocketAddr,
    state: Arc<Mutex<State>>,
    tls: Option<Tls>,
}

#[derive(Debug)]
struct Tls {
    authority: String,
    config: Arc<ServerConfig>,
}

#[derive(Debug, Default)]
struct State {
    truth: Truth,
    limits: Option<Limits>,
    denied: Vec<String>,
    expired: bool,
    latency: BTreeMap<String, Duration>,
    faults: Vec<(String, Fault, usize)>,
    calls: BTreeMap<String, usize>,
    /// The ids that calls for a change have named.
    changed: Vec<String>,
    throttled: usize,
}

impl Elbv2 {
    /// Starts it on a free port of the loopback, over plain http.
    ///
    /// # Panics
    ///
    /// Where no port can be bound.
    #[must_use]
    pub fn start() -> Self {
        Self::start_on((Ipv4Addr::LOCALHOST, 0).into())
    }

    /// Starts it on this address, over plain http: in another network namespace than the test's, say.
    ///
    /// # Panics
    ///
    /// Where the address cannot be bound.
    #[must_use]
    pub fn start_on(address: SocketAddr) -> Self {
        Self::serve(address, None)
    }

    /// Starts it over https, with a certificate that nobody trusts who is not told to.
    ///
    /// # Panics
    ///
    /// Where no port can be bound.
    #[must_use]
    pub fn start_tls() -> Self {
        let authority = Authority::new();
        let tls = Tls {
            authority: authority.pem(),
            config: authority.certify(&["127.0.0.1", "localhost"]).server(None),
        };
        Self::serve((Ipv4Addr::LOCALHOST, 0).into(), Some(tls))
    }

    fn serve(address: SocketAddr, tls: Option<Tls>) -> Self {
        let mut fake = Self {
            server: Mutex::default(),
            address,
            state: Arc::default(),
            tls,
        };
        fake.listen();
        if let Some(server) = &*lock(&fake.server) {
            fake.address = server.address();
        }
        fake
    }

    /// Refuses connections from now on, and ends those that there are.
    pub fn refuse(&self) {
        lock(&self.server).take();
    }

    /// Takes connections again, at the address where it took them before.
    ///
    /// # Panics
    ///
    /// Where the address cannot be bound.
    pub fn listen(&self) {
        let mut server = lock(&self.server);
        if server.is_some() {
            return;
        }
        let shared = Arc::clone(&self.state);
        let acceptor = self
            .tls
            .as_ref()
            .map(|tls| TlsAcceptor::from(Arc::clone(&tls.config)));
        let started = Server::start(self.address, acceptor, move |asked| {
            let state = Arc::clone(&shared);
            async move { answer(&state, &asked).await }
        });
        *server = Some(started.expect("an address to bind"));
    }

    /// Where it answers, for `endpoint_url`.
    #[must_use]
    pub fn url(&self) -> String {
        let scheme = if self.tls.is_some() { "https" } else { "http" };
        format!("{scheme}://{}", self.address)
    }

    /// Who vouches for it, in PEM, where it speaks https.
    #[must_use]
    pub fn authority(&self) -> Option<&str> {
        self.tls.as_ref().map(|tls| tls.authority.as_str())
    }

    fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }

    /// Adds a target group and returns its ARN.
    pub fn add(&self, group: TargetGroup) -> String {
        self.state().truth.add(group)
    }

    /// Deletes a target group.
    pub fn delete(&self, arn: &str) {
        self.state().truth.delete(arn);
    }

    /// Registers a target, in this state (such as `healthy`) from the first moment.
    pub fn register(&self, arn: &str, id: &str, port: u16, zone: Option<&str>, state: &str) {
        self.state().truth.put(arn, id, port, zone, state, "");
    }

    /// Changes a target's state and reason, as health checks would.
    pub fn set_state(&self, arn: &str, id: &str, port: u16, state: &str, reason: &str) {
        let zone = self.state().truth.zone(arn, id, port);
        self.state()
            .truth
            .put(arn, id, port, zone.as_deref(), state, reason);
    }

    /// Begins to drain a target behind the tool's back, as an Auto Scaling group does.
    pub fn drain(&self, arn: &str, id: &str, port: u16) {
        self.state().truth.drain(arn, id, port);
    }

    /// The true state of a target; `None` where it is not registered.
    #[must_use]
    pub fn truth(&self, arn: &str, id: &str, port: u16) -> Option<String> {
        self.state().truth.state(arn, id, port)
    }

    /// Terminates an instance: no target group holds it any more, and the API refuses its id.
    pub fn terminate(&self, id: &str) {
        self.state().truth.terminate(id);
    }

    /// Removes a registration at once, as if it had never been.
    pub fn remove(&self, arn: &str, id: &str, port: u16) {
        self.state().truth.remove(arn, id, port);
    }

    /// Lets the time pass that draining and health checks need.
    pub fn settle(&self) {
        self.state().truth.settle();
    }

    /// Every registration with its state, as text.
    #[must_use]
    pub fn snapshot(&self) -> String {
        self.state().truth.snapshot()
    }

    /// Limits calls from now on.
    pub fn limit(&self, limits: Limits) {
        self.state().limits = Some(limits);
    }

    /// Denies an action, as IAM does.
    pub fn deny(&self, action: &str) {
        self.state().denied.push(action.to_owned());
    }

    /// Lets all credentials be expired.
    pub fn expire_credentials(&self) {
        self.state().expired = true;
    }

    /// Delays each answer to an action.
    pub fn slow(&self, action: &str, by: Duration) {
        self.state().latency.insert(action.to_owned(), by);
    }

    /// Lets the next `times` calls of an action go wrong; `*` stands for every action.
    pub fn fail(&self, action: &str, fault: Fault, times: usize) {
        self.state().faults.push((action.to_owned(), fault, times));
    }

    /// Takes back every denial, delay and fault.
    pub fn heal(&self) {
        let mut state = self.state();
        state.denied.clear();
        state.expired = false;
        state.latency.clear();
        state.faults.clear();
    }

    /// How many target groups one answer holds at most, whatever the caller wants.
    pub fn page(&self, size: usize) {
        self.state().truth.page = size;
    }

    /// How many calls of an action there were, refused ones included.
    #[must_use]
    pub fn calls(&self, action: &str) -> usize {
        self.state().calls.get(action).copied().unwrap_or_default()
    }

    /// How many calls there were of all actions.
    #[must_use]
    pub fn all_calls(&self) -> usize {
        self.state().calls.values().sum()
    }

    /// How many calls for a change named this target, refused ones included.
    #[must_use]
    pub fn changes(&self, id: &str) -> usize {
        let state = self.state();
        state.changed.iter().filter(|changed| *changed == id).count()
    }

    /// How many calls were refused by the token buckets.
    #[must_use]
    pub fn throttled(&self) -> usize {
        self.state().throttled
    }
}

fn lock<T>(state: &Mutex<T>) -> MutexGuard<'_, T> {
    // A test that failed while it held the lock has said so already.
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn answer(state: &Mutex<State>, asked: &Asked) -> Option<Answer> {
    let call = match wire::Call::read(asked) {
        Ok(call) => call,
        Err(refusal) => return Some(refusal.answer()),
    };
    let (latency, fault) = {
        let mut state = lock(state);
        *state.calls.entry(call.action.clone()).or_default() += 1;
        if !call.action.starts_with("Describe") {
            let named = call.targets().unwrap_or_default();
            state.changed.extend(named.into_iter().map(|target| target.id));
        }
        (
            state.latency.get(&call.action).copied(),
            state.fault(&call.action),
        )
    };
    if let Some(latency) = latency {
        tokio::time::sleep(latency).await;
    }
    match fault {
        Some(Fault::Silence) => return pending().await,
        Some(Fault::HangUp) => return None,
        Some(Fault::Garbage) => return Some(Answer::new(200, "<html>login</html")),
        Some(Fault::Endless) => return Some(Answer::new(200, "x".repeat(ENDLESS))),
        Some(Fault::Refuse { status, code }) => {
            return Some(Refusal::new(status, &code, "as the test wants it").answer());
        }
        Some(Fault::AnswerLost) | None => {}
    }
    let mut state = lock(state);
    let answer = match state.perform(&call, Instant::now()) {
        Ok(result) => wire::success(&call.action, &result),
        Err(refusal) => refusal.answer(),
    };
    (fault != Some(Fault::AnswerLost)).then_some(answer)
}

impl State {
    fn fault(&mut self, action: &str) -> Option<Fault> {
        let next = self
            .faults
            .iter_mut()
            .find(|(of, _, times)| (of == action || of == "*") && *times > 0)?;
        next.2 -= 1;
        Some(next.1.clone())
    }

    /// Credentials, permission and limits come first, as with every AWS service; then the action itself.
    fn perform(&mut self, call: &wire::Call, now: Instant) -> Result<String, Refusal> {
        if self.expired {
            return Err(Refusal::new(
                403,
                "ExpiredToken",
                "The security token included in the request is expired",
            ));
        }
        if self.denied.contains(&call.action) {
            let message = format!(
                "User: arn:aws:sts::123456789012:assumed-role/web/i-0123456789abcdef0 is not authorized to \
                 perform: elasticloadbalancing:{} because no identity-based policy allows it",
                call.action
            );
            return Err(Refusal::new(403, "AccessDenied", &message));
        }
        if let Some(limits) = &mut self.limits
            && !limits.admit(&call.action, now)
        {
            self.throttled += 1;
            // Both names are in use.
            let code = if self.throttled.is_multiple_of(2) {
                "Throttling"
            } else {
                "ThrottlingException"
            };
            return Err(Refusal::new(400, code, "Rate exceeded"));
        }
        self.truth.now = now;
        actions::perform(&mut self.truth, call)
    }
}
