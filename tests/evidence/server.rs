//! An HTTP server that answers as the request's path says: `/KIND/DELAY_MS/CHUNKS/GAP_MS/SIZE`.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;

use crate::truth::{Clock, Truth, Truths};

/// A thread with a runtime, which ends when this is dropped.
pub(crate) struct Running {
    _stop: oneshot::Sender<()>,
}

impl Running {
    /// Runs this until it ends or is dropped. Tasks that it spawns locally end with it.
    pub(crate) fn start<F: Future<Output = ()>>(work: impl FnOnce() -> F + Send + 'static) -> Self {
        let (stop, stopped) = oneshot::channel();
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .expect("a runtime");
            tokio::task::LocalSet::new().block_on(&runtime, async {
                tokio::select! {
                    () = work() => {}
                    _ = stopped => {}
                }
            });
        });
        Self { _stop: stop }
    }
}

/// Who tells the truth of a connection's requests; the server always tells that of its answers.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Teller {
    /// The client, which knows when a request has reached the kernel.
    Client,
    /// The server, where the connection's other end is a load balancer.
    Server,
}

/// Starts a server on a free port of loopback.
pub(crate) fn start(clock: Clock, truths: Arc<Truths>, teller: Teller) -> (u16, Running) {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    listener.set_nonblocking(true).expect("a socket");
    let port = listener.local_addr().expect("a bound socket").port();
    let running = Running::start(move || async move {
        let listener = TcpListener::from_std(listener).expect("a runtime");
        loop {
            let (stream, peer) = listener.accept().await.expect("descriptors");
            let truths = Arc::clone(&truths);
            tokio::task::spawn_local(async move {
                let truth = truths.of(peer.port());
                truth.done(0, clock.now());
                let connection = Connection {
                    stream,
                    clock,
                    truth,
                    teller,
                    read: Vec::new(),
                };
                // The peer closes when it likes, in the middle of an answer too.
                let _ = connection.serve().await;
                truths.forget(peer.port());
            });
        }
    });
    (port, running)
}

struct Connection {
    stream: TcpStream,
    clock: Clock,
    truth: Arc<Truth>,
    teller: Teller,
    read: Vec<u8>,
}

struct Plan {
    kind: u8,
    delay: Duration,
    chunks: usize,
    gap: Duration,
    size: usize,
    upload: usize,
}

impl Connection {
    async fn serve(mut self) -> io::Result<()> {
        self.stream.set_nodelay(true)?;
        for request in 1.. {
            let plan = self.head(request).await?;
            while self.read.len() < plan.upload {
                self.more().await?;
            }
            self.read.drain(..plan.upload);
            tokio::time::sleep(plan.delay).await;
            self.answer(request, &plan).await?;
        }
        Ok(())
    }

    async fn head(&mut self, request: u32) -> io::Result<Plan> {
        let end = loop {
            if let Some(end) = self.read.windows(4).position(|four| four == b"\r\n\r\n") {
                break end;
            }
            self.more().await?;
        };
        let head: Vec<u8> = self.read.drain(..end + 4).collect();
        let plan = Plan::parse(&String::from_utf8(head).expect("ASCII"));
        if self.teller == Teller::Server {
            self.truth.begin(request, plan.kind, self.clock.now());
            self.truth.asked(request, self.clock.now());
        }
        Ok(plan)
    }

    async fn answer(&mut self, request: u32, plan: &Plan) -> io::Result<()> {
        let body = vec![b'.'; plan.size];
        let mut rest = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", body.len()).into_bytes();
        rest.extend(body);
        self.truth.answering(request);
        for chunk in 0..plan.chunks {
            if chunk > 0 {
                tokio::time::sleep(plan.gap).await;
            }
            let length = rest.len() / (plan.chunks - chunk);
            self.truth.writing(self.clock.now());
            self.stream.write_all(&rest[..length]).await?;
            self.truth.written(self.clock.now());
            rest.drain(..length);
        }
        if self.teller == Teller::Server {
            self.truth.done(request, self.clock.now());
        }
        Ok(())
    }

    async fn more(&mut self) -> io::Result<()> {
        match self.stream.read_buf(&mut self.read).await? {
            0 => Err(io::ErrorKind::UnexpectedEof.into()),
            _ => Ok(()),
        }
    }
}

impl Plan {
    fn parse(head: &str) -> Self {
        let path = head.split(' ').nth(1).expect("a path");
        let numbers: Vec<u64> = path
            .split('/')
            .skip(1)
            .map(|number| number.parse().expect("a number"))
            .collect();
        let [kind, delay, chunks, gap, size] = numbers[..] else {
            panic!("not a plan: {path}")
        };
        let upload = head.lines().find_map(|line| {
            line.to_lowercase()
                .strip_prefix("content-length: ")
                .map(str::to_owned)
        });
        Self {
            kind: u8::try_from(kind).expect("a kind"),
            delay: Duration::from_millis(delay),
            chunks: usize::try_from(chunks).expect("a number"),
            gap: Duration::from_millis(gap),
            size: usize::try_from(size).expect("a size"),
            upload: upload.map_or(0, |length| length.parse().expect("a length")),
        }
    }
}
