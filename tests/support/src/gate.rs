//! A gate in front of a fake: it lets everything through, or does to connections what networks and dying servers do.
//!
//! It knows no protocol, so each of its faults means the same to every provider. It ends TLS itself: behind it is
//! plain text.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::Duration;
use std::{fs, io};

use rustls::ServerConfig;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;

/// A place to listen at, or to connect to.
#[derive(Debug, Clone)]
pub enum Place {
    /// A TCP port.
    Tcp(SocketAddr),
    /// A unix socket.
    Unix(PathBuf),
}

/// What happens to connections.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// Nothing: they are carried to what is behind.
    Nothing,
    /// Refused.
    Refuses,
    /// Accepted; then nothing comes.
    Silence,
    /// The TLS handshake begins, and stands still half way.
    HandshakeStalls,
    /// The question is carried on, and half way through the answer the connection is reset.
    ResetsMidAnswer,
    /// The right answer, one byte a second.
    Trickles,
    /// Begins like an HTTP answer, and never ends.
    Endless,
    /// Bytes that mean nothing, then the end.
    Garbage,
    /// An SSH server answers.
    WrongProtocol,
}

/// The running gate. It ends, with all of its connections, when this is dropped.
#[derive(Debug)]
pub struct Gate {
    /// `None` ends it.
    fault: watch::Sender<Option<Fault>>,
    thread: Option<JoinHandle<()>>,
}

impl Gate {
    /// Opens one at `at`, in front of `behind`.
    ///
    /// # Panics
    ///
    /// Where it cannot listen there.
    #[must_use]
    pub fn open(at: Place, tls: Option<Arc<ServerConfig>>, behind: Place, fault: Fault) -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .expect("a runtime");
        let (sender, receiver) = watch::channel(Some(fault));
        let tls = tls.map(TlsAcceptor::from);
        // From the first moment on, unless it is to refuse.
        let first = runtime
            .block_on(async { listener(&at, fault) })
            .expect("a free place to listen at");
        let thread = thread::spawn(move || runtime.block_on(run(&at, first, tls, &behind, receiver)));
        Self {
            fault: sender,
            thread: Some(thread),
        }
    }

    /// From now on, this happens: to new connections, and to those that there are where it refuses.
    pub fn set(&self, fault: Fault) {
        self.fault.send_replace(Some(fault));
    }
}

