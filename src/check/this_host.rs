//! What this host can see of its own requests.

use lb_drain_api::Severity;

use super::{Remark, remark};
use crate::config::Settings;
use crate::engine::ports_in_words;
use crate::evidence::{Evidence, Precision, SocketEvidence};

pub(super) fn findings(settings: &Settings, main_pid: Option<u32>) -> Vec<Remark> {
    let here = |severity, what, why, remedy| remark("here", severity, what, why, remedy);
    if settings.ports.is_empty() {
        return vec![here(
            Severity::Warning,
            "the service's ports are not named".to_owned(),
            "requests in flight are seen on ports that a load balancer names, and register does not wait for the service to listen",
            Some("ports = [8080]".to_owned()),
        )];
    }
    let named = ports_in_words(settings.ports.iter());
    let mut sockets = match SocketEvidence::new(main_pid) {
        Ok(sockets) => sockets,
        Err(error) => {
            return vec![here(
                Severity::Warning,
                format!("connections cannot be seen: {error}"),
                "a load balancer that does not count requests is waited for until the budget ends",
                None,
            )];
        }
    };
    let precision = match sockets.precision() {
        Precision::Requests => here(
            Severity::Fine,
            format!("requests in flight on {named} can be told from idle connections"),
            "a stop ends when nothing is in flight",
            None,
        ),
        Precision::Connections { because } => here(
            Severity::Warning,
            format!("connections on {named} can be seen, requests cannot: {because}"),
            "an idle keep-alive connection counts as a request in flight, so stops take longer",
            None,
        ),
    };
    let silent: Vec<u16> = sockets
        .look(&settings.ports)
        .unwrap_or_default()
        .into_iter()
        .filter(|(_, traffic)| !traffic.listening)
        .map(|(port, _)| port)
        .collect();
    let mut remarks = vec![precision];
    if !silent.is_empty() {
        remarks.push(here(
            Severity::Warning,
            format!("nothing listens on {}", ports_in_words(silent.iter())),
            "register would wait for it in vain; right if the service is stopped",
            Some("compare `ports` with: ss -ltn".to_owned()),
        ));
    }
    remarks
}
