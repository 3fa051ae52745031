//! Whether a stop runs us at all, and in the right place.

use lb_drain_api::Severity::{Fine, Problem, Warning};

use super::super::{Remark, remark};
use super::{Case, is_ours};

pub(super) fn findings(case: &Case<'_>) -> Vec<Remark> {
    let app = &case.app.name;
    let short = app.trim_end_matches(".service");
    let mut remarks = Vec::new();
    match (case.has_companion(), case.has_drop_in()) {
        (false, false) => {
            let remedy = match &case.companion {
                Some(companion) => format!("systemctl enable --now {}", companion.name),
                None => format!("lb-drain unit {short}"),
            };
            remarks.push(remark(
                app,
                Problem,
                "nothing runs lb-drain when it stops".to_owned(),
                "it would get its SIGTERM while load balancers still send requests",
                Some(remedy),
            ));
        }
        (true, true) => remarks.push(remark(
            app,
            Warning,
            format!("both its own unit and lb-drain@{short}.service leave"),
            "every stop asks each load balancer twice",
            Some(format!("systemctl disable --now lb-drain@{short}.service")),
        )),
        (true, false) if case.app.active_state == "active" && case.companion_rests() => remarks.push(remark(
            &format!("lb-drain@{short}.service"),
            Problem,
            format!("does not run beside {app}, which does"),
            "what does not run is not stopped: the next stop would take this host out of no load balancer",
            Some(format!("systemctl start lb-drain@{short}.service")),
        )),
        (true, false) => remarks.push(remark(
            app,
            Fine,
            format!("lb-drain@{short}.service leaves before it stops"),
            "also after a crash",
            None,
        )),
        (false, true) => remarks.extend(drop_in(case)),
    }
    if let Some(companion) = &case.companion
        && case.has_companion()
        && !companion.file_state.starts_with("enabled")
    {
        remarks.push(remark(
            &companion.name,
            Warning,
            format!("is active and not enabled ({})", companion.file_state),
            "the next start of the application would not bring this host back, and its stop not take it out",
            Some(format!("systemctl enable {}", companion.name)),
        ));
    }
    for unit in std::iter::once(&case.app)
        .chain(&case.companion)
        .filter(|unit| unit.stale)
    {
        remarks.push(remark(
            &unit.name,
            Warning,
            "its files have changed since systemd read them".to_owned(),
            "systemd still does what they said before",
            Some("systemctl daemon-reload".to_owned()),
        ));
    }
    remarks
}

/// Our lines among those of the application's own unit.
fn drop_in(case: &Case<'_>) -> Vec<Remark> {
    let app = &case.app.name;
    let stops = case.app_lines.list("ExecStop");
    let mut remarks = Vec::new();
    match stops.iter().position(|line| is_ours(line)) {
        Some(0) => {
            remarks.push(remark(
                app,
                Fine,
                "lb-drain is the first thing its stop runs".to_owned(),
                "it still answers what is in flight while it leaves",
                None,
            ));
            // `-` may stand among other signs: @ : + !
            let forgiving = stops[0]
                .chars()
                .take_while(|c| "@-:+!|".contains(*c))
                .any(|c| c == '-');
            if stops.len() > 1 && !forgiving {
                remarks.push(remark(
                    app,
                    Warning,
                    "has more ExecStop= lines after ours, which has no \"-\"".to_owned(),
                    "where one load balancer cannot be left, systemd skips them: no graceful stop of its own",
                    Some(format!("ExecStop=-{}", stops[0])),
                ));
            }
        }
        Some(_) => remarks.push(remark(
            app,
            Problem,
            format!("its ExecStop= runs before ours: {}", stops[0]),
            "it stops while load balancers still send requests; a drop-in's lines come after the unit's own",
            Some(format!(
                "an empty ExecStop= first, then ours, then its own: lb-drain unit --kind drop-in {app}"
            )),
        )),
        None => remarks.push(remark(
            app,
            Problem,
            "leaves only in ExecStopPost=, after it has stopped".to_owned(),
            "its main process is gone by then, and load balancers still send requests",
            Some(format!(
                "the ExecStop= lines of: lb-drain unit --kind drop-in {app}"
            )),
        )),
    }
    if !case.app_lines.list("ExecStopPost").into_iter().any(is_ours) {
        remarks.push(remark(
            app,
            Warning,
            "leaves at a stop, and not after a crash".to_owned(),
            "systemd runs no ExecStop= when the main process crashes; load balancers learn of it by their health checks alone",
            Some(format!("the ExecStopPost= line of: lb-drain unit --kind drop-in {app}")),
        ));
    }
    if !case
        .app_lines
        .list("ExecStartPost")
        .iter()
        .any(|line| line.contains("lb-drain") && line.contains("register"))
    {
        remarks.push(remark(
            app,
            Warning,
            "has no ExecStartPost= that comes back".to_owned(),
            "after a restart this host stays out until somebody runs lb-drain register",
            Some("ExecStartPost=-lb-drain register".to_owned()),
        ));
    }
    remarks
}
