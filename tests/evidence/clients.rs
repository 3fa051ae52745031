//! Clients that talk under random schedules, then hold their connections idle.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep};

use crate::random::Random;
use crate::server::Running;
use crate::truth::{Clock, Truth, Truths};

/// Where clients connect to.
#[derive(Clone)]
pub(crate) struct Target {
    pub(crate) port: u16,
    /// What they tell the truth to, if they are the server's direct peers.
    pub(crate) truths: Option<(Clock, Arc<Truths>)>,
    /// How long they begin new requests.
    pub(crate) conversation: Duration,
}

/// How clients behave.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Manner {
    /// Requests of all kinds, some right after the last answer, some after a pause.
    Ordinary,
    /// Mostly right after the last answer, larger and slower: as hard to judge as possible.
    AtOnce,
    /// Requests that are answered at once, and nothing else.
    Plain,
}

/// What the last request on a connection was.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub(crate) enum Kind {
    None,
    Fast,
    Slow,
    Stream,
    SlowUpload,
    Upload,
    /// Its head and its body in a write each, as Python's HTTP client sends them.
    UploadInTwoWrites,
    LargeAnswer,
}

impl Kind {
    const ALL: [Self; 8] = [
        Self::None,
        Self::Fast,
        Self::Slow,
        Self::Stream,
        Self::SlowUpload,
        Self::Upload,
        Self::UploadInTwoWrites,
        Self::LargeAnswer,
    ];

    pub(crate) fn from_number(number: u8) -> Self {
        Self::ALL[usize::from(number)]
    }
}

/// Starts this many clients within a second.
pub(crate) fn start(target: &Target, clients: usize, manner: Manner, random: Random) -> Running {
    let target = target.clone();
    Running::start(move || async move {
        for _ in 0..clients {
            let (target, random) = (target.clone(), random.fork());
            tokio::task::spawn_local(async move {
                sleep(random.millis(0, 1_000)).await;
                Client::talk(target, manner, random)
                    .await
                    .expect("a conversation without an error");
            });
        }
        std::future::pending().await
    })
}

struct Client {
    stream: TcpStream,
    random: Random,
    manner: Manner,
    truth: Option<(Clock, Arc<Truth>)>,
    requests: u32,
}

/// What to ask for. The server answers as the path says.
struct Request {
    kind: Kind,
    delay_ms: u64,
    chunks: u64,
    gap_ms: u64,
    size: u64,
    upload: Vec<usize>,
}

impl Request {
    fn random(random: &Random, manner: Manner) -> Self {
        let slow = random.between(1, 30) * random.between(1, 100);
        let (largest, fast) = match manner {
            Manner::Ordinary | Manner::Plain => (10_000, 70),
            Manner::AtOnce => (60_000, 30),
        };
        let body = |random: &Random| random.between(1, largest) as usize;
        let mut request = Self {
            kind: Kind::Fast,
            delay_ms: if random.chance(fast) { 0 } else { slow },
            chunks: 1,
            gap_ms: 0,
            size: random.between(1, 2_000),
            upload: Vec::new(),
        };
        let kind = match manner {
            Manner::Ordinary | Manner::AtOnce => random.between(1, 100),
            Manner::Plain => 1,
        };
        match kind {
            1..=45 => request.delay_ms = 0,
            46..=66 => (request.kind, request.delay_ms) = (Kind::Slow, slow),
            67..=75 => {
                request.kind = Kind::Stream;
                (request.chunks, request.gap_ms) = (random.between(2, 5), random.between(1, 300));
            }
            76..=85 => {
                request.kind = Kind::SlowUpload;
                request.upload = (0..random.between(2, 5)).map(|_| body(random)).collect();
            }
            86..=93 => (request.kind, request.upload) = (Kind::Upload, vec![body(random)]),
            94..=96 => (request.kind, request.upload) = (Kind::UploadInTwoWrites, vec![body(random)]),
            _ => (request.kind, request.size) = (Kind::LargeAnswer, 300_000),
        }
        request
    }

    /// What is written, write by write.
    fn writes(&self) -> Vec<Vec<u8>> {
        let Self {
            delay_ms,
            chunks,
            gap_ms,
            size,
            upload,
            ..
        } = self;
        let kind = self.kind as u8;
        let length: usize = upload.iter().sum();
        let head = format!(
            "POST /{kind}/{delay_ms}/{chunks}/{gap_ms}/{size} HTTP/1.1\r\nHost: test\r\nContent-Length: {length}\r\n\r\n"
        );
        let mut writes = vec![head.into_bytes()];
        writes.extend(upload.iter().map(|&length| vec![b'.'; length]));
        if self.kind == Kind::Upload {
            vec![writes.concat()]
        } else {
            writes
        }
    }
}

impl Client {
    async fn talk(target: Target, manner: Manner, random: Random) -> io::Result<()> {
        let stream = TcpStream::connect(("127.0.0.1", target.port)).await?;
        stream.set_nodelay(true)?;
        let port = stream.local_addr()?.port();
        let truth = target.truths.map(|(clock, truths)| (clock, truths.of(port)));
        let until = Instant::now() + target.conversation.mul_f64(random.between(1, 100) as f64 / 100.0);
        let mut client = Self {
            stream,
            random,
            manner,
            truth,
            requests: 0,
        };
        if !client.random.chance(3) {
            while Instant::now() < until {
                client.request().await?;
                client.pause().await;
            }
        }
        std::future::pending().await
    }

    async fn pause(&self) {
        let at_once = match self.manner {
            Manner::Ordinary | Manner::Plain => 40,
            Manner::AtOnce => 80,
        };
        if self.random.chance(at_once) {
            return;
        }
        let longest = if self.random.chance(50) { 500 } else { 3_000 };
        sleep(self.random.millis(1, longest)).await;
    }

    async fn request(&mut self) -> io::Result<()> {
        self.requests += 1;
        let request = Request::random(&self.random, self.manner);
        if let Some((clock, truth)) = &self.truth {
            truth.begin(self.requests, request.kind as u8, clock.now());
        }
        for (at, write) in request.writes().iter().enumerate() {
            if at > 0 && request.kind == Kind::SlowUpload {
                sleep(self.random.millis(1, 300)).await;
            }
            self.stream.write_all(write).await?;
            if let Some((clock, truth)) = &self.truth
                && at == 0
            {
                truth.asked(self.requests, clock.now());
            }
        }
        self.read_answer(usize::try_from(request.size).expect("a size"))
            .await?;
        if let Some((clock, truth)) = &self.truth {
            truth.done(self.requests, clock.now());
        }
        Ok(())
    }

    /// The head, whatever a load balancer made of it, and so many bytes.
    async fn read_answer(&mut self, size: usize) -> io::Result<()> {
        let mut read = Vec::new();
        loop {
            if self.stream.read_buf(&mut read).await? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            if let Some(end) = read.windows(4).position(|four| four == b"\r\n\r\n")
                && read.len() >= end + 4 + size
            {
                return Ok(());
            }
        }
    }
}
