//! Waiting for what will be so, and comparing moments with systemd's.

use std::thread;
use std::time::{Duration, Instant};

use rustix::time::{ClockId, clock_gettime};

/// Waits until the condition holds, and says what did not come true when it does not within 20 s: long enough
/// for a loaded machine, short enough for a person.
pub(crate) fn eventually(what: &str, mut condition: impl FnMut() -> bool) -> Instant {
    let end = Instant::now() + Duration::from_secs(20);
    loop {
        if condition() {
            return Instant::now();
        }
        assert!(Instant::now() < end, "not within 20 s: {what}");
        thread::sleep(Duration::from_millis(5));
    }
}

/// The moment of a `…TimestampMonotonic` property of systemd, in µs of the monotonic clock.
pub(crate) fn instant_of_monotonic(micros: u64) -> Instant {
    let now = clock_gettime(ClockId::Monotonic);
    let now = Duration::new(
        now.tv_sec.try_into().expect("the clock is past zero"),
        now.tv_nsec.try_into().expect("nanoseconds fit"),
    );
    let ago = now
        .checked_sub(Duration::from_micros(micros))
        .expect("a moment of the past");
    Instant::now() - ago
}

/// The middle of what was measured (the upper one of two).
pub(crate) fn median(mut measured: Vec<Duration>) -> Duration {
    measured.sort_unstable();
    measured[measured.len() / 2]
}
