//! The verbs.

use std::collections::BTreeSet;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use lb_drain_api::{
    ATTEMPT, Error, Finding, Firmness, Found, Identity, LoadBalancer, Pace, Result, Rotation, Schedule,
    Target, Terms, View, async_trait,
};
use serde_json::Value;

use crate::answer::{Answer, excerpt};
use crate::check;
use crate::client::Client;
use crate::command::{Command, Server, State};
use crate::endpoint::Endpoint;
use crate::entry::{Entry, Own, Stat};
use crate::process::Process;
use crate::restore::{self, Before};

/// HAProxy answers in a fraction of a millisecond, and counts: while little is in flight, the end is seen
/// at once, and a thousand looks a second would not be felt either.
const PACE: Pace = Pace {
    first: Duration::ZERO,
    near: Duration::from_millis(10),
    far: Duration::from_secs(1),
    share: 100,
};

/// The share where HAProxy runs on another host: most of what a look takes is the way there and back, twice (to
/// connect, then to ask), and none of that is HAProxy's time.
const SHARE_AFAR: u32 = 20;

/// How many servers are asked for on one connection: each may take two commands, and in some releases a command
/// line has to fit into a buffer of HAProxy (`tune.bufsize`, 16 kB unless configured).
const SERVERS_AT_ONCE: usize = 32;

/// One HAProxy.
#[derive(Debug)]
pub(crate) struct Haproxy {
    client: Client,
    identity: Identity,
    pace: Pace,
    selection: Selection,
    own: Own,
    maint_after: Option<Duration>,
    shutdown_sessions: bool,
    process: Process,
    /// What has been put in maintenance, and is to be found there.
    in_maint: Mutex<BTreeSet<Target>>,
}

/// Which servers stand for this host.
#[derive(Debug, Clone)]
pub(crate) enum Selection {
    /// These, already validated.
    Names(Vec<Target>),
    /// Those with an address of this host and one of these ports.
    Address {
        /// The ports of the service that stops.
        ports: Vec<u16>,
    },
}

/// What there is under a name.
#[derive(Debug)]
pub(crate) enum Seen {
    /// A server.
    Entry(Entry),
    /// The backend, with these servers.
    OtherServers(Vec<String>),
    /// No such backend.
    Nothing,
}

impl Haproxy {
    /// A HAProxy at this socket. Nothing is sent.
    pub(crate) fn new(
        endpoint: Endpoint,
        selection: Selection,
        own: Own,
        maint_after: Option<Duration>,
        shutdown_sessions: bool,
    ) -> Self {
        let share = match endpoint.is_local(&own.addresses) {
            true => PACE.share,
            false => SHARE_AFAR,
        };
        Self {
            pace: Pace { share, ..PACE },
            identity: Identity {
                provider: "haproxy",
                endpoint: endpoint.to_string(),
            },
            client: Client::new(endpoint),
            selection,
            own,
            maint_after,
            shutdown_sessions,
            process: Process::default(),
            in_maint: Mutex::default(),
        }
    }

    /// The client of this HAProxy.
    pub(crate) fn client(&self) -> &Client {
        &self.client
    }

    /// Time in drain after which maintenance is asked for.
    pub(crate) fn maint_after(&self) -> Option<Duration> {
        self.maint_after
    }

