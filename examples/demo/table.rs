//! The result: one row for each way of stopping, and the verdict.

use std::time::Duration;

use lb_drain::rehearse::text;
use lb_drain_api::duration::human;

use crate::screen::{Screen, Tone};
use crate::ways::{Story, Way};

/// Prints table and verdict. Returns whether the demo has shown what it is there to show.
pub(crate) fn print(stories: &[Story], took: Duration, screen: &Screen) -> bool {
    print_rows(stories, screen);
    screen.print("");
    let mut shown = true;
    for story in stories {
        if let Some(wrong) = what_is_wrong(story) {
            screen.print(&screen.paint(Tone::Bad, &wrong));
            shown = false;
        }
    }
    if shown {
        for story in stories {
            screen.print(&lesson(story));
        }
    }
    screen.print(&screen.paint(Tone::Aside, &format!("The demo took {}.", human(took))));
    shown
}

fn print_rows(stories: &[Story], screen: &Screen) {
    let heading = format!(
        "{:30} {:>8} {:>8} {:>10}   {}",
        "way of stopping", "requests", "failed", "stop took", "what failed"
    );
    screen.heading(&heading);
    screen.print(&screen.paint(Tone::Aside, &"-".repeat(84)));
    for story in stories {
        let figures = &story.rehearsal.figures;
        let tone = if figures.failed() == 0 {
            Tone::Good
        } else {
            Tone::Bad
        };
        screen.print(&format!(
            "{:30} {:>8} {} {:>10}   {}",
            story.way.title(),
            figures.sent,
            screen.paint(tone, &format!("{:>8}", figures.failed())),
            human(story.stop_took),
            if figures.failed() == 0 {
                "nothing".to_owned()
            } else {
                text::kinds(&figures.failures)
            },
        ));
    }
}

fn what_is_wrong(story: &Story) -> Option<String> {
    let failed = story.rehearsal.figures.failed();
    match story.way {
        Way::SigtermOnly if failed == 0 => {
            Some("SIGTERM alone lost no request: this run shows nothing.".to_owned())
        }
        Way::LbDrain if failed > 0 => Some(format!("With lb-drain {failed} requests failed; not one may.")),
        Way::LbDrain => story.rehearsal.deeds.troubles.first().cloned(),
        _ => None,
    }
}

/// What a way of stopping teaches, from its numbers.
fn lesson(story: &Story) -> String {
    match story.way {
        Way::SigtermOnly => "SIGTERM only: whatever was in flight is cut.".to_owned(),
        Way::FixedSleep => "A fixed sleep: long enough for the average request, too short for the slowest. \
             A longer one is paid for at every stop."
            .to_owned(),
        Way::LbDrain => {
            let drain = story.rehearsal.figures.drain.map_or_else(String::new, |drain| {
                format!(
                    ", and drained after {}: as long as its slowest request then, and no longer",
                    human(drain)
                )
            });
            format!("lb-drain: no request lost{drain}.")
        }
    }
}
