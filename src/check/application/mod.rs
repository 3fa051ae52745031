//! The application's unit, and the unit that runs our lines: that one itself, or its companion.

mod budget;
mod environment;
mod hooks;
mod sandbox;
mod stop;

use std::fs;
use std::time::{Duration, Instant};

use lb_drain_api::Severity;

use super::{Remark, remark};
use crate::budget::Source;
use crate::config::Settings;
use crate::delays::Delay;
use crate::service_manager::{PATIENCE, Unit};
use crate::unit_file::Lines;

/// What the findings are made of.
struct Case<'a> {
    app: Unit,
    app_lines: Lines,
    /// `lb-drain@APP.service`, where systemd has a template for it.
    companion: Option<Unit>,
    delays: &'a [Delay],
    /// The budget, where configuration or options give one.
    given: Option<Duration>,
    /// The configuration as text without its comments, where it is a file.
    config: String,
    /// Whether any load balancer is spoken to by the network, and any by a unix socket.
    by_network: bool,
    by_socket: bool,
}

impl Case<'_> {
    /// Whether the companion is what leaves: it runs, or will with the application.
    fn has_companion(&self) -> bool {
        self.companion.as_ref().is_some_and(|companion| {
            companion.active_state == "active" || companion.file_state.starts_with("enabled")
        })
    }

    /// Whether the companion neither runs nor is about to.
    fn companion_rests(&self) -> bool {
        self.companion
            .as_ref()
            .is_some_and(|companion| ["inactive", "failed"].contains(&companion.active_state.as_str()))
    }

    /// Whether the application's own unit has a line of ours.
    fn has_drop_in(&self) -> bool {
        let of = |key| self.app_lines.list(key).into_iter().any(is_ours);
        of("ExecStop") || of("ExecStopPost")
    }

    /// The unit that runs our lines, if one does.
    fn runner(&self) -> Option<&Unit> {
        match &self.companion {
            Some(companion) if self.has_companion() => Some(companion),
            _ => self.has_drop_in().then_some(&self.app),
        }
    }
}

/// The lines of a configuration that mean something.
fn without_comments(text: &str) -> String {
    text.lines()
        .filter(|line| !line.trim_start().starts_with('#'))
        .collect::<Vec<_>>()
        .join("\n")
}

/// Whether a line runs us and leaves.
fn is_ours(line: &str) -> bool {
    line.contains("lb-drain") && line.contains("deregister")
}

/// `app` is the application's unit by name, and what systemd says of it.
pub(super) fn findings(
    settings: &Settings,
    app: Option<(&str, Result<Unit, String>)>,
    delays: &[Delay],
) -> Vec<Remark> {
    let Some((name, app)) = app else {
        return vec![remark(
            "unit",
            Severity::Warning,
            "no unit was named, so none was looked at".to_owned(),
            "its timeouts and its sandbox decide whether a stop has the time and the means to leave",
            Some("lb-drain check web.service".to_owned()),
        )];
    };
    let app = match app {
        Ok(app) => app,
        Err(error) => {
            return vec![remark(
                name,
                Severity::Warning,
                format!("systemd cannot be asked: {error}"),
                "a budget of 30 s is used where it cannot be asked at a stop either",
                None,
            )];
        }
    };
    if !app.exists() {
        return vec![remark(
            name,
            Severity::Problem,
            format!("there is no such unit ({})", app.load_state),
            "nothing would run lb-drain",
            Some("systemctl list-units --type=service".to_owned()),
        )];
    }
    let companion = name
        .strip_suffix(".service")
        .map(|short| format!("lb-drain@{short}.service"))
        .and_then(|companion| Unit::describe(&companion, Instant::now() + PATIENCE).ok())
        .filter(Unit::exists);
    let texts: Vec<String> = app
        .files()
        .filter_map(|path| fs::read_to_string(path).ok())
        .collect();
    let case = Case {
        app_lines: Lines::read(texts.iter().map(String::as_str)),
        app,
        companion,
        delays,
        given: matches!(
            settings.budget.source,
            Source::Flag | Source::Env | Source::Config
        )
        .then_some(settings.budget.total),
        config: settings
            .file
            .as_ref()
            .and_then(|path| fs::read_to_string(path).ok())
            .map(|text| without_comments(&text))
            .unwrap_or_default(),
        by_network: settings.by_network(),
        by_socket: settings.by_socket(),
    };
    let mut remarks = hooks::findings(&case);
    if let Some(runner) = case.runner() {
        remarks.extend(budget::findings(&case, runner));
        remarks.extend(stop::findings(&case, runner));
        remarks.extend(sandbox::findings(&case, runner));
        remarks.extend(environment::findings(&case, runner));
    }
    remarks
}

#[cfg(test)]
mod tests;
