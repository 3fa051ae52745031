//! All that is found out before the first request, and why there may be none.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::cli::{Common, Rehearse};
use crate::config::Settings;
use crate::delays::delays;
use crate::main_process;
use crate::record::Record;
use crate::rehearse::advice::Ground;
use crate::rehearse::load::Aim;
use crate::rehearse::{Means, PageFile, Refusal, floors_fit, patience, standing, way_back};
use crate::service_manager::{PATIENCE, Unit};

/// The file that is read where nothing else is said.
const USUAL_FILE: &str = "/etc/lb-drain/lb-drain.toml";

/// What a rehearsal starts with.
pub(super) struct Prepared {
    pub(super) aim: Aim,
    /// The service's process, where it is known.
    pub(super) main_pid: Option<u32>,
    pub(super) means: Means,
    pub(super) ground: Ground,
    pub(super) page: Option<PageFile>,
}

pub(super) async fn prepare(settings: Settings, options: &Rehearse) -> Result<Prepared, Refusal> {
    let aim = Aim::new(&options.urls, &options.request_headers).map_err(Refusal::Unfit)?;
    // Better now than when all is done.
    let page = options.report.as_deref().map(page).transpose()?;
    let budget = settings.budget.total;
    let command = command(&settings, &options.common);
    let record = Arc::new(Record::open(options.common.state_dir.clone(), &settings.scope));
    let standing = standing(&settings.plans, &record, budget, options.even_if_last).await?;
    for remark in &standing.remarks {
        tracing::warn!("{remark}");
    }
    way_back(&settings.plans, &record, budget).await?;
    let delays = delays(&settings.plans, budget).await;
    floors_fit(&delays, budget)?;
    let ports = if settings.ports.is_empty() {
        standing.ports
    } else {
        settings.ports
    };
    if ports.is_empty() {
        let why =
            "this service's ports are not known, so nothing can be seen arriving; write ports or --port";
        return Err(Refusal::Unfit(why.to_owned()));
    }
    let mut floors: Vec<(String, Duration)> = Vec::new();
    for delay in &delays {
        let floor = delay.min_wait.unwrap_or_default();
        match floors.iter_mut().find(|(name, _)| *name == delay.name) {
            Some((_, known)) => *known = floor.max(*known),
            None => floors.push((delay.name.clone(), floor)),
        }
    }
    let service = settings.application;
    let application = main_process::application(&settings.asked, service.as_deref());
    Ok(Prepared {
        aim,
        main_pid: main_process::pid(application),
        ground: Ground {
            floors,
            quiet: Duration::ZERO,
            file: settings.file.map(|file| file.display().to_string()),
            unit: leaving_unit(service.as_deref()),
        },
        means: Means {
            plans: settings.plans,
            budget,
            patience: patience(&delays, budget),
            quiet: settings.quiet,
            ports,
            record,
            service,
            restart: options.restart.clone(),
            even_if_last: options.even_if_last,
            command,
        },
        page,
    })
}

fn page(path: &Path) -> Result<PageFile, Refusal> {
    PageFile::prepare(path)
        .map_err(|error| Refusal::Unfit(format!("cannot write {}: {error}", path.display())))
}

/// The command that brings this host back, with what it needs of the options given here, and no secret.
fn command(settings: &Settings, common: &Common) -> String {
    let mut words = vec!["lb-drain".to_owned(), "register".to_owned()];
    match &settings.file {
        Some(file) if file == Path::new(USUAL_FILE) => {}
        Some(file) => words.extend(["--config".to_owned(), file.display().to_string()]),
        None => words.extend(common.balancers.words()),
    }
    if let Some(folder) = &common.state_dir {
        words.extend(["--state-dir".to_owned(), folder.display().to_string()]);
    }
    if !common.ports.is_empty() {
        words.push("--port".to_owned());
        words.extend(common.ports.iter().map(ToString::to_string));
    }
    if let Some(service) = &settings.application {
        words.extend(["--service".to_owned(), service.clone()]);
    }
    words.join(" ")
}

/// The unit whose timeout it is: the companion where there is one that runs, else the service's own.
fn leaving_unit(service: Option<&str>) -> String {
    let Some(service) = service else {
        return "the unit that runs lb-drain deregister".to_owned();
    };
    let companion = format!("lb-drain@{service}");
    let runs =
        Unit::describe(&companion, Instant::now() + PATIENCE).is_ok_and(|unit| unit.active_state == "active");
    if runs { companion } else { service.to_owned() }
}
