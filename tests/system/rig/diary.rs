//! What a load balancer saw, in order and with the moments.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use super::Haproxy;

/// Watches the administrative state of a server and writes down each change.
pub(crate) struct Diary {
    over: Arc<AtomicBool>,
    changes: Arc<Mutex<Vec<(Instant, u32)>>>,
    watcher: Option<JoinHandle<()>>,
}

impl Diary {
    pub(crate) fn of(haproxy: &Arc<Haproxy>, server: &'static str) -> Self {
        let haproxy = Arc::clone(haproxy);
        let over = Arc::new(AtomicBool::new(false));
        let changes = Arc::new(Mutex::new(vec![(Instant::now(), haproxy.admin_state(server))]));
        let watcher = thread::spawn({
            let (over, changes) = (Arc::clone(&over), Arc::clone(&changes));
            move || {
                while !over.load(Ordering::Relaxed) {
                    let state = haproxy.admin_state(server);
                    let mut changes = changes.lock().expect("nobody panicked");
                    if changes.last().is_none_or(|(_, last)| *last != state) {
                        changes.push((Instant::now(), state));
                    }
                    drop(changes);
                    thread::sleep(Duration::from_millis(2));
                }
            }
        });
        Self {
            over,
            changes,
            watcher: Some(watcher),
        }
    }

    /// The states so far, the one at the start first.
    pub(crate) fn states(&self) -> Vec<u32> {
        let changes = self.changes.lock().expect("nobody panicked");
        changes.iter().map(|(_, state)| *state).collect()
    }

    /// How it stands now.
    pub(crate) fn last_state(&self) -> u32 {
        *self.states().last().expect("the state at the start")
    }

    /// When the last of these changes was.
    pub(crate) fn last_change(&self) -> Instant {
        let changes = self.changes.lock().expect("nobody panicked");
        changes.last().expect("the state at the start").0
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