    /// The servers that stand for this host.
    pub(crate) async fn targets(&self) -> Result<Vec<Target>> {
        let ports = match &self.selection {
            Selection::Names(targets) => return Ok(targets.clone()),
            Selection::Address { ports } => ports,
        };
        let found: Vec<Target> = self
            .client
            .read(&[Command::ShowState(None)], |answer| {
                answer
                    .states
                    .iter()
                    .flatten()
                    // A server without a port gets whatever its frontend's clients ask for: ours may be among it.
                    .filter(|row| row.port == 0 || ports.contains(&row.port))
                    .filter(|row| self.own.is_ours(row.address))
                    .map(|row| Target::new(format!("{}/{}", row.backend, row.server)))
                    .collect()
            })
            .await?;
        if found.is_empty() && self.own.addresses.is_empty() {
            return Err(Error::permanent(
                format!("{} cannot be searched for this host", self.client),
                "no address of this host is known",
            )
            .advise(r#"PrivateNetwork= hides them; name its servers instead: servers = ["web/app1"]"#));
        }
        Ok(found)
    }

    /// What is looked for where servers are found by address; `None` where they are named.
    pub(crate) fn sought(&self) -> Option<String> {
        let Selection::Address { ports } = &self.selection else {
            return None;
        };
        let listed = |all: Vec<String>| all.join(", ");
        Some(format!(
            "addresses {}, ports {}",
            listed(self.own.addresses.iter().map(ToString::to_string).collect()),
            listed(ports.iter().map(ToString::to_string).collect()),
        ))
    }

    /// What there is under these names, states and statistics.
    pub(crate) async fn see(&self, targets: &[Target]) -> Result<Vec<Seen>> {
        let mut all = Vec::with_capacity(targets.len());
        for targets in targets.chunks(SERVERS_AT_ONCE) {
            let servers = targets.iter().map(server).collect::<Result<Vec<_>>>()?;
            let mut seen = self
                .client
                .read(&questions(&servers), |answer| self.answers(answer, &servers))
                .await?;
            for (server, seen) in servers.iter().zip(&mut seen) {
                if let Seen::Entry(entry) = seen {
                    self.complete(*server, entry).await?;
                }
            }
            all.append(&mut seen);
        }
        Ok(all)
    }

    /// What an answer says of these servers.
    fn answers(&self, answer: &Answer<'_>, servers: &[Server<'_>]) -> Vec<Seen> {
        let count = self.process.count(answer);
        let mut seen: Vec<Seen> = servers
            .iter()
            .map(|&server| see(answer, server, &self.own))
            .collect();
        for seen in &mut seen {
            if let Seen::Entry(entry) = seen {
                entry.count = count;
            }
        }
        seen
    }

    /// Looks for statistics that are not shown under the backend's name: up to HAProxy 3.2 a frontend may bear
    /// the same name and is shown instead. They are shown under its number then, unless another proxy's
    /// *name* is that number; and among all, unless the backend is disabled.
    async fn complete(&self, server: Server<'_>, entry: &mut Entry) -> Result<()> {
        let id = entry.backend_id.clone();
        for proxy in [id.as_str(), "-1"] {
            if entry.stat.is_none() {
                let commands = [Command::ShowState(Some(server.backend)), Command::ShowStat(proxy)];
                entry.stat = self.client.read(&commands, |answer| stat(answer, server)).await?;
            }
        }
        Ok(())
    }

    /// The state of one server, read for a change that depends on it. Without statistics: it has to be quick.
    async fn state(&self, target: &Target) -> Result<Entry> {
        let server = server(target)?;
        let seen = self
            .client
            .read(&[Command::ShowState(Some(server.backend))], |answer| {
                see(answer, server, &self.own)
            })
            .await?;
        match seen {
            Seen::Entry(entry) => Ok(entry),
            absent => Err(self.absent(server, &absent).await),
        }
    }

    /// What a server's state means, now that it was asked to leave.
    fn view(&self, target: &Target, mut entry: Entry) -> View {
        // An agent that says `drain` takes it out of maintenance, and sticky traffic comes back. For who
        // asked for maintenance that is in rotation, and so it is put on record.
        if !entry.admin.in_maint() && self.in_maint().contains(target) {
            entry.admin = entry.admin.unforced();
        }
        entry.view()
    }

    /// Has the state changed and reads it back, on one connection.
    async fn change(&self, server: Server<'_>, state: State) -> Result<Option<Entry>> {
        let change = Command::SetState(server, state);
        let answers = |answer: &Answer<'_>| self.answers(answer, &[server]);
        let mut seen = self.client.change(change, &questions(&[server]), answers).await?;
        Ok(match seen.pop() {
            Some(Seen::Entry(entry)) if entry.stat.is_some() => Some(entry),
            // Without its statistics there is more to ask.
            _ => None,
        })
    }

    /// The error of a name that HAProxy does not know.
    pub(crate) async fn absent(&self, server: Server<'_>, seen: &Seen) -> Error {
        let what = format!("{} does not know {server}", self.client);
        let (why, kind, mut names) = match seen {
            Seen::OtherServers(names) => ("No such server", "servers", names.clone()),
            Seen::Entry(_) | Seen::Nothing => ("No such backend", "backends", self.backends().await),
        };
        names.sort_unstable();
        names.dedup();
        Error::permanent(what, why).advise(listed(kind, server.backend, &names))
    }

    async fn backends(&self) -> Vec<String> {
        let names = self.client.read(&[Command::ShowState(None)], |answer| {
            let rows = answer.states.iter().flatten();
            rows.map(|row| excerpt(row.backend)).collect()
        });
        // The names only help to find a mistake; without them it is still named.
        names.await.unwrap_or_default()
    }

    fn in_maint(&self) -> MutexGuard<'_, BTreeSet<Target>> {
        self.in_maint.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl LoadBalancer for Haproxy {
    fn identity(&self) -> &Identity {
        &self.identity
    }

    fn schedule(&self) -> Schedule {
        Schedule {
            firm_after: self.maint_after,
            cut: self.shutdown_sessions,
            attempt: ATTEMPT,
            floor: Duration::ZERO,
            pace: self.pace,
        }
    }

    async fn find(&self) -> Result<Vec<Found>> {
        let targets = self.targets().await?;
        let seen = self.see(&targets).await?;
        let mut found = Vec::with_capacity(targets.len());
        for (target, seen) in targets.into_iter().zip(seen) {
            let view = match seen {
                Seen::Entry(entry) => Ok(entry.view()),
                absent => Err(self.absent(server(&target)?, &absent).await),
            };
            found.push(Found { target, view });
        }
        Ok(found)
    }

    async fn look(&self, target: &Target) -> Result<View> {
        match self.see(std::slice::from_ref(target)).await?.pop() {
            Some(Seen::Entry(entry)) => Ok(self.view(target, entry)),
            // It was there when it was found. Now a reload or `del server` has taken it out for good,
            // while an old process may still serve requests.
            _ => Ok(View {
                rotation: Rotation::Out,
                in_flight: None,
                undrained: false,
                partial: false,
                state: "removed from HAProxy".to_owned(),
                ports: Vec::new(),
                before: Value::Null,
            }),
        }
    }

    async fn terms(&self, _target: &Target) -> Result<Terms> {
        // Changes take effect before they are answered, and HAProxy waits for requests without end.
        Ok(Terms::default())
    }

    async fn deregister(
        &self,
        target: &Target,
        firmness: Firmness,
        seen: Option<&View>,
    ) -> Result<Option<View>> {
        // Whoever asked for maintenance once is not served by less.
        let firm = firmness == Firmness::Firm || self.in_maint().contains(target);
        // `state drain` would take a server out of maintenance, so its state is known first. A view does not tell
        // the one from the other.
        let enough = match seen {
            Some(view) if !firm => view.rotation == Rotation::Out,
            _ => {
                let admin = self.state(target).await?.admin;
                if firm { admin.in_maint() } else { admin.is_out() }
            }
        };
        let state = if firm { State::Maint } else { State::Drain };
        let after = match enough {
            true => None,
            false => self.change(server(target)?, state).await?,
        };
        if firm {
            self.in_maint().insert(target.clone());
        }
        Ok(after.map(|entry| self.view(target, entry)))
    }

    async fn cut(&self, target: &Target) -> Result<()> {
        // Only a read finds out whether this is the master's socket.
        self.state(target).await?;
        self.client
            .write(Command::ShutdownSessions(server(target)?))
            .await
    }

    async fn register(&self, target: &Target, before: Option<&Value>) -> Result<()> {
        let server = server(target)?;
        let who = || format!("{} {server}", self.client);
        let before = before.map(|value| Before::from_value(value, who)).transpose()?;
        let now = self.state(target).await?;
        let plan = restore::plan(before, &now, self.maint_after.is_some()).map_err(|_| {
            Error::permanent(
                format!("{} is left as it is", who()),
                "it was put in maintenance by somebody else",
            )
            .advise(format!(
                r#"when it may come back, run "{}" on that socket"#,
                Command::SetState(server, State::Ready)
            ))
        })?;
        // A weight that is refused is told, and keeps nobody out.
        let weighed = match plan.weight {
            Some(weight) => self.client.write(Command::SetWeight(server, weight)).await,
            None => Ok(()),
        };
        if let Some(state) = plan.state {
            self.client.write(Command::SetState(server, state)).await?;
        }
        self.in_maint().remove(target);
        weighed
    }

    async fn others_in_service(&self, target: &Target, leaving: &[Target]) -> Result<Option<u64>> {
        let server = server(target)?;
        let leaves = |name: &str| {
            let whole = format!("{}/{name}", server.backend);
            leaving.iter().any(|target| target.as_str() == whole)
        };
        let in_service = self
            .client
            .read(&[Command::ShowState(Some(server.backend))], |answer| {
                let rows = answer.states.iter().flatten();
                rows.filter(|row| row.backend == server.backend && !leaves(row.server))
                    .filter(|row| Entry::new(row, &self.own).rotation() == Rotation::InService)
                    .count() as u64
            })
            .await?;
        Ok(Some(in_service))
    }

    async fn check(&self) -> Vec<Finding> {
        check::check(self).await
    }
}

/// What is asked about servers: states, statistics, and how far these are to be believed.
fn questions<'a>(servers: &[Server<'a>]) -> Vec<Command<'a>> {
    let mut commands = vec![Command::ShowProc, Command::ShowInfo];
    for server in servers {
        if !commands.contains(&Command::ShowState(Some(server.backend))) {
            commands.push(Command::ShowState(Some(server.backend)));
            commands.push(Command::ShowStat(server.backend));
        }
    }
    commands
}

