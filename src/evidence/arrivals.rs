//! Requests as they arrive at this host's ports: when each came, on connections that are kept alive too.
//!
//! A request is told from a health check by its size: who measures sends requests that are larger than any
//! health check, and says how large.

use std::collections::hash_map::Entry;
use std::collections::{BTreeSet, HashMap};
use std::io;
use std::time::{Duration, Instant};

use super::connection::{Socket, State};
use super::namespace;
use super::sock_diag::{Endings, SockDiag};
use super::tcp_info::TcpInfo;

/// How long the memory of a connection outlives its last sighting: a dump can miss a socket.
const KEEP: Duration = Duration::from_secs(10);

/// Where a request can be read, or wait to be.
const OPEN: [State; 2] = [State::Established, State::CloseWait];

/// Watches for requests. One value lives for a whole run, and is looked through again and again.
#[derive(Debug)]
pub struct Arrivals {
    /// The bytes of a request, less than what it has and more than what anything else has.
    size: u64,
    kernel: SockDiag,
    endings: Option<Endings>,
    deaf: Option<String>,
    connections: HashMap<u64, Memory>,
    begun: bool,
}

/// What has come since the look before.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Came {
    /// How long ago requests came, to a kernel tick. Of several on one connection, only the last is told.
    pub requests: Vec<Duration>,
    /// How many connections were opened, health checks among them.
    pub connections: usize,
}

#[derive(Debug, Clone, Copy)]
struct Memory {
    seen: Instant,
    exchange: Exchange,
}

/// One connection since its birth.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Exchange {
    received: u64,
    segments_out: u32,
    /// Bytes that came since nothing was left to answer.
    pending: u64,
    /// Whether they have been counted as a request.
    counted: bool,
}

impl Arrivals {
    /// Watches for requests of at least `size` bytes. `main_pid` is the service's process, where it is known.
    ///
    /// # Errors
    ///
    /// Where the kernel does not show the traffic of connections, or the service has a network of its own.
    pub fn new(size: u64, main_pid: Option<u32>) -> io::Result<Self> {
        if main_pid.map(namespace::foreign).transpose()?.flatten().is_some() {
            return Err(io::Error::other(
                "the service runs in a network namespace of its own, whose requests are not seen from here",
            ));
        }
        let kernel = SockDiag::open()?;
        // Without it, only a connection that opens and closes between two looks is missed.
        let (endings, deaf) = match Endings::open() {
            Ok(endings) => (Some(endings), None),
            Err(error) => (None, Some(error.to_string())),
        };
        Ok(Self {
            size,
            kernel,
            endings,
            deaf,
            connections: HashMap::new(),
            begun: false,
        })
    }

    /// Why connections that open and close between two looks are missed, where they are.
    #[must_use]
    pub fn deaf(&self) -> Option<&str> {
        self.deaf.as_deref()
    }

    /// What has come to these ports since the look before. The first look only takes stock.
    ///
    /// # Errors
    ///
    /// Where the kernel's table cannot be read.
    pub fn look(&mut self, ports: &BTreeSet<u16>) -> io::Result<Came> {
        let now = Instant::now();
        let asked: Vec<u16> = ports.iter().copied().collect();
        let mut came = Came::default();
        let mut open = Vec::new();
        self.kernel.dump(&OPEN, &asked, &mut |socket| open.push(socket))?;
        for socket in &open {
            self.note(now, socket, &mut came);
        }
        self.hear(now, ports, &mut came)?;
        self.connections
            .retain(|_, memory| now.duration_since(memory.seen) < KEEP);
        if !std::mem::replace(&mut self.begun, true) {
            came = Came::default();
        }
        Ok(came)
    }

    /// As [`Arrivals::look`], of connections that have ended alone. It costs next to nothing, and has to be done
    /// often: the kernel says how long before a connection's end its last request came, and not when it ended.
    ///
    /// # Errors
    ///
    /// Where what the kernel tells cannot be read.
    pub fn glance(&mut self, ports: &BTreeSet<u16>) -> io::Result<Came> {
        let mut came = Came::default();
        self.hear(Instant::now(), ports, &mut came)?;
        Ok(came)
    }

    fn hear(&mut self, now: Instant, ports: &BTreeSet<u16>, came: &mut Came) -> io::Result<()> {
        let Some(endings) = self.endings.take() else {
            return Ok(());
        };
        let read = endings.read(&mut |socket| {
            if ports.contains(&socket.local_port) {
                self.note(now, &socket, came);
                self.connections.remove(&socket.cookie);
            }
        });
        self.endings = Some(endings);
        read
    }

