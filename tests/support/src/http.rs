//! An HTTP server for fakes, on threads of its own: it reads requests as they were sent, and answers well
//! or as badly as a test wants.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, Ipv6Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use rustls::{ServerConfig, ServerConnection, StreamOwned};

/// A request, as it was sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asked {
    /// `PUT`, for example.
    pub method: String,
    /// The path, percent-encoded.
    pub path: String,
    /// What follows the question mark; empty without one.
    pub query: String,
    /// Header names, in lower case, and values.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: String,
}

impl Asked {
    /// Method, path and query: `PUT /x?y=z`.
    #[must_use]
    pub fn line(&self) -> String {
        let mark = if self.query.is_empty() { "" } else { "?" };
        format!("{} {}{mark}{}", self.method, self.path, self.query)
    }

    /// A header's value.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(header, _)| header == name)
            .map(|(_, value)| value.as_str())
    }

    /// The body as JSON; null where it is none.
    #[must_use]
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.body).unwrap_or_default()
    }
}

/// What is answered.
#[derive(Debug, Clone)]
pub enum Reply {
    /// A whole answer.
    Answer {
        /// Its status.
        status: u16,
        /// Its headers; `Content-Length` is added.
        headers: Vec<(String, String)>,
        /// Its body.
        body: String,
    },
    /// These bytes, whatever they are; then the connection is closed.
    Raw(Vec<u8>),
    /// These bytes, and then the second ones again and again, with a pause between.
    Endless(Vec<u8>, Vec<u8>, Duration),
    /// That, after this time; other requests are answered meanwhile.
    After(Duration, Box<Reply>),
    /// Nothing, on a connection that stays open.
    Silence,
    /// Nothing, and the connection is closed.
    Close,
}

impl Reply {
    /// A whole answer.
    #[must_use]
    pub fn new(status: u16, body: impl Into<String>) -> Self {
        Self::Answer {
            status,
            headers: Vec::new(),
            body: body.into(),
        }
    }

    /// A whole answer in JSON.
    #[must_use]
    pub fn json(status: u16, body: &serde_json::Value) -> Self {
        Self::new(status, body.to_string()).with("Content-Type", "application/json")
    }

    /// With one more header. Replies that are no whole answer stay as they are.
    #[must_use]
    pub fn with(mut self, name: &str, value: &str) -> Self {
        if let Self::Answer { headers, .. } = &mut self {
            headers.push((name.to_owned(), value.to_owned()));
        }
        self
    }
}

/// The running server. It ends, with all of its connections, when this is dropped.
#[derive(Debug)]
pub struct Fake {
    place: Place,
    /// The listening socket, as something that can be shut down.
    listening: Open,
    asked: Arc<Mutex<Vec<Asked>>>,
    running: Arc<Running>,
    accepting: Option<JoinHandle<()>>,
}

#[derive(Debug, Clone)]
enum Place {
    Tcp(SocketAddr, bool),
    Unix(PathBuf),
}

#[derive(Debug, Default)]
struct Running {
    ended: AtomicBool,
    open: Mutex<Vec<Open>>,
}

#[derive(Debug)]
enum Open {
    Tcp(TcpStream),
    Unix(UnixStream),
}

impl Open {
    /// Closes the connection, whoever else holds it. One that is closed already needs no closing.
    fn close(&self) {
        let _ = match self {
            Self::Tcp(stream) => stream.shutdown(Shutdown::Both),
            Self::Unix(stream) => stream.shutdown(Shutdown::Both),
        };
    }
}

impl Fake {
    /// On a free port of 127.0.0.1.
    pub fn start(answer: impl FnMut(&Asked) -> Reply + Send + 'static) -> Self {
        Self::on((Ipv4Addr::LOCALHOST, 0).into(), None, answer)
    }

    /// On a free port of `::1` alone.
    pub fn start_v6(answer: impl FnMut(&Asked) -> Reply + Send + 'static) -> Self {
        Self::on((Ipv6Addr::LOCALHOST, 0).into(), None, answer)
    }

    /// With TLS, on a free port of 127.0.0.1.
    pub fn start_tls(tls: Arc<ServerConfig>, answer: impl FnMut(&Asked) -> Reply + Send + 'static) -> Self {
        Self::on((Ipv4Addr::LOCALHOST, 0).into(), Some(tls), answer)
    }

