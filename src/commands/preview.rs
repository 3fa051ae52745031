//! `lb-drain deregister --dry-run`: what would be done, found out without changing anything.

use lb_drain_api::Rotation;

use super::status::{Sighting, sightings};
use super::wants_json;
use crate::cli::Deregister;
use crate::config::Settings;
use crate::exit::Exit;
use crate::report;

pub(super) async fn preview(settings: Settings, options: &Deregister) -> Exit {
    super::begin(&options.common, &settings.remarks);
    let sightings = sightings(&settings).await;
    for Sighting {
        name,
        identity,
        target,
        view,
    } in &sightings
    {
        let whole = format!("{name}: {} {} {target}", identity.provider, identity.endpoint);
        match view {
            Ok(view) => match view.rotation {
                Rotation::NotAMember => {
                    tracing::info!("{whole}: has no entry of this host; nothing to leave")
                }
                Rotation::Out => tracing::info!(
                    "{whole}: is out of rotation already ({}); would wait for it to drain",
                    view.state
                ),
                _ => tracing::info!("{whole}: would be taken out of rotation ({})", view.state),
            },
            Err(error) => tracing::error!("{name}: {error}"),
        }
    }
    let failed = sightings.iter().any(|sighting| sighting.view.is_err());
    tracing::info!("nothing was changed (--dry-run)");
    if wants_json(&options.common) {
        let list: Vec<_> = sightings.iter().map(Sighting::json).collect();
        report::json::print(&serde_json::json!({
            "command": "deregister",
            "dry_run": true,
            "outcome": if failed { "failed" } else { "unchanged" },
            "load_balancers": list,
        }));
    }
    if failed { Exit::Failed } else { Exit::Done }
}
