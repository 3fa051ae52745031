//! Whether `TimeoutStopSec=` leaves the time that the load balancers need.

use std::time::Duration;

use lb_drain_api::Severity::{Fine, Problem, Warning};
use lb_drain_api::duration::human;

use super::super::{Remark, remark};
use super::Case;
use crate::budget::AROUND_A_WAIT;
use crate::service_manager::{Application, Hook, Setting, Unit};

pub(super) fn findings(case: &Case<'_>, runner: &Unit) -> Vec<Remark> {
    let Some(timeout) = runner.timeout_stop else {
        return vec![remark(
            &runner.name,
            Warning,
            "TimeoutStopSec=infinity".to_owned(),
            "a load balancer that never drains holds a stop, and a shutdown, for as long as its delay, or 30 s where it has none",
            Some("TimeoutStopSec=90s".to_owned()),
        )];
    };
    let budget = budget(runner, timeout);
    let written = |duration: Duration| human(duration).replace(' ', "");
    let mut remarks = Vec::new();
    for delay in case.delays {
        let name = &delay.name;
        let fitting = |wait: Duration| Some(format!("TimeoutStopSec={}", written(wait + AROUND_A_WAIT)));
        if let Some(floor) = delay.min_wait.filter(|floor| *floor > budget) {
            remarks.push(remark(
                &runner.name,
                Problem,
                format!(
                    "TimeoutStopSec={} is less than the {} that changes need at {name}",
                    written(timeout),
                    human(floor)
                ),
                "requests still arrive when the service stops, and are lost",
                fitting(floor),
            ));
        } else if let Some(longest) = delay.max_wait.filter(|longest| *longest > budget) {
            remarks.push(remark(
                &runner.name,
                Warning,
                format!(
                    "TimeoutStopSec={} is less than the deregistration delay of {} at {name}",
                    written(timeout),
                    human(longest)
                ),
                &format!("requests of more than {} would be cut", human(budget)),
                fitting(longest),
            ));
        }
    }
    if let Some(given) = case.given.filter(|given| *given > budget) {
        remarks.push(remark(
            &runner.name,
            Warning,
            format!(
                "a budget of {} is more than TimeoutStopSec={} leaves",
                human(given),
                written(timeout)
            ),
            &format!("it is cut to {}", human(budget)),
            Some("budget = \"auto\", or a longer TimeoutStopSec=".to_owned()),
        ));
    }
    if remarks.is_empty() {
        remarks.push(remark(
            &runner.name,
            Fine,
            format!("TimeoutStopSec={}", written(timeout)),
            &format!("leaves {} for leaving", human(budget)),
            None,
        ));
    }
    remarks
}

/// What is left of a timeout for us.
fn budget(runner: &Unit, timeout: Duration) -> Duration {
    let hook = Hook {
        unit: runner.name.clone(),
        setting: Setting::TimeoutStop,
        timeout: Some(timeout),
        head_start: Duration::ZERO,
        reason: None,
        application: Application::Unknown,
        restart_waits: false,
        restart_pause: Duration::ZERO,
        may_extend: false,
    };
    hook.budget().unwrap_or(timeout)
}
