//! `lb-drain rehearse`.

use std::collections::BTreeSet;
use std::convert::Infallible;
use std::io::IsTerminal;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use lb_drain_api::duration::human;
use serde_json::{Map, Value};

use super::session::interruption;
use super::{level, wants_json};
use crate::cli::Rehearse;
use crate::config::Settings;
use crate::exit::Exit;
use crate::record::Record;
use crate::rehearse::advice::{Ground, advice};
use crate::rehearse::load::Aim;
use crate::rehearse::{
    Course, Deeds, Figures, Means, Recorder, Refusal, Rehearsal, Standing, Times, json, page, standing, text,
};
use crate::report;

/// Ten times a second looks alive and costs nothing.
const REDRAW: Duration = Duration::from_millis(100);

pub(super) async fn rehearse(settings: Settings, options: &Rehearse) -> Exit {
    let terminal = std::io::stderr().is_terminal() && !options.common.quiet;
    let screen = terminal.then(MultiProgress::new);
    report::log::init(level(&options.common), options.common.log_format, screen.clone());
    for remark in &settings.remarks {
        tracing::warn!("{remark}");
    }
    let (aim, standing) = match prepare(&settings, options).await {
        Ok(prepared) => prepared,
        Err(refusal) => return refused(refusal, options),
    };
    let ports = if settings.ports.is_empty() {
        standing.ports.clone()
    } else {
        settings.ports.clone()
    };
    if ports.is_empty() {
        let why =
            "this service's ports are not known, so nothing can be seen arriving; write ports or --port";
        return refused(Refusal::Unfit(why.to_owned()), options);
    }
    let quiet = settings.quiet;
    let place = aim.to_string();
    tracing::info!(
        "sending {} requests a second to {place}; nothing is touched for {}",
        options.rate,
        human(Times::of(options.duration).before)
    );
    let course = Arc::new(Course::new(
        Recorder::start(aim, options.rate, ports.clone()),
        means(settings, ports, options),
        Times::of(options.duration),
    ));

    let mut running = {
        let course = Arc::clone(&course);
        tokio::spawn(async move { course.run().await })
    };
    let ended = tokio::select! {
        biased;
        signal = interruption() => Err(signal),
        ended = &mut running => Ok(ended),
        never = draw(screen.as_ref(), &course) => match never {},
    };
    clear(screen.as_ref());
    let mut troubles = match ended {
        Ok(Ok(Ok(()))) => Vec::new(),
        Ok(Ok(Err(trouble))) => vec![trouble],
        Ok(Err(panic)) => vec![format!("a mistake in lb-drain: {panic}")],
        Err(signal) => {
            // What it was doing has to have ended before the way back begins.
            running.abort();
            drop(running.await);
            return interrupted(signal, &course, options).await;
        }
    };
    for trouble in &troubles {
        tracing::error!("{trouble}");
    }
    if let Err(trouble) = course.recover().await {
        tracing::error!("{trouble}");
        troubles.push(trouble);
    }
    let Some(course) = Arc::into_inner(course) else {
        // Everybody else who held it has ended above.
        return Exit::Failed;
    };
    let (recorded, mut deeds) = tokio::select! {
        finished = course.finish() => finished,
        // This host is back where it was; only the last answers are missing.
        signal = interruption() => return signal,
    };
    deeds.troubles.extend(troubles);
    let ground = ground(&deeds, standing.floor, quiet);
    let figures = Figures::new(&recorded, &deeds);
    let rehearsal = Rehearsal {
        title: place.clone(),
        aim: place,
        rate: options.rate,
        advice: advice(&figures, ground),
        recorded,
        deeds,
        figures,
    };
    conclude(&rehearsal, options)
}

async fn prepare(settings: &Settings, options: &Rehearse) -> Result<(Aim, Standing), Refusal> {
    let aim = Aim::new(&options.urls, &options.request_headers).map_err(Refusal::Unfit)?;
    // Better now than when all is done.
    if let Some(path) = &options.report {
        std::fs::File::create(path)
            .map_err(|error| Refusal::Unfit(format!("cannot write {}: {error}", path.display())))?;
    }
    let standing = standing(&settings.plans, settings.budget.total, options.even_if_last).await?;
    for remark in &standing.remarks {
        tracing::warn!("{remark}");
    }
    Ok((aim, standing))
}

