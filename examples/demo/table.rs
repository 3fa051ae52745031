//! The result: one row for each way of stopping, and the verdict.

use std::collections::BTreeMap;
use std::time::Duration;

use lb_drain_api::duration::human;

use crate::clients::{Failure, Outcome};
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
        let failures = failures(story);
        let failed: usize = failures.values().sum();
        let tone = if failed == 0 { Tone::Good } else { Tone::Bad };
        let kinds: Vec<String> = failures
            .iter()
            .map(|(kind, count)| format!("{count} x {kind}"))
            .collect();
        screen.print(&format!(
            "{:30} {:>8} {} {:>10}   {}",
            story.way.title(),
            story.requests.len(),
            screen.paint(tone, &format!("{failed:>8}")),
            human(story.stop.ended - story.stop.began),
            if failed == 0 {
                "nothing".to_owned()
            } else {
                kinds.join(", ")
            },
        ));
    }
}

/// How many requests failed, by kind.
fn failures(story: &Story) -> BTreeMap<&Failure, usize> {
    let mut failures = BTreeMap::new();
    for request in &story.requests {
        if let Outcome::Failed(failure) = &request.outcome {
            *failures.entry(failure).or_default() += 1;
        }
    }
    failures
}

fn what_is_wrong(story: &Story) -> Option<String> {
    let failed: usize = failures(story).values().sum();
    match story.way {
        Way::SigtermOnly if failed == 0 => {
            Some("SIGTERM alone lost no request: this run shows nothing.".to_owned())
        }
        Way::LbDrain if story.stop.hook_code != 0 => Some(format!(
            "lb-drain ended with exit code {}, which must not happen here.",
            story.stop.hook_code
        )),
        Way::LbDrain if failed > 0 => Some(format!("With lb-drain {failed} requests failed; not one may.")),
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
            let mut line = "lb-drain: no request lost".to_owned();
            if let Some(gap) = after_last_answer(story) {
                line += &format!(", and done {} after the last answer of app1", human(gap));
            }
            line + "."
        }
    }
}

/// From the copy's last answer before the stop to the end of the hook.
fn after_last_answer(story: &Story) -> Option<Duration> {
    let answers = story.requests.iter().filter(|request| {
        matches!(&request.outcome, Outcome::Answered(copy) if copy == "app1")
            && request.ended <= story.stop.hook_ended
    });
    let last = answers.map(|request| request.ended).max()?;
    Some(story.stop.hook_ended - last)
}
