//! [`SocketEvidence`]: evidence from the kernel's table of sockets.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Instant;

use super::connection::{Connection, Reason, Socket, State, Verdict};
use super::exchange::Standing;
use super::history::History;
use super::ping_pong::PingPong;
use super::sock_diag::SockDiag;
use super::{Evidence, Traffic, namespace, procfs};

/// How often procfs is read until the kernel does not stall.
const PROCFS_ATTEMPTS: u32 = 5;

/// How exactly traffic can be seen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Precision {
    /// Requests in flight are told from idle connections.
    Requests,
    /// Connections only: an idle keep-alive connection counts as in flight.
    Connections {
        /// Why it is no better, for the operator.
        because: String,
    },
}

impl fmt::Display for Precision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Requests => f.write_str("requests in flight are told from idle connections"),
            Self::Connections { because } => {
                write!(f, "an idle connection counts as in flight: {because}")
            }
        }
    }
}

/// Evidence from the kernel's table of sockets, of this network namespace or of a process's.
#[derive(Debug)]
pub struct SocketEvidence {
    source: Source,
    precision: Precision,
    history: History,
    ping_pong: PingPong,
}

#[derive(Debug)]
enum Source {
    SockDiag(SockDiag),
    /// The `net` folder to read.
    Procfs(PathBuf),
}

/// All that one look saw.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Survey {
    /// The connections that are open, or closing with an answer still on its way.
    pub connections: Vec<Connection>,
    /// By port on which something listens: connections that wait to be accepted. They are among `connections`
    /// too.
    pub backlog: BTreeMap<u16, u64>,
}

impl SocketEvidence {
    /// Prepares to look. `main_pid` is the service's process, whose network namespace is meant; without one it is
    /// ours.
    ///
    /// # Errors
    ///
    /// Where neither sock_diag nor procfs can be used.
    pub fn new(main_pid: Option<u32>) -> io::Result<Self> {
        let foreign = main_pid.map(namespace::foreign).transpose()?.flatten();
        let (source, precision) = match (foreign, SockDiag::open()) {
            (Some(net), _) => {
                let because = "the service runs in a network namespace of its own (PrivateNetwork=, \
                               NetworkNamespacePath=), of which only /proc shows something here";
                (
                    Source::Procfs(net),
                    Precision::Connections {
                        because: because.to_owned(),
                    },
                )
            }
            (None, Ok(kernel)) => (Source::SockDiag(kernel), Precision::Requests),
            (None, Err(e)) => {
                let because = format!(
                    "sock_diag cannot be used here ({e}), and /proc/net/tcp shows connections only; \
                     a RestrictAddressFamilies= of the unit must allow AF_NETLINK"
                );
                (
                    Source::Procfs("/proc/self/net".into()),
                    Precision::Connections { because },
                )
            }
        };
        if let Source::Procfs(net) = &source {
            survey_procfs(net, &BTreeSet::new())?;
        }
        Ok(Self {
            source,
            precision,
            history: History::default(),
            ping_pong: PingPong::default(),
        })
    }

    /// How exactly traffic can be seen here.
    pub fn precision(&self) -> &Precision {
        &self.precision
    }

    /// One look, connection by connection.
    ///
    /// # Errors
    ///
    /// Where the kernel's table cannot be read.
    pub fn survey(&mut self, ports: &BTreeSet<u16>) -> io::Result<Survey> {
        let kernel = match &mut self.source {
            Source::SockDiag(kernel) => kernel,
            Source::Procfs(net) => return survey_procfs(net, ports),
        };
        let now = Instant::now();
        let mut survey = Survey::default();
        let mut ties = Vec::new();
        let ports: Vec<u16> = ports.iter().copied().collect();
        self.history.begin(now);
        kernel.dump(&State::ALL, &ports, &mut |socket| {
            if survey.took_listener(&socket) {
                return;
            }
            let Some(observation) = self.history.note(now, &socket) else {
                return;
            };
            let verdict = socket.verdict(observation.standing, observation.moved);
            if observation.needs_mode && verdict == Verdict::InFlight(Reason::Undecided) {
                ties.push((survey.connections.len(), socket, observation.moved));
            }
            survey.connections.push(socket.judged(verdict));
        })?;
        if ties.is_empty() {
            return Ok(survey);
        }
        let reading = self.ping_pong.read();
        for (at, socket, moved) in ties {
            let Some(modes) = reading.of(&socket) else {
                continue;
            };
            if let Some(standing) = self.history.note_modes(&socket, modes) {
                survey.connections[at].verdict = socket.verdict(standing, moved);
            }
        }
        Ok(survey)
    }
}

impl Evidence for SocketEvidence {
    fn look(&mut self, ports: &BTreeSet<u16>) -> io::Result<BTreeMap<u16, Traffic>> {
        Ok(self.survey(ports)?.traffic(ports))
    }
}

/// Reads procfs, again where the kernel stalled.
fn survey_procfs(net: &Path, ports: &BTreeSet<u16>) -> io::Result<Survey> {
    let mut attempts = 0;
    loop {
        attempts += 1;
        let mut survey = Survey::default();
        let read = procfs::read(net, &mut |row| {
            if ports.contains(&row.socket.local_port) && !survey.took_listener(&row.socket) {
                let verdict = row.socket.verdict(Standing::Untouched, false);
                survey.connections.push(row.socket.judged(verdict));
            }
        });
        match read {
            Err(e) if e.kind() == io::ErrorKind::TimedOut && attempts < PROCFS_ATTEMPTS => {}
            other => return other.map(|()| survey),
        }
    }
}

impl Survey {
    /// The sums by port, with every port of `ports` in them.
    pub fn traffic(&self, ports: &BTreeSet<u16>) -> BTreeMap<u16, Traffic> {
        let mut traffic: BTreeMap<u16, Traffic> =
            ports.iter().map(|&port| (port, Traffic::default())).collect();
        let mut unaccepted: BTreeMap<u16, u64> = BTreeMap::new();
        for connection in &self.connections {
            let Some(on_port) = traffic.get_mut(&connection.local_port) else {
                continue;
            };
            match connection.verdict {
                Verdict::Idle => {}
                Verdict::InFlight(_) if connection.unaccepted => {
                    *unaccepted.entry(connection.local_port).or_default() += 1;
                }
                Verdict::InFlight(reason) => {
                    on_port.in_flight += 1;
                    on_port.moving += u64::from(reason == Reason::Moving);
                    on_port.undecidable += u64::from(reason == Reason::Undecided && connection.has_settled());
                }
            }
        }
        for (port, on_port) in &mut traffic {
            on_port.listening = self.backlog.contains_key(port);
            // Whatever waits to be accepted may carry a request. Those that certainly do are among `unaccepted`
            // too, so adding the two would count them twice.
            let waiting = self.backlog.get(port).copied().unwrap_or_default();
            on_port.in_flight += waiting.max(unaccepted.get(port).copied().unwrap_or_default());
        }
        traffic
    }

    /// Takes a listener in, if it is one.
    fn took_listener(&mut self, socket: &Socket) -> bool {
        let listens = socket.state == State::Listen;
        if listens {
            *self.backlog.entry(socket.local_port).or_default() += u64::from(socket.receive_queue);
        }
        listens
    }
}

#[cfg(test)]
#[path = "sockets_tests.rs"]
mod tests;