fn means(settings: Settings, ports: BTreeSet<u16>, options: &Rehearse) -> Means {
    Means {
        plans: settings.plans,
        budget: settings.budget.total,
        quiet: settings.quiet,
        ports,
        record: Arc::new(Record::open(options.common.state_dir.clone(), &settings.scope)),
        restart: options.restart.clone(),
    }
}

fn refused(refusal: Refusal, options: &Rehearse) -> Exit {
    let (why, exit) = match refusal {
        Refusal::Unfit(why) => (why, Exit::Usage),
        Refusal::NoAnswer(why) => (why, Exit::Failed),
    };
    tracing::error!("{why}; nothing was touched");
    print_json(
        options,
        "refused",
        Map::from_iter([("troubles".to_owned(), Value::from(vec![why]))]),
    );
    exit
}

/// This host comes back first; a second signal changes nothing about that.
async fn interrupted(signal: Exit, course: &Course, options: &Rehearse) -> Exit {
    let phase = course.recorder().phase();
    tracing::warn!("interrupted ({phase}): this host comes back first");
    let recovered = course.recover().await;
    let tally = course.recorder().tally();
    let troubles: Vec<String> = match &recovered {
        Ok(()) => {
            tracing::warn!(
                "interrupted ({phase}); this host is in rotation; {} of {} requests failed so far",
                tally.failed,
                tally.sent
            );
            Vec::new()
        }
        Err(trouble) => {
            tracing::error!("{trouble}");
            vec![trouble.clone()]
        }
    };
    let object = [
        ("phase", Value::from(phase.word())),
        ("sent", Value::from(tally.sent)),
        ("failed", Value::from(tally.failed)),
        ("troubles", Value::from(troubles)),
    ];
    print_json(
        options,
        "interrupted",
        object
            .map(|(name, value)| (name.to_owned(), value))
            .into_iter()
            .collect(),
    );
    if recovered.is_ok() { signal } else { Exit::Failed }
}

/// Quiet cost something only where this host's connections were the evidence.
fn ground(deeds: &Deeds, floor: Duration, quiet: Duration) -> Ground {
    let by_connections = deeds
        .evidence
        .as_deref()
        .is_some_and(|evidence| evidence.contains(" port"));
    Ground {
        floor,
        quiet: if by_connections { quiet } else { Duration::ZERO },
    }
}

/// Tells it in every way that was asked for.
fn conclude(rehearsal: &Rehearsal, options: &Rehearse) -> Exit {
    let mut failed = rehearsal.figures.failed() > 0 || !rehearsal.deeds.troubles.is_empty();
    if let Some(path) = &options.report
        && let Err(error) = write_page(path, rehearsal)
    {
        tracing::error!("cannot write {}: {error}", path.display());
        failed = true;
    }
    let outcome = if failed { "failed" } else { "passed" };
    if wants_json(&options.common) {
        print_json(options, outcome, json::object(rehearsal));
    } else {
        report::text::print(&text::lines(rehearsal));
    }
    if failed { Exit::Failed } else { Exit::Done }
}

fn write_page(path: &Path, rehearsal: &Rehearsal) -> std::io::Result<()> {
    let about = format!(
        "{} requests a second to {}, on {}, {}",
        rehearsal.rate,
        rehearsal.aim,
        rustix::system::uname().nodename().to_string_lossy(),
        humantime::format_rfc3339_seconds(SystemTime::now())
    );
    std::fs::write(
        path,
        page::html("lb-drain rehearse", &about, std::slice::from_ref(rehearsal)),
    )
}

fn print_json(options: &Rehearse, outcome: &str, object: Map<String, Value>) {
    if wants_json(&options.common) {
        let mut whole = Map::new();
        whole.insert("command".to_owned(), "rehearse".into());
        whole.insert("outcome".to_owned(), outcome.into());
        whole.extend(object);
        report::json::print(&Value::Object(whole));
    }
}

/// Draws a line below what is told, until dropped.
async fn draw(screen: Option<&MultiProgress>, course: &Course) -> Infallible {
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

fn clear(screen: Option<&MultiProgress>) {
    if let Some(screen) = screen {
        // A terminal that is gone has nothing to clear.
        drop(screen.clear());
    }
}
