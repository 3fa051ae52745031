//! What a load balancer saw, in order and with the moments.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use super::Haproxy;

/// Watches the administrative state of a server and writes down each change.
pub(crate) struct Diary {
    over: Arc<AtomicBool>,
    pages: Arc<Pages>,
    watcher: Option<JoinHandle<()>>,
}

struct Pages {
    haproxy: Arc<Haproxy>,
    server: &'static str,
    changes: Mutex<Vec<(Instant, u32)>>,
}

impl Pages {
    /// All changes until now. Who looks holds the lock, so that none of two looks is written down too late.
    fn read(&self) -> Vec<(Instant, u32)> {
        let mut changes = self.changes.lock().expect("nobody panicked");
        let state = self.haproxy.admin_state(self.server);
        if changes.last().is_none_or(|(_, last)| *last != state) {
            changes.push((Instant::now(), state));
        }
        changes.clone()
    }
}

impl Diary {
    pub(crate) fn of(haproxy: &Arc<Haproxy>, server: &'static str) -> Self {
        let pages = Arc::new(Pages {
            haproxy: Arc::clone(haproxy),
            server,
            changes: Mutex::default(),
        });
        pages.read();
        let over = Arc::new(AtomicBool::new(false));
        let watcher = thread::spawn({
            let (over, pages) = (Arc::clone(&over), Arc::clone(&pages));
            move || {
                while !over.load(Ordering::Relaxed) {
                    pages.read();
                    thread::sleep(Duration::from_millis(2));
                }
            }
        });
        Self {
            over,
            pages,
            watcher: Some(watcher),
        }
    }

    /// The states until now, the one at the start first.
    pub(crate) fn states(&self) -> Vec<u32> {
        self.pages.read().into_iter().map(|(_, state)| state).collect()
    }

    /// How it stands now.
    pub(crate) fn last_state(&self) -> u32 {
        *self.states().last().expect("the state at the start")
    }

    /// When the last of these changes was.
    pub(crate) fn last_change(&self) -> Instant {
        self.pages.read().last().expect("the state at the start").0
    }
}

impl Drop for Diary {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Relaxed);
        if let Some(watcher) = self.watcher.take() {
            drop(watcher.join());
        }
    }
}
