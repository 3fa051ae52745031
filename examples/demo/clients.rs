//! The load: what `lb-drain rehearse` sends, and sees arriving at app1.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::time::Duration;

use lb_drain::rehearse::Recorder;
use lb_drain::rehearse::load::Aim;

use crate::Result;

/// What they are, in a line.
pub(crate) const ABOUT: &str =
    "100 requests a second for 10.5 s, half on kept connections and half on new ones, none sent twice";

/// Requests a second.
pub(crate) const RATE: u32 = 100;

/// How long each way's load lasts at least.
pub(crate) const LASTS: Duration = Duration::from_millis(10_500);

/// The slowest request, in milliseconds.
const SLOWEST_MS: u64 = 2000;

/// So many durations there are.
const DURATIONS: usize = 101;

/// Starts to send to `front`, and to watch the port of `app1`.
pub(crate) fn start(front: SocketAddr, app1: SocketAddr) -> Result<Recorder> {
    let urls: Vec<String> = durations_ms()
        .take(DURATIONS)
        .map(|millis| format!("http://{front}/{millis}"))
        .collect();
    let aim = Aim::new(&urls, &[])?;
    Ok(Recorder::start(aim, RATE, BTreeSet::from([app1.port()]), None))
}

/// Where a load stands, in a line.
pub(crate) fn status(recorder: &Recorder) -> String {
    let tally = recorder.tally();
    let in_flight = tally.sent - tally.ended;
    format!(
        "{} requests sent, {} failed, {in_flight} in flight",
        tally.sent, tally.failed
    )
}

/// 0 to [`SLOWEST_MS`], evenly spread, the same ones each time (Lehmer's generator with the MINSTD constants).
fn durations_ms() -> impl Iterator<Item = u64> {
    let mut state = 20_u64;
    std::iter::repeat_with(move || {
        state = state * 48_271 % 0x7fff_ffff;
        state % (SLOWEST_MS + 1)
    })
}
