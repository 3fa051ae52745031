//! A fake HAProxy: its runtime API as documented and as measured, and its unpleasant sides on demand.
//!
//! That it answers as the real one does is a test of the HAProxy provider.

mod commands;

use std::fs;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncWrite, AsyncWriteExt, BufReader};
use tokio::net::UnixListener;
use tokio::task::JoinHandle;

/// A fake HAProxy at a unix socket of its own. It ends when it is dropped.
#[derive(Debug)]
pub struct Haproxy {
    directory: TempDir,
    model: Arc<Mutex<Model>>,
    listener: Mutex<Option<JoinHandle<()>>>,
}

/// What it knows, and how it behaves. All of it may be changed while it runs.
#[derive(Debug, Clone)]
pub struct Model {
    /// Its servers.
    pub servers: Vec<Server>,
    /// What the socket may do: `user`, `operator`, `admin`.
    pub level: &'static str,
    /// Which process and which configuration the socket belongs to.
    pub dialect: Dialect,
    /// Its pid, by which a reload can be told.
    pub pid: u32,
    /// How it answers.
    pub manner: Manner,
    /// Every line it was sent.
    pub heard: Vec<String>,
}

/// One server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Server {
    /// Its backend.
    pub backend: String,
    /// Its name.
    pub name: String,
    /// `srv_addr`.
    pub address: String,
    /// `srv_port`.
    pub port: u16,
    /// `srv_op_state`.
    pub running: u8,
    /// `srv_admin_state`.
    pub admin: u32,
    /// `srv_uweight`.
    pub weight: u32,
    /// `srv_iweight`.
    pub configured_weight: u32,
    /// `scur`.
    pub current: u64,
    /// `qcur`.
    pub queued: u64,
}

/// Which socket it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dialect {
    /// A worker's.
    Worker,
    /// A worker's with `severity-output string`: refusals begin with `[err]: `.
    Words,
    /// A worker's with `severity-output number`: refusals begin with `[3]: `.
    Numbers,
    /// The master's: commands for the worker need `@1`, and it does not close until the client does.
    Master,
}

/// How it answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Manner {
    /// As it should.
    Well,
    /// With a line of noise.
    Garbage,
    /// That it knows no such command, whatever it is.
    UnderstandsNothing,
    /// With noise that never ends.
    EndlessGarbage,
    /// Not at all: it accepts, like one whose `maxconn` is reached.
    Silent,
    /// By closing, before it does anything.
    HangsUp,
    /// Well, except that after a change it closes without an answer.
    LosesAnswers,
    /// With the first half of what it should.
    CutShort,
}

impl Server {
    /// A server in service: `backend/name` at an address such as `10.0.0.7:8080`.
    #[must_use]
    pub fn new(name: &str, address: &str) -> Self {
        let (backend, name) = name.split_once('/').expect("backend/server");
        let (address, port) = address.rsplit_once(':').expect("address:port");
        Self {
            backend: backend.to_owned(),
            name: name.to_owned(),
            address: address.trim_matches(['[', ']']).to_owned(),
            port: port.parse().expect("a port"),
            running: 2,
            admin: 0,
            weight: 1,
            configured_weight: 1,
            current: 0,
            queued: 0,
        }
    }
}

impl Haproxy {
    /// Starts one with these servers, at level admin.
    pub async fn start(dialect: Dialect, servers: Vec<Server>) -> Self {
        let fake = Self {
            directory: tempfile::tempdir().expect("a directory"),
            model: Arc::new(Mutex::new(Model {
                servers,
                level: "admin",
                dialect,
                pid: 4711,
                manner: Manner::Well,
                heard: Vec::new(),
            })),
            listener: Mutex::new(None),
        };
        fake.listen();
        fake
    }

    /// Its socket.
    #[must_use]
    pub fn socket(&self) -> PathBuf {
        self.directory.path().join("admin.sock")
    }

    /// What it knows, to read and to change.
    pub fn model(&self) -> MutexGuard<'_, Model> {
        lock(&self.model)
    }

    /// Stops listening: the socket stays, and refuses.
    pub async fn refuse(&self) {
        let listener = lock(&self.listener).take();
        if let Some(listener) = listener {
            listener.abort();
            // The socket is open until the task has been dropped.
            let _ = listener.await;
        }
    }

    /// Listens (again).
    pub fn listen(&self) {
        let mut running = lock(&self.listener);
        if running.is_some() {
            return;
        }
        let _ = fs::remove_file(self.socket());
        let listener = UnixListener::bind(self.socket()).expect("a socket");
        let model = self.model.clone();
        *running = Some(tokio::spawn(async move {
            // Connections end with the listener.
            let mut connections = tokio::task::JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                connections.spawn(serve(stream, model.clone()));
                while connections.try_join_next().is_some() {}
            }
        }));
    }
}

impl Drop for Haproxy {
    fn drop(&mut self) {
        if let Some(listener) = lock(&self.listener).take() {
            listener.abort();
        }
    }
}

/// One connection. Its errors are the client's business.
async fn serve(stream: impl AsyncRead + AsyncWrite + Unpin, model: Arc<Mutex<Model>>) {
    let mut stream = BufReader::new(stream);
    loop {
        let manner = lock(&model).manner;
        if manner == Manner::HangsUp {
            return;
        }
        let mut line = String::new();
        // Without the end of its line nothing runs.
        match stream.read_line(&mut line).await {
            Ok(_) if line.ends_with('\n') => {}
            _ => return,
        }
        let answer = {
            let mut model = lock(&model);
            model.heard.push(line.trim_end().to_owned());
            match manner {
                Manner::Well | Manner::LosesAnswers | Manner::CutShort => model.run(line.trim_end()),
                _ => String::new(),
            }
        };
        match manner {
            Manner::Silent => return std::future::pending().await,
            Manner::EndlessGarbage => while stream.write_all(&[b'x'; 4096]).await.is_ok() {},
            Manner::LosesAnswers if is_change(&line) => return,
            _ => {}
        }
        let answer = match manner {
            Manner::UnderstandsNothing => "Unknown command.\n\n",
            Manner::Garbage => "HTTP/1.1 400 Bad request\r\nContent-length: 0\r\n\r\n",
            Manner::CutShort => &answer[..answer.len() / 2],
            _ => &answer,
        };
        if stream.write_all(answer.as_bytes()).await.is_err() {
            return;
        }
        let dialect = lock(&model).dialect;
        if dialect != Dialect::Master {
            let _ = stream.shutdown().await;
            return;
        }
    }
}

/// Whether a line asks for a change.
#[must_use]
pub fn is_change(line: &str) -> bool {
    line.split(';').any(|command| {
        let command = command.trim().trim_start_matches("@1 ");
        !command.starts_with("show ") && command != "quit"
    })
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
