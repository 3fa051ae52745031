//! One command line to a socket, and everything that comes back.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::OnceLock;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpStream, UnixStream};

use crate::endpoint::{Address, Endpoint};
use crate::sender;

/// The longest answer that is read, in bytes. Ten thousand servers, states and statistics together, are
/// 3 MB; what is longer is not a runtime API.
pub(crate) const LONGEST_ANSWER: usize = 4 << 20;

/// So many bytes into an answer a table has begun: without one, it is at most a list of all commands.
const TABLE_WITHIN: usize = 64 << 10;

/// Room for an answer in bytes that need not grow for a backend of a dozen servers.
const USUAL_ANSWER: usize = 8 << 10;

/// Why there is no answer.
#[derive(Debug)]
pub(crate) enum Failure {
    /// Nobody could be spoken to.
    Connect(io::Error),
    /// The name means several hosts, and each may be a HAProxy of its own.
    Several(Vec<IpAddr>),
    /// The connection broke.
    Broken(io::Error),
    /// More than this many bytes that cannot be an answer.
    Endless(usize),
}

/// All that came back.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) text: String,
    /// The process that sent it, by its pid here; only a unix socket tells.
    pub(crate) sender: Option<u32>,
}

/// The way to one HAProxy.
#[derive(Debug)]
pub(crate) struct Transport {
    endpoint: Endpoint,
    /// What its name turned out to mean. It is kept, so that what was changed and what is looked at afterwards is
    /// the same HAProxy, and so that no resolver is needed once more while the host goes down.
    peer: OnceLock<SocketAddr>,
}

impl Transport {
    /// The way there. Nothing is sent.
    pub(crate) fn new(endpoint: Endpoint) -> Self {
        Self {
            endpoint,
            peer: OnceLock::new(),
        }
    }

    /// Where it leads.
    pub(crate) fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    /// Sends `line`, which ends in `\n`, on a connection of its own, and reads all that comes back.
    ///
    /// Our side is closed after the line: a worker closes after its answer anyway, while the master CLI keeps
    /// the connection open unless it has seen the end of the input.
    pub(crate) async fn exchange(&self, line: &str) -> Result<Reply, Failure> {
        let stream = match self.endpoint.address() {
            Address::Unix(path) => return talk_locally(UnixStream::connect(path).await, line).await,
            Address::Ip(address) => TcpStream::connect(address).await,
            Address::Name(name, port) => match self.peer.get() {
                Some(peer) => TcpStream::connect(peer).await,
                None => self.connect_by_name(name, *port).await?,
            },
        };
        let mut stream = stream.map_err(Failure::Connect)?;
        say(&mut stream, line).await?;
        let text = hear(&mut stream).await?;
        Ok(Reply { text, sender: None })
    }

    async fn connect_by_name(&self, name: &str, port: u16) -> Result<io::Result<TcpStream>, Failure> {
        let found = tokio::net::lookup_host((name, port)).await;
        let peers: Vec<SocketAddr> = found.map_err(Failure::Connect)?.collect();
        one_host(&peers).map_err(Failure::Several)?;
        let stream = TcpStream::connect(peers.as_slice()).await;
        if let Some(peer) = stream.as_ref().ok().and_then(|stream| stream.peer_addr().ok()) {
            self.peer.get_or_init(|| peer);
        }
        Ok(stream)
    }
}

/// Whether these may be the addresses of one host: at most one of each family. Else all of them.
fn one_host(peers: &[SocketAddr]) -> Result<(), Vec<IpAddr>> {
    let mut addresses: Vec<IpAddr> = peers.iter().map(SocketAddr::ip).collect();
    addresses.sort_unstable();
    addresses.dedup();
    let four = addresses.iter().filter(|address| address.is_ipv4()).count();
    match four > 1 || addresses.len() - four > 1 {
        true => Err(addresses),
        false => Ok(()),
    }
}

async fn talk_locally(stream: io::Result<UnixStream>, line: &str) -> Result<Reply, Failure> {
    let mut stream = stream.map_err(Failure::Connect)?;
    sender::ask_for(&stream);
    say(&mut stream, line).await?;
    let sender = sender::of_next(&stream).await;
    let text = hear(&mut stream).await?;
    Ok(Reply { text, sender })
}

