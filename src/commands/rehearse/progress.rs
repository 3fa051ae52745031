//! Where a rehearsal stands, in a live line on a terminal.

use std::convert::Infallible;
use std::time::Duration;

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};

use crate::rehearse::Course;

/// Ten times a second looks alive and costs nothing.
const REDRAW: Duration = Duration::from_millis(100);

/// Draws a line below what is told, until dropped.
pub(super) async fn draw(screen: Option<&MultiProgress>, course: &Course) -> Infallible {
    let Some(screen) = screen else {
        return std::future::pending().await;
    };
    let style =
        ProgressStyle::with_template("{spinner} {msg}").unwrap_or_else(|_| ProgressStyle::default_spinner());
    let line = screen.add(ProgressBar::new_spinner().with_style(style));
    loop {
        let recorder = course.recorder();
        let tally = recorder.tally();
        line.set_message(format!(
            "{:5.1} s  {}  {} sent, {} failed, {} in flight",
            recorder.now().as_secs_f64(),
            recorder.phase(),
            tally.sent,
            tally.failed,
            tally.sent - tally.ended
        ));
        line.tick();
        tokio::time::sleep(REDRAW).await;
    }
}

/// Takes the line away.
pub(super) fn clear(screen: Option<&MultiProgress>) {
    if let Some(screen) = screen {
        // A terminal that is gone has nothing to clear.
        drop(screen.clear());
    }
}
