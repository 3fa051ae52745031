//! What the built-in load balancer knows of its servers: who may get requests, and what each is doing.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use tokio::io::BufReader;
use tokio::net::TcpStream;
use tokio::sync::Notify;

/// A keep-alive connection to a server.
pub(super) type Connection = BufReader<TcpStream>;

/// What an administrator has decided.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Admin {
    Ready,
    /// What is in flight finishes, nothing new comes.
    Drain,
    /// As drain here, where nothing is sticky; and health is no longer looked at.
    Maint,
}

/// One server of the backend.
pub(super) struct Server {
    pub(super) name: &'static str,
    pub(super) address: SocketAddr,
    pub(super) admin: Admin,
    pub(super) up: bool,
    pub(super) weight: u32,
    pub(super) sessions: u64,
    pub(super) most_sessions: u64,
    pub(super) all_sessions: u64,
    pub(super) changed: Instant,
    /// Rung to end all its sessions at once.
    pub(super) cut: Arc<Notify>,
    credit: i64,
    idle: Vec<Connection>,
}

/// All of them; clones are the same servers.
#[derive(Clone)]
pub(super) struct Servers(Arc<Mutex<Vec<Server>>>);

impl Servers {
    pub(super) fn new(servers: [(&'static str, SocketAddr); 2]) -> Self {
        let servers = servers.map(|(name, address)| Server {
            name,
            address,
            admin: Admin::Ready,
            up: true,
            weight: 1,
            sessions: 0,
            most_sessions: 0,
            all_sessions: 0,
            changed: Instant::now(),
            cut: Arc::default(),
            credit: 0,
            idle: Vec::new(),
        });
        Self(Arc::new(Mutex::new(servers.into())))
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, Vec<Server>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Gives a request to the server whose turn it is, if there is one other than `but`. It counts as in flight from
    /// this moment, under one lock: a server that is drained afterwards cannot look idle with a request on its way.
    pub(super) fn assign(&self, but: Option<usize>) -> Option<Session> {
        let mut servers = self.lock();
        let chosen = next(&mut servers, but)?;
        let server = &mut servers[chosen];
        server.sessions += 1;
        server.all_sessions += 1;
        server.most_sessions = server.most_sessions.max(server.sessions);
        Some(Session {
            servers: self.clone(),
            server: chosen,
        })
    }
}

/// Weighted round robin that spreads evenly: everybody earns its weight, the richest is chosen and pays for all.
fn next(servers: &mut [Server], but: Option<usize>) -> Option<usize> {
    let mut chosen: Option<usize> = None;
    let mut all = 0;
    for index in 0..servers.len() {
        let server = &mut servers[index];
        if !server.takes_requests() || but == Some(index) {
            continue;
        }
        server.credit += i64::from(server.weight);
        all += i64::from(server.weight);
        let credit = server.credit;
        if chosen.is_none_or(|best| servers[best].credit < credit) {
            chosen = Some(index);
        }
    }
    servers[chosen?].credit -= all;
    chosen
}

impl Server {
    fn takes_requests(&self) -> bool {
        self.up && self.admin == Admin::Ready && self.weight > 0
    }

    /// Follows an administrator.
    pub(super) fn administer(&mut self, admin: Admin) {
        if self.admin != admin {
            self.admin = admin;
            self.changed = Instant::now();
        }
    }

    /// Follows a health check.
    pub(super) fn found(&mut self, up: bool) {
        if self.up != up {
            self.up = up;
            self.changed = Instant::now();
        }
    }
}

/// A request in flight at a server, from its choice to the end of its answer.
pub(super) struct Session {
    servers: Servers,
    pub(super) server: usize,
}

impl Session {
    /// The server's address, and what is rung to end the session.
    pub(super) fn target(&self) -> (SocketAddr, Arc<Notify>) {
        let server = &self.servers.lock()[self.server];
        (server.address, Arc::clone(&server.cut))
    }

    /// An idle connection to the server which it has not closed.
    pub(super) fn idle_connection(&self) -> Option<Connection> {
        let idle = &mut self.servers.lock()[self.server].idle;
        std::iter::from_fn(|| idle.pop()).find(|connection| {
            let read = connection.get_ref().try_read(&mut [0]);
            read.is_err_and(|error| error.kind() == std::io::ErrorKind::WouldBlock)
        })
    }

    /// Keeps a connection for the next request.
    pub(super) fn keep(&self, connection: Connection) {
        self.servers.lock()[self.server].idle.push(connection);
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        self.servers.lock()[self.server].sessions -= 1;
    }
}
