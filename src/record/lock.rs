//! One run at a time changes the record: what it reads of an entry is still so when it writes.
//!
//! Two runs on one host share nothing else. Both ask, and the second finds out what the first has done, and waits
//! beside it: the lock is never held while anything is waited for, and nothing waits long for the lock.

use std::fs::OpenOptions;
use std::os::fd::OwnedFd;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use rustix::fs::{FlockOperation, OFlags, flock};

/// To change the record takes a millisecond, and to be sure of it on a slow disk some more.
const PATIENCE: Duration = Duration::from_millis(100);
const PAUSE: Duration = Duration::from_millis(2);

/// Held until it is dropped. `None` where it cannot be had in time: to leave matters more than to record it in
/// order.
pub(super) fn take(folder: &Path) -> Option<OwnedFd> {
    let file: OwnedFd = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .custom_flags((OFlags::NOFOLLOW | OFlags::NONBLOCK).bits().cast_signed())
        .open(folder.join("lock"))
        .ok()?
        .into();
    let begun = Instant::now();
    loop {
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => return Some(file),
            Err(_) if begun.elapsed() > PATIENCE => return None,
            Err(_) => thread::sleep(PAUSE),
        }
    }
}
