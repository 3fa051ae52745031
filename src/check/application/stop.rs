//! What else decides how a stop goes: the network at shutdown, and what SIGTERM reaches.

use lb_drain_api::Severity::{Problem, Warning};

use super::super::{Remark, remark};
use super::Case;
use crate::service_manager::Unit;

/// Units of which one must outlive us at shutdown. What brings the network up is ordered before them.
const NETWORK: &[&str] = &["network-online.target", "network.target"];

pub(super) fn findings(case: &Case<'_>, runner: &Unit) -> Vec<Remark> {
    let mut remarks = Vec::new();
    if case.by_network && !NETWORK.iter().any(|target| runner.is_after(target)) {
        remarks.push(remark(
            &runner.name,
            Warning,
            "is not ordered after the network".to_owned(),
            "at shutdown the network may be gone before this host has left its load balancers",
            Some("[Unit] After=network-online.target nss-lookup.target".to_owned()),
        ));
    }
    if !runner.name.eq(&case.app.name) && !runner.is_after(&case.app.name) {
        remarks.push(remark(
            &runner.name,
            Problem,
            format!("is not ordered after {}", case.app.name),
            "both would stop at the same time, with requests in flight",
            Some(format!("[Unit] After={}", case.app.name)),
        ));
    }
    if let mode @ ("none" | "process") = case.app.kill_mode.as_str() {
        remarks.push(remark(
            &case.app.name,
            Warning,
            format!("KillMode={mode}"),
            "processes that do not end with the main process live on after the stop, with connections that no load balancer knows",
            Some("KillMode=control-group (or mixed, where the main process ends its workers)".to_owned()),
        ));
    }
    remarks
}
