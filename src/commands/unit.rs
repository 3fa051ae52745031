//! `lb-drain unit`: the unit file that makes a service leave, with times that fit.

use std::path::Path;
use std::time::{Duration, Instant};

use lb_drain_api::duration::human;
use serde_json::json;

use super::wants_json;
use crate::cli::{UnitFile, UnitKind};
use crate::config::{Settings, own_file};
use crate::delays::{self, Delay};
use crate::exit::Exit;
use crate::report;
use crate::service_manager::{self, PATIENCE, Unit};
use crate::unit_file::{File, Lines, Share, Times, companion, drop_in};

/// How long the load balancers have to tell their delays.
const ASKING: Duration = Duration::from_secs(5);

pub(super) async fn unit(settings: Settings, options: &UnitFile) -> Exit {
    super::begin(&options.common, &settings.remarks);
    let delays = delays::delays(&settings.plans, ASKING).await;
    let (remarks, files) = match printed(&settings, options, &delays) {
        Ok(printed) => printed,
        Err(error) => {
            tracing::error!("{error}");
            return Exit::Usage;
        }
    };
    if wants_json(&options.common) {
        let files: Vec<_> = files
            .iter()
            .map(|file| json!({ "path": file.path, "text": file.text }))
            .collect();
        report::json::print(&json!({ "command": "unit", "remarks": remarks, "files": files }));
    } else {
        let remarks = remarks.iter().map(|remark| format!("# {remark}"));
        let files = files
            .iter()
            .map(|file| format!("\n# {}\n{}", file.path, file.text.trim_end()));
        report::text::print(&remarks.chain(files).collect::<Vec<_>>());
    }
    Exit::Done
}

/// What an operator should know, and the files.
fn printed(
    settings: &Settings,
    options: &UnitFile,
    delays: &[Delay],
) -> Result<(Vec<String>, Vec<File>), String> {
    let config = settings
        .file
        .as_deref()
        .ok_or("a unit reads a configuration file; write the load balancers into one (see --config)")?;
    let name = service_manager::unit_name(&options.app);
    let Some(short) = name.strip_suffix(".service") else {
        return Err(format!(
            "{name} is no service; name the service that has the ports"
        ));
    };
    let app = described(&name)?;
    if !app.exists() {
        return Err(format!("there is no unit {name} ({})", app.load_state));
    }
    let texts: Vec<String> = app
        .files()
        .filter_map(|path| std::fs::read_to_string(path).ok())
        .collect();
    let lines = Lines::read(texts.iter().map(String::as_str));
    let mut own_stops = lines.list("ExecStop");
    own_stops.retain(|line| !line.contains("lb-drain"));

    let steps = u32::try_from(own_stops.len()).unwrap_or(u32::MAX);
    let need = delays::need(delays);
    let in_drop_in = Times::new(Share::DropIn, need, steps, app.timeout_stop, options.grace);
    let enough =
        app.timeout_stop.is_none_or(|own| own >= need) && in_drop_in.is_ok_and(|times| times.ours >= need);
    let (share, why) = choice(options.kind, &app, enough, settings.by_network());
    let times = Times::new(share, need, steps, app.timeout_stop, options.grace)?;
    let mut remarks = vec![why];
    remarks.extend(delays.iter().filter_map(|delay| remark(delay, &times)));
    match share {
        Share::DropIn => {
            let families = ["AF_UNIX", "AF_INET", "AF_NETLINK"];
            let as_root = app.user.is_some() || !families.iter().all(|family| app.families.allow(family));
            if as_root {
                remarks.push(
                    "\"+\": as root and without the unit's sandbox, to read the configuration, see requests and keep a record"
                        .to_owned(),
                );
            }
            let file = drop_in(&app, &own_stops, &argument(config), as_root, &times);
            let other = Path::new("/etc/systemd/system").join(format!("{name}.d/lb-drain.conf"));
            if app.drop_ins.contains(&other) && Path::new(&file.path) != other {
                remarks.push(format!(
                    "in the place of {}, which a later drop-in may undo",
                    other.display()
                ));
            }
            remarks.push("then: systemctl daemon-reload".to_owned());
            Ok((remarks, vec![file]))
        }
        Share::Companion => {
            let installed = described("lb-drain@any.service").is_ok_and(|template| template.exists());
            let other = (config != own_file(&name)).then(|| config.display().to_string());
            let files = companion(short, other.as_deref(), installed, app.timeout_stop, &times);
            remarks.push(format!(
                "then: systemctl daemon-reload && systemctl enable --now lb-drain@{name}"
            ));
            Ok((remarks, files))
        }
    }
}

