//! `lb-drain rehearse`.

mod prepare;
mod progress;
mod tell;

use std::io::IsTerminal;
use std::pin::pin;
use std::sync::Arc;
use std::time::Instant;

use indicatif::MultiProgress;
use lb_drain_api::duration::human;

use self::prepare::{Prepared, prepare};
use self::tell::Teller;
use super::level;
use super::signals::{hear, interruption};
use crate::cli::Rehearse;
use crate::config::Settings;
use crate::exit::Exit;
use crate::rehearse::advice::{Ground, advice};
use crate::rehearse::{Course, Figures, Phase, Recorder, Rehearsal, Times};
use crate::report;

pub(super) async fn rehearse(settings: Settings, options: &Rehearse) -> Exit {
    let began = Instant::now();
    let terminal = std::io::stderr().is_terminal() && !options.common.quiet;
    let screen = terminal.then(MultiProgress::new);
    report::log::init(level(&options.common), options.common.log_format, screen.clone());
    for remark in &settings.remarks {
        tracing::warn!("{remark}");
    }
    let teller = Teller::new(options, settings.budget.clone(), began);
    let quiet = settings.quiet;
    let Prepared {
        aim,
        main_pid,
        means,
        ground,
        page,
    } = match prepare(settings, options).await {
        Ok(prepared) => prepared,
        Err(refusal) => return teller.refused(refusal),
    };
    let (place, times) = (aim.to_string(), Times::of(options.duration));
    tracing::info!(
        "sending {} requests a second to {place}; nothing is touched for {}",
        options.rate,
        human(times.before)
    );
    hear().await;
    let recorder = Recorder::start(aim, options.rate, means.ports.clone(), main_pid);
    let course = Arc::new(Course::new(recorder, means, times));
    let interrupted = tokio::select! {
        biased;
        interrupted = conduct(&course) => interrupted,
        never = progress::draw(screen.as_ref(), &course) => match never {},
    };
    progress::clear(screen.as_ref());

    let (recorded, deeds) = (course.recorder().recorded(), course.done());
    let figures = Figures::new(&recorded, &deeds);
    let ground = Ground {
        // It costs something only where this host's connections were the evidence.
        quiet: if deeds.by_connections { quiet } else { ground.quiet },
        ..ground
    };
    let rehearsal = Rehearsal {
        title: place.clone(),
        aim: place,
        rate: options.rate,
        advice: advice(&figures, &ground),
        recorded,
        deeds,
        figures,
    };
    teller.conclude(rehearsal, page, interrupted)
}

/// A signal, and the phase in which it came.
#[derive(Debug, Clone, Copy)]
struct Interrupted {
    exit: Exit,
    phase: Phase,
}

/// All of it, up to the last answer. Whatever ends it earlier: this host comes back first.
async fn conduct(course: &Arc<Course>) -> Option<Interrupted> {
    let mut running = {
        let course = Arc::clone(course);
        tokio::spawn(async move { course.run().await })
    };
    let mut interrupted = None;
    tokio::select! {
        biased;
        exit = interruption() => {
            interrupted = Some(stop(course, exit));
            // What it was doing has to have ended before the way back begins.
            running.abort();
            drop(running.await);
        }
        ended = &mut running => match ended {
            Ok(Ok(())) => {}
            Ok(Err(trouble)) => course.trouble(trouble),
            Err(panic) => course.trouble(format!("a mistake in lb-drain: {panic}")),
        },
    }
    come_back(course, &mut interrupted).await;
    if interrupted.is_none() {
        tokio::select! {
            biased;
            // This host is where it was; only the last answers are missing.
            exit = interruption() => interrupted = Some(stop(course, exit)),
            () = course.recorder().finish() => {}
        }
    }
    interrupted
}

/// The load ends at once.
fn stop(course: &Course, exit: Exit) -> Interrupted {
    course.recorder().stop_sending();
    let phase = course.recorder().phase();
    if course.is_away() {
        tracing::warn!("interrupted ({phase}): this host comes back first; once more gives that up");
    }
    Interrupted { exit, phase }
}

/// Brings this host back, where it is out. The first signal does not end that, the second one does.
async fn come_back(course: &Course, interrupted: &mut Option<Interrupted>) {
    let mut recovering = pin!(course.recover());
    loop {
        tokio::select! {
            biased;
            recovered = &mut recovering => {
                if let Err(trouble) = recovered {
                    course.trouble(trouble);
                }
                return;
            }
            exit = interruption() => {
                if interrupted.is_some() {
                    let whereabouts = course.whereabouts().await;
                    course.trouble(format!("coming back was given up: {whereabouts}"));
                    return;
                }
                *interrupted = Some(stop(course, exit));
            }
        }
    }
}