    /// On this address; port 0 is a free one.
    ///
    /// # Panics
    ///
    /// Where this host has no such address, or somebody else has the port.
    pub fn on(
        address: SocketAddr,
        tls: Option<Arc<ServerConfig>>,
        answer: impl FnMut(&Asked) -> Reply + Send + 'static,
    ) -> Self {
        let listener = TcpListener::bind(address).expect("a free port");
        let place = Place::Tcp(listener.local_addr().expect("bound"), tls.is_some());
        let listening = OwnedFd::from(listener.try_clone().expect("one more handle"));
        let (mut fake, answer) = Self::new(place, Open::Tcp(listening.into()), answer);
        let (asked, running) = (Arc::clone(&fake.asked), Arc::clone(&fake.running));
        fake.accepting = Some(thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                // As servers do: an answer must not wait for the acknowledgement of what went before it.
                drop(stream.set_nodelay(true));
                if running.ended.load(Ordering::SeqCst) {
                    break;
                }
                let (Ok(kept), Ok(close)) = (stream.try_clone(), stream.try_clone()) else {
                    break;
                };
                lock(&running.open).push(Open::Tcp(kept));
                let close = Open::Tcp(close);
                let (asked, answer, tls) = (Arc::clone(&asked), Arc::clone(&answer), tls.clone());
                thread::spawn(move || match tls.map(ServerConnection::new) {
                    None => serve(stream, &close, &asked, &answer),
                    Some(Ok(tls)) => serve(StreamOwned::new(tls, stream), &close, &asked, &answer),
                    Some(Err(error)) => panic!("a server's TLS: {error}"),
                });
            }
        }));
        fake
    }

    /// On a unix socket.
    ///
    /// # Panics
    ///
    /// Where there can be no socket at `path`.
    pub fn start_unix(path: &Path, answer: impl FnMut(&Asked) -> Reply + Send + 'static) -> Self {
        let listener = UnixListener::bind(path).expect("a free path");
        let listening = OwnedFd::from(listener.try_clone().expect("one more handle"));
        let place = Place::Unix(path.to_owned());
        let (mut fake, answer) = Self::new(place, Open::Unix(listening.into()), answer);
        let (asked, running) = (Arc::clone(&fake.asked), Arc::clone(&fake.running));
        fake.accepting = Some(thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                if running.ended.load(Ordering::SeqCst) {
                    break;
                }
                let (Ok(kept), Ok(close)) = (stream.try_clone(), stream.try_clone()) else {
                    break;
                };
                lock(&running.open).push(Open::Unix(kept));
                let close = Open::Unix(close);
                let (asked, answer) = (Arc::clone(&asked), Arc::clone(&answer));
                thread::spawn(move || serve(stream, &close, &asked, &answer));
            }
        }));
        fake
    }

    fn new<A>(place: Place, listening: Open, answer: A) -> (Self, Arc<Mutex<A>>) {
        let fake = Self {
            place,
            listening,
            asked: Arc::default(),
            running: Arc::default(),
            accepting: None,
        };
        (fake, Arc::new(Mutex::new(answer)))
    }

    /// What a URL of this server begins with: `http://127.0.0.1:1234` or `unix:/path:`.
    #[must_use]
    pub fn url(&self) -> String {
        match &self.place {
            Place::Tcp(address, false) => format!("http://{address}"),
            Place::Tcp(address, true) => format!("https://{address}"),
            Place::Unix(path) => format!("unix:{}:", path.display()),
        }
    }

    /// Its port; 0 on a unix socket.
    #[must_use]
    pub fn port(&self) -> u16 {
        match &self.place {
            Place::Tcp(address, _) => address.port(),
            Place::Unix(_) => 0,
        }
    }

    /// Every request so far.
    #[must_use]
    pub fn asked(&self) -> Vec<Asked> {
        lock(&self.asked).clone()
    }

    /// Method, path and query of every request so far.
    #[must_use]
    pub fn lines(&self) -> Vec<String> {
        self.asked().iter().map(Asked::line).collect()
    }

    /// How many connections were made so far.
    #[must_use]
    pub fn connections(&self) -> usize {
        lock(&self.running.open).len()
    }

    /// As [`Fake::connections`], once there are so many: a client is connected before the server has
    /// noticed. Gives up after 5 s.
    #[must_use]
    pub fn connections_at_least(&self, number: usize) -> usize {
        for _ in 0..500 {
            if self.connections() >= number {
                break;
            }
            thread::sleep(Duration::from_millis(10));
        }
        self.connections()
    }
}

