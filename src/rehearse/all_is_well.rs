//! The last look before this host leaves: a test whose requests fail anyway, or do not come here, would take it out for
//! nothing, and one of the last host in service would fail every request.

use std::time::Duration;

use super::load::Request;
use super::{Deeds, Figures, Means, Recorder, standing, text};
use crate::engine::ports_in_words;

/// Of so many requests (in percent) that all come here, hardly one is left for another host. Not all of them can be
/// seen arriving: two on one connection may come within one look.
const NEARLY_ALL: usize = 75;

/// Looks at what the load has shown so far, and asks the load balancers once more.
///
/// # Errors
///
/// Why this host does not leave. Nothing has been touched.
pub(super) async fn before_leaving(recorder: &Recorder, means: &Means) -> Result<(), String> {
    let untouched = |why: String| format!("{why}; nothing was touched");
    let time = recorder.now();
    let recorded = recorder.recorded();
    answered(&recorded.requests, recorder.tally().sent, time, || {
        text::kinds(&Figures::new(&recorded, &Deeds::default()).failures)
    })
    .map_err(untouched)?;
    let came = match &recorded.blind {
        None => Some(recorded.arrivals.len()),
        Some(why) => {
            tracing::warn!("requests are not seen arriving here: {why}");
            None
        }
    };
    let ports = ports_in_words(means.ports.iter());
    let sent = recorder.tally().sent;
    if came == Some(0) {
        return Err(untouched(format!(
            "none of {sent} requests arrived at {ports} of this host (is it the right URL and port? a higher --rate or a \
             longer --duration help where there are many hosts)"
        )));
    }
    let silent = match recorder.traffic().blind() {
        None => recorder.traffic().not_listening(&means.ports),
        Some(_) => Vec::new(),
    };
    if !silent.is_empty() {
        return Err(untouched(format!(
            "nothing listens on {}, so this host could not come back: the way back waits for all of its ports; start the \
             service, or correct `ports`",
            ports_in_words(silent.iter())
        )));
    }
    // What was true a while ago need not be true now.
    let standing = standing(&means.plans, &means.record, means.budget, means.even_if_last)
        .await
        .map_err(|refusal| untouched(refusal.why()))?;
    match standing.silent.first() {
        Some(balancer) if !means.even_if_last => others(balancer, came, sent).map_err(untouched),
        _ => Ok(()),
    }
}

fn answered(
    done: &[Request],
    sent: usize,
    time: Duration,
    kinds: impl FnOnce() -> String,
) -> Result<(), String> {
    let failed = done.iter().filter(|request| request.failure.is_some()).count();
    if done.is_empty() {
        return Err(format!(
            "none of {sent} requests was answered within {}: does the load balancer answer at all? (where requests take \
             that long, a longer --duration helps)",
            lb_drain_api::duration::human(time)
        ));
    }
    if failed * 2 > done.len() || failed == done.len() {
        return Err(format!(
            "of {} requests {failed} failed before this host left ({})",
            done.len(),
            kinds()
        ));
    }
    Ok(())
}

/// Where the load balancer does not tell whether others are in service, the requests do: some of them are answered and
/// do not come here.
fn others(balancer: &str, came: Option<usize>, sent: usize) -> Result<(), String> {
    let seen = match came {
        Some(came) if came * 100 < sent * NEARLY_ALL => return Ok(()),
        Some(came) => format!("{came} of {sent} requests came here"),
        None => "requests are not seen arriving here".to_owned(),
    };
    Err(format!(
        "{balancer} does not tell whether any other host is in service, and {seen}: this may be the last one; bring \
         another one into service, or write --even-if-last"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rehearse::load::Failure;

    fn request(failure: Option<Failure>) -> Request {
        Request {
            due: Duration::ZERO,
            ended: Duration::ZERO,
            failure,
        }
    }

    #[test]
    fn requests_that_nobody_answers_are_no_good_sign() {
        let judged = |done: &[Request]| answered(done, 50, Duration::from_secs(5), String::new);
        assert!(judged(&[]).expect_err("none is").contains("none of 50 requests"));
        let (good, bad) = (request(None), request(Some(Failure::Refused)));
        assert!(judged(std::slice::from_ref(&bad)).is_err());
        assert!(judged(&[good.clone(), bad.clone(), bad.clone()]).is_err());
        assert_eq!(judged(&[good.clone(), good, bad]), Ok(()));
    }

    #[test]
    fn requests_that_all_come_here_leave_nobody_to_take_them() {
        assert_eq!(others("edge", Some(50), 100), Ok(()));
        assert!(others("edge", Some(96), 100).is_err());
        assert!(others("edge", None, 100).is_err(), "nobody knows");
    }
}
