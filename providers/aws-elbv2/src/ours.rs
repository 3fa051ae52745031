//! How a target group knows this host.

use std::net::IpAddr;

use crate::entry::{Entry, Seen};
use crate::failure::{Failure, Kind};
use crate::reference::Reference;
use crate::session::Session;

/// Which of a group's registrations are this host's.
pub(crate) async fn registered(session: &Session, all: &[Seen]) -> Result<Vec<Seen>, Failure> {
    let settings = &session.settings;
    let ours = |test: &dyn Fn(&str) -> bool| -> Vec<Seen> {
        all.iter()
            .filter(|seen| test(&seen.entry.id))
            .filter(|seen| settings.port.is_none() || seen.entry.port == settings.port)
            .cloned()
            .collect()
    };
    if let Some(id) = &settings.target_id {
        return Ok(ours(&|described| id.is(described)));
    }
    // A group holds either addresses or instances, so the ids show its type.
    if all.iter().any(|seen| is_instance(&seen.entry.id)) {
        let own = session.instance_id().await?;
        return Ok(ours(&|described| described == own));
    }
    let addresses = &session.host.addresses;
    if addresses.is_empty() && all.iter().any(|seen| address(&seen.entry.id).is_some()) {
        return Err(Failure::lasting(
            "does not know this host",
            "its targets are addresses, and this host's own cannot be read",
        )
        .advise("set `target_id` to the address that is registered"));
    }
    Ok(ours(&|described| {
        address(described).is_some_and(|address| addresses.contains(&address))
    }))
}

/// A name for this host where it is not registered. Nothing is asked for it: a stop is done at once then.
pub(crate) fn stranger(session: &Session, all: &[Seen]) -> Entry {
    let address = || {
        let by_address = all.iter().any(|seen| !is_instance(&seen.entry.id));
        session
            .host
            .addresses
            .first()
            .filter(|_| by_address)
            .map(ToString::to_string)
    };
    let configured = session.settings.target_id.as_ref().map(ToString::to_string);
    let id = configured
        .or_else(address)
        .or_else(|| session.known_instance_id())
        .unwrap_or_else(|| session.host.hostname.clone());
    Entry::new(id, session.settings.port)
}

/// The registration that the configuration describes.
pub(crate) async fn configured(session: &Session, reference: &Reference) -> Result<Entry, Failure> {
    let Session { settings, host, .. } = session;
    if let Some(id) = &settings.target_id {
        return Ok(Entry::new(id.to_string(), settings.port));
    }
    let target_type = match session.group(reference).await {
        Ok(group) => group.target_type,
        // Most groups hold instances, and a refused registration is told.
        Err(failure) if failure.kind == Kind::Denied => "instance".to_owned(),
        Err(failure) => return Err(failure),
    };
    let unknown = |why| Failure::lasting("does not know this host", why);
    match (target_type.as_str(), &host.addresses[..]) {
        ("instance", _) => Ok(Entry::new(session.instance_id().await?, settings.port)),
        ("ip", [address]) => Ok(Entry::new(address.to_string(), settings.port)),
        ("ip", several) => {
            let why = format!(
                "its targets are addresses, and this host has {} of them",
                several.len()
            );
            Err(unknown(why).advise("set `target_id` to the one that is registered"))
        }
        (other, _) => Err(unknown(format!("its targets are of type {other}, not hosts"))
            .advise("take it out of `target_groups`")),
    }
}

fn address(id: &str) -> Option<IpAddr> {
    id.parse().ok()
}

/// Whether an id is that of an instance; else it is an address.
pub(crate) fn is_instance(id: &str) -> bool {
    id.starts_with("i-")
}
