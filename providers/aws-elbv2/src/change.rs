//! Registrations out and in, with what the API makes of them.

use std::time::Duration;

use lb_drain_api::Rotation;

use crate::api::Api;
use crate::entry::Entry;
use crate::failure::{Failure, Kind};
use crate::ours;

/// How long to leave an address that is still draining before it is tried again.
const STILL_DRAINING: Duration = Duration::from_secs(5);

/// Deregisters all at once; each by itself where AWS refuses them for one that does not exist any more.
pub(crate) async fn deregister(api: &Api, arn: &str, entries: &[Entry]) -> Result<(), Failure> {
    match api.deregister(arn, entries).await {
        Err(failure) if failure.kind == Kind::InvalidTarget => {}
        done => return done,
    }
    // One alone that does not exist is gone; the look that follows tells.
    for entry in entries.iter().filter(|_| entries.len() > 1) {
        match api.deregister(arn, std::slice::from_ref(entry)).await {
            Err(failure) if failure.kind == Kind::InvalidTarget => {}
            done => done?,
        }
    }
    Ok(())
}

/// Registers, unless one is an address that is draining.
pub(crate) async fn register(api: &Api, arn: &str, entries: &[Entry]) -> Result<(), Failure> {
    expect_free(api, arn, entries).await?;
    api.register(arn, entries).await
}

/// An address that is draining cannot be registered until its delay is over.
async fn expect_free(api: &Api, arn: &str, entries: &[Entry]) -> Result<(), Failure> {
    if entries.iter().all(|entry| ours::is_instance(&entry.id)) {
        return Ok(());
    }
    let seen = match api.health(arn, Some(entries)).await {
        Ok(seen) => seen,
        // The registration itself will tell.
        Err(failure) if matches!(failure.kind, Kind::Denied | Kind::InvalidTarget) => return Ok(()),
        Err(failure) => return Err(failure),
    };
    let Some(draining) = seen.iter().find(|seen| seen.rotation == Rotation::Out) else {
        return Ok(());
    };
    let why = format!("{} is still draining", draining.entry.id);
    Err(Failure::passing("cannot take this host back yet", why)
        .wait(STILL_DRAINING)
        .advise("an address can be registered again only after its deregistration delay; raise the budget or lower the delay"))
}