fn see(answer: &Answer<'_>, server: Server<'_>, own: &Own) -> Seen {
    let mut others = Vec::new();
    for row in answer.states.iter().flatten() {
        if row.backend == server.backend {
            if row.server == server.name {
                let mut entry = Entry::new(row, own);
                entry.stat = stat(answer, server);
                return Seen::Entry(entry);
            }
            others.push(excerpt(row.server));
        }
    }
    match others.is_empty() {
        true => Seen::Nothing,
        false => Seen::OtherServers(others),
    }
}

fn stat(answer: &Answer<'_>, server: Server<'_>) -> Option<Stat> {
    answer
        .stats
        .iter()
        .find(|row| row.backend == server.backend && row.server == server.name)
        .map(Stat::new)
}

/// The server of a target. Names from HAProxy itself are validated like those from the configuration.
fn server(target: &Target) -> Result<Server<'_>> {
    Server::parse(target.as_str()).map_err(|why| Error::permanent("haproxy is not asked", why))
}

fn listed(kind: &str, backend: &str, names: &[String]) -> String {
    /// More are not read by anybody.
    const MOST: usize = 10;
    let shown = names.iter().take(MOST).map(String::as_str).collect::<Vec<_>>();
    let more = if names.len() > MOST { ", …" } else { "" };
    let of = match kind {
        "servers" => format!("the servers of {backend} are"),
        _ => "its backends are".to_owned(),
    };
    match shown.is_empty() {
        true => "it has no backend with servers".to_owned(),
        false => format!("{of} {}{more}", shown.join(", ")),
    }
}