async fn say(stream: &mut (impl AsyncWrite + Unpin), line: &str) -> Result<(), Failure> {
    stream.write_all(line.as_bytes()).await.map_err(Failure::Broken)?;
    // A peer that has closed already may refuse this; what it said is still there to be read.
    let _ = stream.shutdown().await;
    Ok(())
}

async fn hear(stream: &mut (impl AsyncRead + Unpin)) -> Result<String, Failure> {
    let mut answer = Vec::with_capacity(USUAL_ANSWER);
    read_until(stream, &mut answer, TABLE_WITHIN).await?;
    if answer.len() >= TABLE_WITHIN {
        if !has_table(&answer) {
            return Err(Failure::Endless(TABLE_WITHIN));
        }
        read_until(stream, &mut answer, LONGEST_ANSWER).await?;
        if answer.len() >= LONGEST_ANSWER {
            return Err(Failure::Endless(LONGEST_ANSWER));
        }
    }
    Ok(String::from_utf8(answer).unwrap_or_else(|error| in_ascii(error.into_bytes())))
}

/// Reads on until the end, or until there are so many bytes in all.
async fn read_until(
    stream: &mut (impl AsyncRead + Unpin),
    answer: &mut Vec<u8>,
    length: usize,
) -> Result<(), Failure> {
    let more = (length - answer.len()) as u64;
    let read = stream.take(more).read_to_end(answer).await;
    read.map(drop).map_err(Failure::Broken)
}

/// Whether a line is the header of a table.
fn has_table(answer: &[u8]) -> bool {
    answer
        .split(|&byte| byte == b'\n')
        .any(|line| line.starts_with(b"# pxname,") || line.starts_with(b"# be_id "))
}

/// A health check's text may hold any bytes; nothing we look for does. In place, because it may be long.
fn in_ascii(mut bytes: Vec<u8>) -> String {
    for byte in &mut bytes {
        if !byte.is_ascii() {
            *byte = b'?';
        }
    }
    String::from_utf8(bytes).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn peers(addresses: &[&str]) -> Vec<SocketAddr> {
        let parsed = addresses
            .iter()
            .map(|text| text.parse::<IpAddr>().expect("an address"));
        parsed.map(|address| SocketAddr::new(address, 9999)).collect()
    }

    #[test]
    fn a_name_may_mean_one_address_of_each_family() {
        for one in [
            &["10.0.0.5"][..],
            &["::1", "127.0.0.1"],
            &["10.0.0.5", "10.0.0.5"],
        ] {
            assert_eq!(one_host(&peers(one)), Ok(()), "{one:?}");
        }
        for several in [&["10.0.0.6", "10.0.0.5"][..], &["10.0.0.5", "fd00::5", "fd00::6"]] {
            let named = one_host(&peers(several)).expect_err("several");
            assert_eq!(named.len(), several.len(), "{named:?}");
        }
    }

    #[tokio::test]
    async fn what_a_name_meant_first_is_what_it_means_to_the_end() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
        let port = listener.local_addr().expect("bound").port();
        let transport = Transport::new(Endpoint::parse(&format!("tcp://localhost:{port}")).expect("reads"));
        assert_eq!(transport.peer.get(), None);
        let answered = std::thread::spawn(move || {
            use std::io::{Read, Write};
            let (mut stream, _) = listener.accept().expect("accepts");
            stream.write_all(b"done\n").expect("answers");
            let _ = stream.read_to_end(&mut Vec::new());
        });
        transport.exchange("show info\n").await.expect("an answer");
        answered.join().expect("no panic");
        assert_eq!(
            transport.peer.get(),
            Some(&SocketAddr::from(([127, 0, 0, 1], port)))
        );
        // Whoever has the name now is not asked.
        let moved = Transport {
            endpoint: Endpoint::parse(&format!("tcp://nowhere.invalid:{port}")).expect("reads"),
            peer: transport.peer,
        };
        let failure = moved
            .exchange("show info\n")
            .await
            .expect_err("nobody listens there any more");
        assert!(
            matches!(&failure, Failure::Connect(error) if error.kind() == io::ErrorKind::ConnectionRefused),
            "{failure:?}"
        );
    }

    #[test]
    fn bytes_that_are_no_text_shift_nothing() {
        assert_eq!(in_ascii(b"a,\xff\xc3,b\n".to_vec()), "a,??,b\n");
    }
}