impl Drop for Gate {
    fn drop(&mut self) {
        self.fault.send_replace(None);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

enum Listener {
    Tcp(TcpListener),
    Unix(UnixListener),
}

fn listener(at: &Place, fault: Fault) -> io::Result<Option<Listener>> {
    Ok(match at {
        _ if fault == Fault::Refuses => {
            if let Place::Unix(path) = at {
                // The socket stays when its server dies.
                let _ = fs::remove_file(path);
                drop(std::os::unix::net::UnixListener::bind(path)?);
            }
            None
        }
        Place::Tcp(address) => {
            let listener = std::net::TcpListener::bind(address)?;
            listener.set_nonblocking(true)?;
            Some(Listener::Tcp(TcpListener::from_std(listener)?))
        }
        Place::Unix(path) => {
            let _ = fs::remove_file(path);
            Some(Listener::Unix(UnixListener::bind(path)?))
        }
    })
}

async fn run(
    at: &Place,
    mut listening: Option<Listener>,
    tls: Option<TlsAcceptor>,
    behind: &Place,
    mut faults: watch::Receiver<Option<Fault>>,
) {
    let mut connections = JoinSet::new();
    loop {
        let Some(fault) = *faults.borrow_and_update() else {
            return;
        };
        if fault == Fault::Refuses {
            listening = None;
            connections.shutdown().await;
        } else if listening.is_none() {
            listening = listener(at, fault).expect("the place where it listened before");
        }
        tokio::select! {
            _ = faults.changed() => {}
            stream = accept(listening.as_ref(), fault) => {
                connections.spawn(serve(stream, tls.clone(), behind.clone(), fault));
            }
        }
    }
}

/// Both kinds of connection, with or without TLS.
trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<S: AsyncRead + AsyncWrite + Send + Unpin> Stream for S {}

async fn accept(listening: Option<&Listener>, fault: Fault) -> Box<dyn Stream> {
    let accepted = match listening {
        None => std::future::pending().await,
        Some(Listener::Unix(listener)) => listener
            .accept()
            .await
            .map(|(stream, _)| Box::new(stream) as Box<_>),
        Some(Listener::Tcp(listener)) => listener.accept().await.and_then(|(stream, _)| {
            stream.set_nodelay(true)?;
            if fault == Fault::ResetsMidAnswer {
                stream.set_zero_linger()?;
            }
            Ok(Box::new(stream) as Box<_>)
        }),
    };
    accepted.expect("a connection")
}

/// One connection. Its errors are the client's to notice.
async fn serve(mut client: Box<dyn Stream>, tls: Option<TlsAcceptor>, behind: Place, fault: Fault) {
    // Before any TLS.
    match fault {
        Fault::Silence => return std::future::pending().await,
        Fault::WrongProtocol => {
            let _ = client.write_all(b"SSH-2.0-OpenSSH_9.2p1\r\n").await;
            let _ = client.read(&mut [0; 4096]).await;
            return;
        }
        _ => {}
    }
    if let (Some(tls), Fault::HandshakeStalls) = (&tls, fault) {
        let _ = half_a_handshake(&mut client, tls).await;
        return std::future::pending().await;
    }
    if let Some(tls) = tls {
        match tls.accept(client).await {
            Ok(inside) => client = Box::new(inside),
            Err(_) => return,
        }
    }
    let _ = carry(client, &behind, fault).await;
}

/// The server's first words of TLS, cut in two.
async fn half_a_handshake(client: &mut Box<dyn Stream>, tls: &TlsAcceptor) -> io::Result<()> {
    let (mut ours, theirs) = tokio::io::duplex(1 << 16);
    let mut buffer = vec![0; 1 << 16];
    let length = client.read(&mut buffer).await?;
    ours.write_all(&buffer[..length]).await?;
    let length = tokio::select! {
        _ = tls.accept(theirs) => 0,
        length = ours.read(&mut buffer) => length?,
    };
    client.write_all(&buffer[..length / 2]).await?;
    client.flush().await
}

async fn carry(mut client: Box<dyn Stream>, behind: &Place, fault: Fault) -> io::Result<()> {
    let mut behind: Box<dyn Stream> = match behind {
        Place::Tcp(address) => Box::new(TcpStream::connect(address).await?),
        Place::Unix(path) => Box::new(UnixStream::connect(path).await?),
    };
    let mut buffer = vec![0; 1 << 16];
    match fault {
        Fault::Trickles | Fault::ResetsMidAnswer => {
            let length = ask(&mut client, &mut behind, &mut buffer).await?;
            if fault == Fault::ResetsMidAnswer {
                client.write_all(&buffer[..length / 2]).await?;
                return client.flush().await;
            }
            for byte in &buffer[..length] {
                client.write_all(&[*byte]).await?;
                client.flush().await?;
                tokio::time::sleep(Duration::from_secs(1)).await;
            }
        }
        Fault::Endless => {
            let _ = client.read(&mut buffer).await?;
            client.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await?;
            loop {
                client.write_all(&[b'x'; 4096]).await?;
            }
        }
        Fault::Garbage => {
            let _ = client.read(&mut buffer).await?;
            let noise: Vec<u8> = (0..512_u32)
                .map(|n| (n.wrapping_mul(0x9E37_79B9) >> 24) as u8)
                .collect();
            client.write_all(&noise).await?;
            client.shutdown().await?;
            // Read to its end, so that the noise is not overtaken by a reset.
            while client.read(&mut buffer).await? > 0 {}
        }
        _ => {
            copy_bidirectional(&mut client, &mut behind).await?;
        }
    }
    Ok(())
}

/// Carries questions on until there is an answer, and returns how long its first piece is.
async fn ask(
    client: &mut Box<dyn Stream>,
    behind: &mut Box<dyn Stream>,
    answer: &mut [u8],
) -> io::Result<usize> {
    let mut question = vec![0; 1 << 16];
    let mut asked = false;
    loop {
        tokio::select! {
            length = client.read(&mut question), if !asked => match length? {
                0 => {
                    asked = true;
                    behind.shutdown().await?;
                }
                length => behind.write_all(&question[..length]).await?,
            },
            length = behind.read(answer) => return length,
        }
    }
}
