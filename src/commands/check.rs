//! `lb-drain check`: whether leaving would work.

use lb_drain_api::Severity;
use serde_json::json;

use super::wants_json;
use crate::check::{self, Remark};
use crate::cli::Check;
use crate::config::Settings;
use crate::exit::Exit;
use crate::report::{self, count};

pub(super) async fn check(settings: Settings, options: &Check) -> Exit {
    super::begin(&options.common, &settings.remarks);
    let mut remarks = check::everything(&settings).await;
    // The worst last, where a terminal ends.
    remarks.sort_by_key(|remark| remark.finding.severity);
    let with = |severity| {
        let matching = remarks
            .iter()
            .filter(|remark| remark.finding.severity == severity);
        matching.count() as u64
    };
    let (problems, warnings) = (with(Severity::Problem), with(Severity::Warning));
    if wants_json(&options.common) {
        let findings: Vec<_> = remarks.iter().map(Remark::json).collect();
        report::json::print(&json!({
            "command": "check",
            "outcome": if problems > 0 { "problems" } else { "fine" },
            "problems": problems,
            "warnings": warnings,
            "findings": findings,
        }));
    } else {
        let mut lines: Vec<String> = remarks
            .iter()
            .filter(|remark| !options.common.quiet || remark.finding.severity != Severity::Fine)
            .map(told)
            .collect();
        lines.push(verdict(problems, warnings));
        report::text::print(&lines);
    }
    if problems > 0 { Exit::Failed } else { Exit::Done }
}

/// What is fine in one line, the rest with why it matters and what to write.
fn told(remark: &Remark) -> String {
    let Remark { about, finding } = remark;
    let mut text = format!("{:<8} {about}: {}", check::word(finding.severity), finding.what);
    if finding.severity != Severity::Fine {
        text.push_str(&format!("\n         why: {}", finding.why));
        if let Some(remedy) = &finding.remedy {
            text.push_str(&format!("\n         do:  {remedy}"));
        }
    }
    text
}

fn verdict(problems: u64, warnings: u64) -> String {
    match (problems, warnings) {
        (0, 0) => "a stop would leave every load balancer in time".to_owned(),
        (0, _) => format!("a stop would work; {}", count(warnings, "warning")),
        (_, 0) => format!("a stop would not work: {}", count(problems, "problem")),
        _ => format!(
            "a stop would not work: {}, {}",
            count(problems, "problem"),
            count(warnings, "warning")
        ),
    }
}
