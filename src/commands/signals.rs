//! Signals, heard from the first moment on: one that comes before the work has begun ends it all the same.

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::Mutex;

use crate::exit::Exit;

/// Signals belong to the process, and so does who hears them: what came while nobody waited is not forgotten.
static HEARD: Mutex<Option<Heard>> = Mutex::const_new(None);

struct Heard {
    terminate: Signal,
    interrupt: Signal,
    /// Does not end a run: a lost terminal is no wish to stop half way.
    _hangup: Signal,
}

impl Heard {
    fn new() -> std::io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            _hangup: signal(SignalKind::hangup())?,
        })
    }
}

/// Hears them from now on.
pub(super) async fn hear() {
    let mut heard = HEARD.lock().await;
    if heard.is_none() {
        // Without file descriptors signals end the process as they always do.
        *heard = Heard::new().ok();
    }
}

/// Resolves when SIGTERM or SIGINT comes, or at once where one has come before.
pub(super) async fn interruption() -> Exit {
    hear().await;
    match HEARD.lock().await.as_mut() {
        Some(heard) => tokio::select! {
            _ = heard.terminate.recv() => Exit::Terminated,
            _ = heard.interrupt.recv() => Exit::Interrupted,
        },
        None => std::future::pending().await,
    }
}