impl Drop for Fake {
    fn drop(&mut self) {
        self.running.ended.store(true, Ordering::SeqCst);
        // Ends the wait for connections; to connect to it would need the network namespace that it listens in.
        self.listening.close();
        // Until it has ended, the kernel still accepts connections for it.
        if let Some(accepting) = self.accepting.take() {
            let _ = accepting.join();
        }
        lock(&self.running.open).iter().for_each(Open::close);
    }
}

/// Answers the requests of one connection, until either side has had enough.
fn serve<S: Read + Write, A: FnMut(&Asked) -> Reply>(
    stream: S,
    close: &Open,
    asked: &Mutex<Vec<Asked>>,
    answer: &Mutex<A>,
) {
    let mut stream = BufReader::new(stream);
    // A connection that breaks is the client's to notice.
    while let Ok(Some(request)) = read(&mut stream) {
        lock(asked).push(request.clone());
        let reply = lock(answer)(&request);
        match write(stream.get_mut(), reply) {
            Ok(true) => {}
            Ok(false) | Err(_) => break,
        }
    }
    close.close();
}

fn read(stream: &mut impl BufRead) -> io::Result<Option<Asked>> {
    // A client that speaks TLS (RFC 8446, section 5.1) would never end a line.
    const HANDSHAKE: u8 = 22;
    let mut line = String::new();
    if stream.fill_buf()?.first() == Some(&HANDSHAKE) {
        return Ok(Some(Asked {
            method: "TLS".to_owned(),
            path: "handshake".to_owned(),
            query: String::new(),
            headers: Vec::new(),
            body: String::new(),
        }));
    }
    if stream.read_line(&mut line)? == 0 {
        return Ok(None);
    }
    let mut words = line.split_whitespace();
    let (Some(method), Some(target)) = (words.next(), words.next()) else {
        return Ok(None);
    };
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let mut asked = Asked {
        method: method.to_owned(),
        path: path.to_owned(),
        query: query.to_owned(),
        headers: Vec::new(),
        body: String::new(),
    };
    loop {
        let mut line = String::new();
        stream.read_line(&mut line)?;
        let Some((name, value)) = line.trim_end().split_once(':') else {
            break;
        };
        asked
            .headers
            .push((name.to_ascii_lowercase(), value.trim().to_owned()));
    }
    let length = asked
        .header("content-length")
        .and_then(|length| length.parse().ok())
        .unwrap_or(0);
    let mut body = vec![0; length];
    stream.read_exact(&mut body)?;
    asked.body = String::from_utf8_lossy(&body).into_owned();
    Ok(Some(asked))
}

/// Whether the connection can carry another request.
fn write(stream: &mut impl Write, reply: Reply) -> io::Result<bool> {
    match reply {
        Reply::Answer {
            status,
            headers,
            body,
        } => {
            let mut head = format!("HTTP/1.1 {status} Status\r\n");
            for (name, value) in headers {
                head.push_str(&format!("{name}: {value}\r\n"));
            }
            head.push_str(&format!("Content-Length: {}\r\n\r\n{body}", body.len()));
            stream.write_all(head.as_bytes())?;
            stream.flush()?;
            Ok(true)
        }
        Reply::Raw(bytes) => {
            stream.write_all(&bytes)?;
            stream.flush()?;
            Ok(false)
        }
        Reply::Endless(first, again, pause) => {
            stream.write_all(&first)?;
            loop {
                stream.write_all(&again)?;
                stream.flush()?;
                thread::sleep(pause);
            }
        }
        Reply::After(pause, reply) => {
            thread::sleep(pause);
            write(stream, *reply)
        }
        // Longer than any test; the connection is shut down when the server is dropped.
        Reply::Silence => {
            thread::sleep(Duration::from_secs(60));
            Ok(false)
        }
        Reply::Close => Ok(false),
    }
}

// A test that panics while it answers has failed already.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