    fn note(&mut self, now: Instant, socket: &Socket, came: &mut Came) {
        let Some(tcp) = socket.tcp else {
            return;
        };
        let known = match self.connections.entry(socket.cookie) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(new) => {
                came.connections += 1;
                new.insert(Memory {
                    seen: now,
                    exchange: Exchange::default(),
                })
            }
        };
        known.seen = now;
        if known.exchange.note(socket.state, &tcp, self.size) {
            came.requests
                .push(Duration::from_millis(tcp.last_data_recv.into()));
        }
    }
}

impl Exchange {
    /// Takes in what a look shows, and returns whether a request came since the look before.
    fn note(&mut self, state: State, tcp: &TcpInfo, size: u64) -> bool {
        let received = tcp.bytes_received.saturating_sub(state.fin_received().into());
        let came = received.saturating_sub(self.received);
        let answered = tcp.data_segs_out != self.segments_out;
        self.received = received;
        self.segments_out = tcp.data_segs_out;
        if answered && self.counted {
            self.pending = 0;
            self.counted = false;
        }
        self.pending += came;
        let arrived = !self.counted && self.pending >= size;
        self.counted |= arrived;
        if answered && tcp.last_data_sent <= tcp.last_data_recv {
            self.pending = 0;
            self.counted = false;
        }
        arrived
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};

    use super::*;

    /// `(bytes received, data segments sent, age of the last byte received, of the last one sent)`, look by
    /// look, and whether each look tells of a request.
    fn told(looks: &[(u64, u32, u32, u32)]) -> Vec<u8> {
        let mut exchange = Exchange::default();
        looks
            .iter()
            .map(
                |&(bytes_received, data_segs_out, last_data_recv, last_data_sent)| {
                    let tcp = TcpInfo {
                        bytes_received,
                        data_segs_out,
                        last_data_recv,
                        last_data_sent,
                        ..TcpInfo::default()
                    };
                    u8::from(exchange.note(State::Established, &tcp, 3000))
                },
            )
            .collect()
    }

    #[test]
    fn a_request_is_told_once_however_its_bytes_and_its_answer_come() {
        assert_eq!(
            told(&[(4000, 0, 4, 4), (4000, 0, 24, 24), (4000, 1, 44, 8)]),
            [1, 0, 0]
        );
        assert_eq!(told(&[(1460, 0, 4, 4), (4000, 0, 4, 24)]), [0, 1], "in two parts");
        assert_eq!(
            told(&[(1460, 0, 4, 4), (4000, 1, 8, 4)]),
            [0, 1],
            "and answered at once"
        );
        assert_eq!(
            told(&[(4000, 1, 4, 4), (4000, 2, 24, 4), (4000, 9, 44, 4)]),
            [1, 0, 0]
        );
    }

    #[test]
    fn each_request_on_a_kept_connection_is_told() {
        assert_eq!(
            told(&[(4000, 1, 4, 4), (8000, 2, 4, 4), (12_000, 2, 4, 24)]),
            [1, 1, 1]
        );
        assert_eq!(
            told(&[(4000, 0, 4, 4), (8000, 1, 4, 8)]),
            [1, 1],
            "right after the answer"
        );
        assert_eq!(told(&[(8000, 2, 4, 4)]), [1], "both within one look");
    }

    #[test]
    fn a_connection_that_opens_and_closes_between_two_looks_is_seen() {
        let listener = std::net::TcpListener::bind(("127.0.0.1", 0)).expect("a free port");
        let address = listener.local_addr().expect("it is bound");
        let ports = BTreeSet::from([address.port()]);
        let mut arrivals = Arrivals::new(640, None).expect("sock_diag");
        assert_eq!(arrivals.look(&ports).expect("a look"), Came::default());
        let mut client = std::net::TcpStream::connect(address).expect("connects");
        let (mut server, _) = listener.accept().expect("accepts");
        let mut request = [0; 1000];
        client.write_all(&request).expect("sends");
        server.read_exact(&mut request).expect("arrives");
        let arrived = Instant::now();
        server.write_all(b"done").expect("answers");
        drop((server, client));
        let end = arrived + Duration::from_secs(5);
        let mut connections = 0;
        let ago = loop {
            // The kernel tells from a work queue of its own.
            let came = arrivals.look(&ports).expect("a look");
            connections += came.connections;
            match came.requests[..] {
                [] => assert!(Instant::now() < end, "never told"),
                [ago] => break ago,
                ref more => panic!("one came, not {more:?}"),
            }
        };
        assert_eq!(connections, 1);
        assert!(ago <= arrived.elapsed() + Duration::from_millis(20), "{ago:?}");
    }

    #[test]
    fn health_checks_are_never_told_however_many_share_a_connection() {
        let looks: Vec<_> = (1..100).map(|n| (100 * u64::from(n), n, 4, 4)).collect();
        assert_eq!(told(&looks).iter().sum::<u8>(), 0);
    }
}
