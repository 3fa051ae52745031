//! The service behind HAProxy, its agent, and clients.

use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, UnixStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// A service whose answers to `/slow` wait until they are released.
pub struct App {
    /// Its port on 127.0.0.1.
    pub port: u16,
    release: watch::Sender<bool>,
    task: JoinHandle<()>,
}

impl App {
    /// Starts it on a free port.
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let port = listener.local_addr().expect("an address").port();
        let (release, released) = watch::channel(false);
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let mut released = released.clone();
                tokio::spawn(async move {
                    let mut stream = BufReader::new(stream);
                    let mut request = String::new();
                    while !request.ends_with("\r\n\r\n") {
                        if !matches!(stream.read_line(&mut request).await, Ok(n) if n > 0) {
                            return;
                        }
                    }
                    if request.starts_with("GET /slow ") {
                        let _ = released.wait_for(|released| *released).await;
                    }
                    let answer = "HTTP/1.1 200 OK\r\nContent-Length: 4\r\nConnection: close\r\n\r\ndone";
                    let _ = stream.write_all(answer.as_bytes()).await;
                });
            }
        });
        Self { port, release, task }
    }

    /// Lets all slow requests be answered.
    pub fn release(&self) {
        self.release.send_replace(true);
    }
}

impl Drop for App {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// A request through HAProxy's frontend at a unix socket; the whole response in the end.
pub fn request(front: PathBuf, path: &'static str) -> JoinHandle<String> {
    send(
        front,
        format!("GET {path} HTTP/1.1\r\nHost: app\r\nConnection: close\r\n\r\n"),
    )
}

/// The same from a client that sticks to a server by its cookie.
pub fn sticky_request(front: PathBuf, path: &'static str, server: &'static str) -> JoinHandle<String> {
    let cookie = format!("Cookie: SERVER={server}");
    send(
        front,
        format!("GET {path} HTTP/1.1\r\nHost: app\r\n{cookie}\r\nConnection: close\r\n\r\n"),
    )
}

fn send(front: PathBuf, request: String) -> JoinHandle<String> {
    tokio::spawn(async move {
        let mut stream = UnixStream::connect(front).await.expect("the frontend");
        stream.write_all(request.as_bytes()).await.expect("sent");
        let mut response = String::new();
        let _ = stream.read_to_string(&mut response).await;
        response
    })
}

/// An agent that HAProxy asks about a server.
pub struct Agent {
    /// Its port on 127.0.0.1.
    pub port: u16,
    says: Arc<Mutex<&'static str>>,
    task: JoinHandle<()>,
}

impl Agent {
    /// Starts one that says this.
    pub async fn start(words: &'static str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let port = listener.local_addr().expect("an address").port();
        let says = Arc::new(Mutex::new(words));
        let words = says.clone();
        let task = tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let words = *words.lock().expect("not poisoned");
                let _ = stream.write_all(format!("{words}\n").as_bytes()).await;
            }
        });
        Self { port, says, task }
    }

    /// Says this from now on.
    pub fn say(&self, words: &'static str) {
        *self.says.lock().expect("not poisoned") = words;
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        self.task.abort();
    }
}