fn described(name: &str) -> Result<Unit, String> {
    Unit::describe(name, Instant::now() + PATIENCE)
        .map_err(|error| format!("cannot ask about {name}: {error}"))
}

/// Which of the two, and why. `enough` says that a drop-in would have the time under the unit's own timeout,
/// `by_network` that a load balancer is reached by the network.
fn choice(wanted: Option<UnitKind>, app: &Unit, enough: bool, by_network: bool) -> (Share, String) {
    let of_the_vendor = app
        .fragment
        .as_deref()
        .is_none_or(|path| !path.starts_with("/etc") && !path.starts_with("/run"));
    let name = &app.name;
    match wanted {
        Some(UnitKind::DropIn) => (Share::DropIn, format!("a drop-in for {name}")),
        Some(UnitKind::Companion) => (Share::Companion, format!("the companion of {name}")),
        None if app.other_network => (
            Share::Companion,
            format!("the companion of {name}, which has no access to the host's network itself"),
        ),
        None if app.denies_any_address && by_network => (
            Share::Companion,
            format!("the companion of {name}, whose IPAddressDeny=any would hold for lb-drain too"),
        ),
        None if of_the_vendor => (
            Share::Companion,
            format!("the companion of {name}, which stays as its vendor wrote it"),
        ),
        None if !enough => (
            Share::Companion,
            format!(
                "the companion of {name}, which has too little time itself: each of its steps would get as much"
            ),
        ),
        None => (Share::DropIn, format!("a drop-in for {name}")),
    }
}

/// What a load balancer's delay has to do with the times.
fn remark(delay: &Delay, times: &Times) -> Option<String> {
    let Delay { name, .. } = delay;
    if let Some(why) = &delay.unknown {
        return Some(format!(
            "{name}: its delay is not known ({why}); counted with {}",
            human(delay.longest())
        ));
    }
    if let Some(floor) = delay.min_wait.filter(|floor| *floor > times.ours) {
        return Some(format!(
            "{name}: its changes need {} to take effect, longer than the {} for leaving: requests that still arrive would be lost",
            human(floor),
            human(times.ours)
        ));
    }
    let wait = delay.max_wait.max(delay.min_wait)?;
    if wait > times.ours {
        return Some(format!(
            "{name}: its delay of {} is longer than the {} for leaving: longer requests would be cut",
            human(wait),
            human(times.ours)
        ));
    }
    Some(format!("{name}: its delay is {}", human(wait)))
}

/// `--config` as short as it can be.
fn argument(config: &Path) -> String {
    if config == Path::new("/etc/lb-drain/lb-drain.toml") {
        return String::new();
    }
    let name = config.file_stem().unwrap_or_default().to_string_lossy();
    if config == own_file(&name) {
        format!(" --config {name}")
    } else {
        format!(" --config {}", config.display())
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;

    #[test]
    fn a_unit_that_may_reach_nobody_gets_a_companion_where_the_network_is_needed() {
        let own = Unit {
            name: "web.service".to_owned(),
            fragment: Some(PathBuf::from("/etc/systemd/system/web.service")),
            denies_any_address: true,
            ..Unit::default()
        };
        let (share, why) = choice(None, &own, true, true);
        assert_eq!(share, Share::Companion);
        assert!(why.contains("IPAddressDeny=any"), "{why}");
        assert_eq!(choice(None, &own, true, false).0, Share::DropIn);
    }

    #[test]
    fn a_total_below_the_floor_loses_requests_and_below_the_delay_cuts_them() {
        let seconds = Duration::from_secs;
        let delay = |min, max| Delay {
            name: "public".to_owned(),
            min_wait: Some(seconds(min)),
            max_wait: Some(seconds(max)),
            unknown: None,
        };
        let times = Times::new(Share::DropIn, seconds(300), 0, None, Some(seconds(30))).expect("long enough");
        let said = |min, max| remark(&delay(min, max), &times).expect("something");
        assert!(said(120, 300).contains("need 120 s to take effect, longer than the 15 s for leaving"));
        assert!(said(120, 300).ends_with("would be lost"));
        assert!(said(10, 300).ends_with("longer requests would be cut"));
    }
}
