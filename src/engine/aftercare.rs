//! Looking after an entry that has drained until all others have: the service goes on until then, and what is put
//! back meanwhile would get requests when it stops.

use std::time::Duration;

use lb_drain_api::{Target, View};
use tokio::time::sleep;

use super::ask::Entry;
use super::settled::StillLeaving;

/// Returns `None` once all others have left too, or what was seen of an entry that is in rotation again.
pub(super) async fn look_after(
    entry: &Entry<'_>,
    target: &Target,
    still: StillLeaving,
) -> Option<(View, StillLeaving)> {
    let leaving = still.leaving().clone();
    drop(still);
    let back = async {
        let pace = entry.plan.balancer.schedule().pace;
        loop {
            // With jitter: a fleet that stops together does not ask together.
            sleep(pace.far.mul_f64(0.75 + fastrand::f64() / 2.0)).await;
            let limit = pace.far.max(Duration::from_secs(2));
            // One that does not answer was out when it last did.
            if let Ok(view) = entry.once("look", limit, entry.plan.balancer.look(target)).await
                && view.rotation.may_route()
            {
                return view;
            }
        }
    };
    tokio::select! {
        biased;
        () = leaving.all_have_left() => None,
        view = back => Some((view, leaving.one())),
    }
}
