//! A service that stops without losing a request: `graceful-service ADDRESS:PORT NAME [LINGER]`.
//!
//! On SIGTERM it does what `docs/graceful-shutdown.md` asks of every service behind a load balancer:
//!
//! 1. its health check (`GET /health`) answers 503, so that load balancers send new requests elsewhere;
//! 2. for LINGER seconds it serves whatever still comes: as long as load balancers need to notice. Where
//!    `lb-drain deregister` has run before SIGTERM, they know already, and 0 is right (the default);
//! 3. it stops accepting, finishes what is in flight, and closes idle connections;
//! 4. it exits with 0.
//!
//! How long step 3 may take is not for the service to say: `TimeoutStopSec=` of its unit ends it.
//!
//! `GET /sleep/1500` is answered after 1500 ms with NAME, in place of real work.

use std::convert::Infallible;
use std::error::Error;
use std::os::unix::net::UnixDatagram;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use std::{env, io};

use hyper::body::Incoming;
use hyper::header::{CONNECTION, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use hyper_util::server::graceful::GracefulShutdown;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio::time::sleep;

struct Service {
    name: String,
    /// SIGTERM has come.
    stopping: AtomicBool,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let (address, name, linger) = match arguments.as_slice() {
        [address, name] => (address, name, Duration::ZERO),
        [address, name, linger] => (address, name, Duration::try_from_secs_f64(linger.parse()?)?),
        _ => return Err("usage: graceful-service ADDRESS:PORT NAME [LINGER]".into()),
    };
    // Before anybody can know that we run, so that no SIGTERM finds us unprepared.
    let mut sigterm = signal(SignalKind::terminate())?;
    let listener = TcpListener::bind(address).await?;
    let service = Arc::new(Service {
        name: name.clone(),
        stopping: AtomicBool::new(false),
    });
    let connections = GracefulShutdown::new();
    tell_systemd("READY=1")?;

    tokio::select! {
        never = accept(&listener, &service, &connections) => never,
        _ = sigterm.recv() => service.stopping.store(true, Ordering::Relaxed),
    }
    // The health check fails from here on.
    tokio::select! {
        never = accept(&listener, &service, &connections) => never,
        () = sleep(linger) => drop(listener),
    }
    // Returns once what is in flight is answered; idle connections are closed at once.
    connections.shutdown().await;
    Ok(())
}

/// Serves every connection that comes, for as long as it is polled.
async fn accept(listener: &TcpListener, service: &Arc<Service>, connections: &GracefulShutdown) -> ! {
    loop {
        let stream = match listener.accept().await {
            Ok((stream, _)) => stream,
            Err(error) => {
                // Too many open files, mostly: it passes, and ending would cut what is in flight.
                eprintln!("cannot accept a connection: {error}");
                sleep(Duration::from_millis(100)).await;
                continue;
            }
        };
        stream.set_nodelay(true).ok();
        let service = Arc::clone(service);
        let answer = service_fn(move |request| answer(Arc::clone(&service), request));
        let connection = http1::Builder::new().serve_connection(TokioIo::new(stream), answer);
        // A connection that breaks concerns its client alone.
        tokio::spawn(connections.watch(connection));
    }
}

async fn answer(service: Arc<Service>, request: Request<Incoming>) -> Result<Response<String>, Infallible> {
    let path = request.uri().path();
    let stopping = || service.stopping.load(Ordering::Relaxed);
    let (status, body) = if path == "/health" {
        match stopping() {
            false => (StatusCode::OK, "in service".to_owned()),
            true => (StatusCode::SERVICE_UNAVAILABLE, "stopping".to_owned()),
        }
    } else if let Some(Ok(millis)) = path.strip_prefix("/sleep/").map(str::parse) {
        sleep(Duration::from_millis(millis)).await;
        (StatusCode::OK, service.name.clone())
    } else {
        let hint = "ask for /health or /sleep/MILLISECONDS".to_owned();
        (StatusCode::NOT_FOUND, hint)
    };
    let mut response = Response::new(body);
    *response.status_mut() = status;
    if stopping() {
        // Whoever keeps this connection for more requests is told to open the next one elsewhere. So no request is on
        // its way here when the idle ones are closed.
        let close = HeaderValue::from_static("close");
        response.headers_mut().insert(CONNECTION, close);
    }
    Ok(response)
}

/// As `sd_notify(3)` does; a unit with `Type=notify` counts as started from `READY=1` on.
fn tell_systemd(state: &str) -> io::Result<()> {
    if let Some(socket) = env::var_os("NOTIFY_SOCKET") {
        UnixDatagram::unbound()?.send_to(state.as_bytes(), socket)?;
    }
    Ok(())
}
