//! Whether a stop would work, found out without changing anything: a file for each thing that is looked at.

mod application;
mod configuration;
pub(crate) mod load_balancers;
mod this_host;

use std::time::Instant;

use lb_drain_api::{Finding, Severity};
use serde_json::{Value, json};

use crate::config::Settings;
use crate::delays;
use crate::service_manager::{PATIENCE, Unit};

/// A finding, and what it is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Remark {
    /// A load balancer's name, a unit, a file.
    pub about: String,
    /// What was found.
    pub finding: Finding,
}

impl Remark {
    /// As JSON, in the shape of `findings[]`.
    #[must_use]
    pub fn json(&self) -> Value {
        json!({
            "about": self.about,
            "severity": word(self.finding.severity),
            "what": self.finding.what,
            "why": self.finding.why,
            "remedy": self.finding.remedy,
        })
    }
}

/// The word for how bad it is.
#[must_use]
pub fn word(severity: Severity) -> &'static str {
    match severity {
        Severity::Fine => "fine",
        Severity::Warning => "warning",
        Severity::Problem => "problem",
    }
}

/// Looks at everything.
pub async fn everything(settings: &Settings) -> Vec<Remark> {
    let patience = settings.budget.total;
    let (mut remarks, delays) = tokio::join!(
        load_balancers::findings(&settings.plans, patience),
        delays::delays(&settings.plans, patience)
    );
    let app = settings
        .application
        .as_deref()
        .map(|name| (name, Unit::describe(name, Instant::now() + PATIENCE)));
    let main_pid = match &app {
        Some((_, Ok(app))) => app.main_pid,
        _ => None,
    };
    remarks.extend(configuration::findings(settings));
    remarks.extend(this_host::findings(settings, main_pid));
    remarks.extend(application::findings(settings, app, &delays));
    remarks
}

/// A finding about `about`.
fn remark(about: &str, severity: Severity, what: String, why: &str, remedy: Option<String>) -> Remark {
    Remark {
        about: about.to_owned(),
        finding: Finding {
            severity,
            what,
            why: why.to_owned(),
            remedy,
        },
    }
}
