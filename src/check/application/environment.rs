//! The companion's own variables, which a check by hand does not have.

use std::fs;

use lb_drain_api::Severity::Warning;

use super::super::{Remark, remark};
use super::Case;
use crate::config;
use crate::service_manager::Unit;

pub(super) fn findings(case: &Case<'_>, runner: &Unit) -> Vec<Remark> {
    if runner.name == case.app.name {
        return Vec::new();
    }
    let path = config::own_file(&case.app.name).with_extension("env");
    let Ok(text) = fs::read_to_string(&path) else {
        return Vec::new(); // EnvironmentFile= has a "-": it need not be there
    };
    let path = path.display();
    let missing = missing(&text, |name| std::env::var_os(name).is_some());
    if missing.is_empty() {
        return Vec::new();
    }
    vec![remark(
        &runner.name,
        Warning,
        format!("reads {path}, and this check does not ({})", missing.join(", ")),
        "what was found here may differ from what a stop finds: secrets from {env:NAME}, options from LB_DRAIN_…",
        Some(format!(
            "systemd-run --quiet --pipe --property=EnvironmentFile={path} lb-drain check {}",
            case.app.name
        )),
    )]
}

/// The variables of an `EnvironmentFile=` that are not there.
fn missing(text: &str, is_there: impl Fn(&str) -> bool) -> Vec<&str> {
    text.lines()
        .map(str::trim)
        .filter(|line| !line.starts_with(['#', ';']))
        .filter_map(|line| Some(line.split_once('=')?.0.trim_end()))
        .filter(|name| !is_there(name))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_that_are_not_there_are_named_and_no_value() {
        let text = "# NOT=this\nTOKEN=secret\n\nLB_DRAIN_STRICT = true\nHOME=/\n";
        assert_eq!(missing(text, |name| name == "HOME"), ["TOKEN", "LB_DRAIN_STRICT"]);
        assert!(missing(text, |_| true).is_empty());
    }
}
