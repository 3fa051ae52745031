//! The service first, then the load balancers: nobody is to be sent to a port that refuses.

use std::time::Duration;

use lb_drain_api::{Error, duration};
use tokio::time::{Instant, sleep_until};

use super::ask::Entry;
use super::{Event, ports_in_words};

/// A service that listens when its unit counts as started, or a moment later, is not worth a line.
const UNREMARKABLE: Duration = Duration::from_secs(1);

/// Returns once something listens on each of the service's ports, on whatever address.
///
/// # Errors
///
/// Where that does not come to be in time, or the service has ended.
pub(super) async fn listening(entry: &Entry<'_>) -> Result<(), Error> {
    let run = entry.run;
    let ports = &run.waiting.ports;
    let mut traffic = run.traffic.clone();
    let mut gone = run.main_process_gone.clone();
    let started = Instant::now();
    let mut told = false;
    loop {
        if let Some(blind) = traffic.blind() {
            let remark = format!(
                "whether the service listens cannot be seen ({blind}); registering without having seen it"
            );
            entry.tell(&Event::Remark(remark), |_| {});
            return Ok(());
        }
        let missing = traffic.not_listening(ports);
        if missing.is_empty() {
            return Ok(());
        }
        let failure = |why: String| {
            Error::permanent(
                format!("nothing listens on {}", ports_in_words(missing.iter())),
                why,
            )
            .advise(
                "start the service, or correct `ports`; one with a network of its own is found by --service",
            )
        };
        if *gone.borrow_and_update() {
            return Err(failure("the service's main process has ended".to_owned()));
        }
        if !told && started.elapsed() >= UNREMARKABLE {
            told = true;
            entry.tell(&Event::NotListening(missing.clone()), |_| {});
        }
        tokio::select! {
            () = traffic.next_look() => {}
            _ = gone.wait_for(|gone| *gone) => {}
            // Early enough to say so.
            () = sleep_until(run.deadline.cut()) => {
                return Err(failure(format!("waited for {}", duration::human(started.elapsed()))));
            }
        }
    }
}
