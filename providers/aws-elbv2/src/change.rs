//! Registrations out and in, with what the API makes of them.

use std::time::Duration;

use lb_drain_api::Rotation;

use crate::api::Api;
use crate::entry::Entry;
use crate::failure::{Failure, Kind};
use crate::ours;

/// How long to leave an address that is still draining before it is tried again.
const STILL_DRAINING: Duration = Duration::from_secs(5);

/// Deregisters all at once; each by itself where AWS refuses them for one that does not exist (any more).
/// That refusal is the answer once the others have left: who can look knows better, who cannot must believe
/// it.
pub(crate) async fn deregister(api: &Api, arn: &str, entries: &[Entry]) -> Result<(), Failure> {
    match api.deregister(arn, entries).await {
        Err(failure) if failure.kind == Kind::InvalidTarget && entries.len() > 1 => {}
        done => return done,
    }
    let mut answer = Ok(());
    for entry in entries {
        match api.deregister(arn, std::slice::from_ref(entry)).await {
            Err(failure) if failure.kind == Kind::InvalidTarget => answer = Err(failure),
            done => done?,
        }
    }
    answer
}

/// Registers, unless one is an address that is draining.
pub(crate) async fn register(api: &Api, arn: &str, entries: &[Entry]) -> Result<(), Failure> {
    let may_drain = may_drain(api, arn, entries).await?;
    match api.register(arn, entries).await {
        Err(failure) if failure.kind == Kind::InvalidTarget && may_drain => {
            Err(Failure::passing(failure.deed, failure.why)
                .wait(STILL_DRAINING)
                .advise("an address that still drains can be registered again only after its deregistration delay; if it does not, check `target_id`"))
        }
        done => done,
    }
}

/// Whether one of them may be draining for all that can be known. An address that is known to be cannot be
/// registered until its delay is over; an instance can.
async fn may_drain(api: &Api, arn: &str, entries: &[Entry]) -> Result<bool, Failure> {
    if entries.iter().all(|entry| ours::is_instance(&entry.id)) {
        return Ok(false);
    }
    let seen = match api.health(arn, Some(entries)).await {
        Ok(seen) => seen,
        // The registration itself will tell.
        Err(failure) if failure.kind == Kind::Denied => return Ok(true),
        Err(failure) if failure.kind == Kind::InvalidTarget => return Ok(false),
        Err(failure) => return Err(failure),
    };
    let Some(draining) = seen.iter().find(|seen| seen.rotation == Rotation::Out) else {
        return Ok(false);
    };
    let why = format!("{} is still draining", draining.entry.id);
    Err(Failure::passing("cannot take this host back yet", why)
        .wait(STILL_DRAINING)
        .advise("an address can be registered again only after its deregistration delay; raise the budget or lower the delay"))
}
