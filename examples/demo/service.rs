//! The service: slow requests, keep-alive, and no grace: SIGTERM ends it at once, as it does most programs.

use std::convert::Infallible;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::process::Stdio;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::process::Child;

use crate::http::Message;
use crate::{Result, children};

/// What it is, in a line.
pub(crate) const ABOUT: &str =
    "two copies, app1 and app2; a request takes 0 to 2 s; SIGTERM ends a copy at once";

/// One copy of the service, a process of its own.
pub(crate) struct Service {
    pub(crate) name: &'static str,
    pub(crate) address: SocketAddr,
    child: Child,
    /// Bound and never listening: while the copy is down nobody else gets its port, and clients are refused.
    _port: TcpSocket,
}

impl Service {
    /// Starts a copy on a free port; it accepts connections when this returns.
    pub(crate) async fn start(name: &'static str) -> Result<Self> {
        let port = reusable_socket((Ipv4Addr::LOCALHOST, 0).into())?;
        let address = port.local_addr()?;
        let child = spawn(name, address.port()).await?;
        Ok(Self {
            name,
            address,
            child,
            _port: port,
        })
    }

    /// Sends SIGTERM and waits until the process is gone.
    pub(crate) async fn terminate(&mut self) -> Result<()> {
        let id = self.child.id().and_then(|id| i32::try_from(id).ok());
        let id = id.and_then(Pid::from_raw).ok_or("the copy is gone already")?;
        kill_process(id, Signal::TERM)?;
        self.child.wait().await?;
        Ok(())
    }

    /// Starts the copy again, where it was.
    pub(crate) async fn restart(&mut self) -> Result<()> {
        self.child = spawn(self.name, self.address.port()).await?;
        Ok(())
    }
}

/// A process that has said that it listens.
async fn spawn(name: &str, port: u16) -> Result<Child> {
    let mut command = children::own_role("service");
    let mut child = command
        .args([name, &port.to_string()])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()?;
    let said = child.stdout.take().ok_or("no pipe")?;
    match BufReader::new(said).lines().next_line().await? {
        Some(_) => Ok(child),
        None => Err(format!("{name} does not start on port {port}").into()),
    }
}

/// Several sockets may be bound to one address this way, as long as at most one of them listens.
fn reusable_socket(address: SocketAddr) -> io::Result<TcpSocket> {
    let socket = TcpSocket::new_v4()?;
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    Ok(socket)
}

/// The copy itself, in its own process: `GET /MILLISECONDS` is answered after that long.
pub(crate) async fn run(name: &str, port: u16) -> Result<Infallible> {
    children::end_with_parent()?;
    let listener = reusable_socket((Ipv4Addr::LOCALHOST, port).into())?.listen(1024)?;
    println!("{name} listens on port {port}");
    serve(listener).await
}

async fn serve(listener: TcpListener) -> Result<Infallible> {
    loop {
        let (stream, _) = listener.accept().await?;
        // A connection that breaks concerns nobody else.
        tokio::spawn(async move { answer(stream).await.ok() });
    }
}

async fn answer(stream: TcpStream) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut stream = BufReader::new(stream);
    while let Some(request) = Message::read(&mut stream).await? {
        let millis = request.subject().trim_start_matches('/').split(' ').next();
        let millis = millis.and_then(|millis| millis.parse().ok()).unwrap_or(0);
        tokio::time::sleep(Duration::from_millis(millis)).await;
        let answer = Message::answer("200 OK", "", "done\n");
        stream.write_all(&answer.bytes).await?;
    }
    Ok(())
}
