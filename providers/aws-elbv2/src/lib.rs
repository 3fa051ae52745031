//! lb-drain's provider for AWS Elastic Load Balancing v2: application, network and gateway load balancers.
//!
//! A target group is what a host is registered in, so each target group is a [`LoadBalancer`] of its own:
//! all of a section are told at once. What they have in common (credentials, region, this host's id, the
//! description of the groups) is found once for all of them, and nothing of it before a verb is called.
//!
//! | file | idea |
//! |---|---|
//! | `settings`, `reference` | what may stand in the configuration |
//! | `group`, `change` | the verbs: what to ask, in which order, and what follows from the answer |
//! | `terms`, `kind` | how long to wait, and at what price to know |
//! | `check` | whether leaving would work |
//! | `entry`, `ours` | a registration, its states, its name; which of them are this host's |
//! | `session`, `once` | what target groups share |
//! | `api`, `failure` | the API's calls and its errors |
//! | `client`, `metadata`, `sources` | credentials, region, instance id |
//! | `transport`, `roots` | HTTP and TLS |

mod api;
mod change;
mod check;
mod client;
mod entry;
mod failure;
mod group;
mod kind;
mod metadata;
mod once;
mod ours;
mod reference;
mod roots;
mod session;
mod settings;
mod sources;
mod terms;
mod transport;

use std::collections::BTreeMap;
use std::sync::Arc;

use lb_drain_api::{Host, LoadBalancer, SettingsError};

pub use settings::Settings;
pub use sources::Sources;

use group::Group;
use reference::Reference;
use session::Session;
use settings::Valid;

/// The target groups of one section, each a load balancer. Neither the network nor the AWS SDK is touched
/// before one of their verbs is called.
///
/// # Errors
///
/// Where a setting cannot be meant: no target group, an ARN of something else, a region that contradicts
/// an ARN, and the like.
pub fn connect(settings: Settings, host: &Host) -> Result<Vec<Arc<dyn LoadBalancer>>, SettingsError> {
    connect_with(settings, host, &Sources::default())
}

/// As [`connect`], with credentials or metadata from somewhere else than the SDK's standard chain.
///
/// # Errors
///
/// As [`connect`].
pub fn connect_with(
    settings: Settings,
    host: &Host,
    sources: &Sources,
) -> Result<Vec<Arc<dyn LoadBalancer>>, SettingsError> {
    let settings = Valid::try_from(settings)?;
    // ARNs may be of several regions, and an ARN is right about its own: a session for each.
    let mut regions: BTreeMap<Option<String>, Vec<Reference>> = BTreeMap::new();
    for group in &settings.groups {
        let region = settings.region.as_deref().or(group.region());
        regions
            .entry(region.map(str::to_owned))
            .or_default()
            .push(group.clone());
    }
    let sessions: BTreeMap<Option<String>, Arc<Session>> = regions
        .into_iter()
        .map(|(region, groups)| {
            let session = Session::new(
                settings.clone(),
                host.clone(),
                region.clone(),
                groups,
                sources.clone(),
            );
            (region, Arc::new(session))
        })
        .collect();
    let groups = settings.groups.iter().filter_map(|group| {
        let region = settings.region.as_deref().or(group.region());
        let session = sessions.get(&region.map(str::to_owned))?;
        Some(Arc::new(Group::new(group.clone(), Arc::clone(session))) as Arc<dyn LoadBalancer>)
    });
    Ok(groups.collect())
}
