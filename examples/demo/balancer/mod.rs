//! The load balancer: HAProxy where it is installed, else the one built in. Both are told the same way.

mod embedded;
mod haproxy;
mod health;
mod proxy;
mod runtime_api;
mod servers;

use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, UnixStream};

use crate::Result;
use crate::screen::Screen;
use crate::service::Service;

/// The backend's name. Its servers are called as the copies are.
pub(crate) const BACKEND: &str = "web";

/// How often a server's health is checked.
const CHECK_EVERY: Duration = Duration::from_millis(500);

/// So many failed checks in a row take a server down; one that succeeds brings it back.
const CHECKS_TO_FALL: u32 = 2;

/// Enough to start HAProxy on a loaded machine, and for a health check.
const UP_WITHIN: Duration = Duration::from_secs(10);

/// A load balancer that runs as long as this value lives.
pub(crate) struct Balancer {
    /// What it is, in a line.
    pub(crate) about: String,
    /// Where its clients connect.
    pub(crate) front: SocketAddr,
    /// Its runtime API, a unix socket.
    pub(crate) socket: PathBuf,
    _process: Option<tokio::process::Child>,
    _directory: TempDir,
}

impl Balancer {
    /// Starts one in front of `copies`. Returns when it holds both for up.
    pub(crate) async fn start(embedded: bool, copies: [&Service; 2], screen: &Screen) -> Result<Self> {
        if !embedded && let Some(program) = haproxy::find() {
            match Self::start_haproxy(&program, copies).await {
                Ok(balancer) => return Ok(balancer),
                Err(error) => screen.print(&format!(
                    "{} does not serve here, so the built-in load balancer does: {error}",
                    program.display()
                )),
            }
        }
        Self::start_embedded(copies).await
    }

    async fn start_haproxy(program: &Path, copies: [&Service; 2]) -> Result<Self> {
        let (directory, socket, listener) = Self::place().await?;
        let front = listener.local_addr()?;
        let mut process = haproxy::start(program, listener, &socket, copies, directory.path())?;
        let log = haproxy::log_file(directory.path());
        let mut balancer = Self {
            about: haproxy::about(program).await?,
            front,
            socket,
            _process: None,
            _directory: directory,
        };
        let up = tokio::select! {
            up = balancer.all_up() => up,
            _ = process.wait() => Err("it ended at once".into()),
        };
        if let Err(error) = up {
            let log = std::fs::read_to_string(log).unwrap_or_default();
            return Err(format!("{error}\n{log}").into());
        }
        balancer._process = Some(process);
        Ok(balancer)
    }

    async fn start_embedded(copies: [&Service; 2]) -> Result<Self> {
        let (directory, socket, listener) = Self::place().await?;
        let balancer = Self {
            about: embedded::ABOUT.to_owned(),
            front: listener.local_addr()?,
            socket: socket.clone(),
            _process: None,
            _directory: directory,
        };
        embedded::start(listener, &socket, copies)?;
        balancer.all_up().await?;
        Ok(balancer)
    }

    /// A directory for its socket, and a free port: already bound, so that nobody else can take it.
    async fn place() -> Result<(TempDir, PathBuf, TcpListener)> {
        let directory = tempfile::Builder::new().prefix("lb-drain-demo-").tempdir()?;
        let socket = directory.path().join("admin.sock");
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        Ok((directory, socket, listener))
    }

    /// Sends one line to the runtime API, as an operator would with socat.
    pub(crate) async fn ask(&self, command: &str) -> io::Result<String> {
        let mut stream = UnixStream::connect(&self.socket).await?;
        stream.write_all(format!("{command}\n").as_bytes()).await?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await?;
        Ok(answer.trim().to_owned())
    }

    /// Sends a command whose success is an empty answer.
    pub(crate) async fn tell(&self, command: &str) -> Result<()> {
        match self.ask(command).await?.as_str() {
            "" => Ok(()),
            refusal => Err(format!("\"{command}\" was refused: {refusal}").into()),
        }
    }

    /// Waits until every server gets requests.
    pub(crate) async fn all_up(&self) -> Result<()> {
        let started = Instant::now();
        while started.elapsed() < UP_WITHIN {
            let stat = self
                .ask(&format!("show stat {BACKEND} 4 -1"))
                .await
                .unwrap_or_default();
            if stat.lines().filter(|line| line.contains(",UP,")).count() == 2 {
                return Ok(());
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        Err(format!("not every server was up after {} s", UP_WITHIN.as_secs()).into())
    }
}
