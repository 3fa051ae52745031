//! Lines to stderr that never block the run: whoever reads the pipe may be stuck, or gone.

use std::collections::VecDeque;
use std::io::Write;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};

/// Lines kept while nobody reads. More than a run has to say; beyond it the oldest go.
const KEPT: usize = 1000;
/// A pipe that poll calls writable takes at least this much without blocking (`PIPE_BUF`, pipe(7)).
const CHUNK: usize = 4096;

static WAITING: Mutex<VecDeque<Vec<u8>>> = Mutex::new(VecDeque::new());

/// Writes a line as soon as stderr takes it.
pub fn line(mut text: String) {
    text.push('\n');
    let mut waiting = WAITING.lock().unwrap_or_else(PoisonError::into_inner);
    if waiting.len() == KEPT {
        waiting.pop_front();
    }
    waiting.extend(text.as_bytes().chunks(CHUNK).map(<[u8]>::to_vec));
    write_out(&mut waiting, Duration::ZERO);
}

/// Writes a line if that is possible right now, even while another thread is stuck in writing one.
pub fn last_words(mut text: String) {
    text.push('\n');
    if writable(Duration::ZERO) {
        // Past std's lock, which that thread may hold. There is nobody left to tell of a failure.
        let _ = rustix::io::write(std::io::stderr(), text.as_bytes());
    }
}

/// Gives what is still waiting a last chance, for at most `patience`.
pub fn flush(patience: Duration) {
    let mut waiting = WAITING.lock().unwrap_or_else(PoisonError::into_inner);
    write_out(&mut waiting, patience);
}

fn write_out(waiting: &mut VecDeque<Vec<u8>>, patience: Duration) {
    let until = Instant::now() + patience;
    while let Some(chunk) = waiting.front() {
        if !writable(until.saturating_duration_since(Instant::now())) {
            return;
        }
        // A reader that is gone is not worth ending for: there is nobody to tell.
        drop(std::io::stderr().write_all(chunk));
        waiting.pop_front();
    }
}

fn writable(patience: Duration) -> bool {
    let stderr = std::io::stderr();
    let mut fds = [PollFd::new(&stderr, PollFlags::OUT)];
    let patience = Timespec::try_from(patience).unwrap_or(Timespec {
        tv_sec: 0,
        tv_nsec: 0,
    });
    matches!(poll(&mut fds, Some(&patience)), Ok(ready) if ready > 0)
}
