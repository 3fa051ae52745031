//! One connection to the load balancer, and one request on it.

use std::io;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use http_body_util::{BodyExt, Empty};
use hyper::body::Bytes;
use hyper::client::conn::http1::{self, SendRequest};
use hyper::http::{Request, header};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::sync::OwnedSemaphorePermit;
use tokio_rustls::TlsConnector;

use super::{Aim, Failure};

/// How long a connection is kept for the next request: below every load balancer's own time-out, so that it
/// is not closed just as a request is on its way.
const KEEP: Duration = Duration::from_secs(1);

/// An open connection.
pub(super) struct Connection {
    sender: SendRequest<Empty<Bytes>>,
    idle_since: Instant,
}

/// What came of sending.
pub(super) enum Sent {
    /// The whole answer came.
    Answered,
    /// It failed.
    Failed(Failure),
    /// The connection had been closed before, and nothing was sent.
    Unsent,
}

impl Connection {
    /// Opens one. The permit is given back when it is closed.
    pub(super) async fn open(
        aim: &Aim,
        addresses: &[SocketAddr],
        permit: OwnedSemaphorePermit,
    ) -> Result<Self, Failure> {
        let stream = TcpStream::connect(addresses)
            .await
            .map_err(|error| not_connected(&error))?;
        // Without it only latency suffers.
        drop(stream.set_nodelay(true));
        match &aim.tls {
            None => Self::speak(stream, permit).await,
            Some((name, config)) => {
                let connector = TlsConnector::from(config.clone());
                let stream = connector.connect(name.clone(), stream).await;
                Self::speak(stream.map_err(|error| not_connected(&error))?, permit).await
            }
        }
    }

    async fn speak<S>(stream: S, permit: OwnedSemaphorePermit) -> Result<Self, Failure>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let spoken = http1::handshake(TokioIo::new(stream)).await;
        let (sender, connection) = spoken.map_err(|error| Failure::NotConnected(error.to_string()))?;
        tokio::spawn(async move {
            // Its errors are told to the request.
            drop(connection.await);
            drop(permit);
        });
        Ok(Self {
            sender,
            idle_since: Instant::now(),
        })
    }

    /// Whether it can be used for another request now.
    pub(super) fn is_fit(&self) -> bool {
        self.sender.is_ready() && self.idle_since.elapsed() < KEEP
    }

    /// Whether it is worth keeping. Right after an answer it is not ready yet.
    pub(super) fn is_open(&self) -> bool {
        !self.sender.is_closed() && self.idle_since.elapsed() < KEEP
    }

    /// Sends a request and reads the whole answer. Whether the connection may be kept is in `self` then.
    pub(super) async fn send(&mut self, request: Request<Empty<Bytes>>) -> Sent {
        let answer = match self.sender.send_request(request).await {
            Ok(answer) => answer,
            Err(error) if error.is_canceled() => return Sent::Unsent,
            Err(error) if error.is_parse() => return Sent::Failed(Failure::NotUnderstood(error.to_string())),
            Err(_) => return Sent::Failed(Failure::Cut),
        };
        let status = answer.status();
        let closes = answer
            .headers()
            .get(header::CONNECTION)
            .is_some_and(|value| value.as_bytes().eq_ignore_ascii_case(b"close"));
        let mut body = answer.into_body();
        while let Some(frame) = body.frame().await {
            if frame.is_err() {
                return Sent::Failed(Failure::Cut);
            }
        }
        self.idle_since = if closes {
            // Long ago: whatever hyper thinks, the peer closes it.
            self.idle_since.checked_sub(KEEP).unwrap_or(self.idle_since)
        } else {
            Instant::now()
        };
        if status.is_client_error() || status.is_server_error() {
            return Sent::Failed(Failure::Status(status.to_string()));
        }
        Sent::Answered
    }
}

fn not_connected(error: &io::Error) -> Failure {
    if error.kind() == io::ErrorKind::ConnectionRefused {
        Failure::Refused
    } else {
        Failure::NotConnected(error.to_string())
    }
}
