//! What the target groups of one section and region share, so that each of it is asked for once.

use std::fmt;
use std::sync::Arc;

use lb_drain_api::Host;

use crate::api::{Api, Group, MOST, Which};
use crate::client;
use crate::failure::{Failure, Kind};
use crate::metadata::Metadata;
use crate::once::Once;
use crate::reference::Reference;
use crate::settings::Valid;
use crate::sources::Sources;

/// The API client, this host's identity, and the descriptions of the section's target groups, each made
/// when first needed.
pub(crate) struct Session {
    pub(crate) settings: Valid,
    pub(crate) host: Host,
    /// The region, where settings or ARNs tell.
    region: Option<String>,
    sources: Sources,
    aws: Once<Aws, Failure>,
    instance_id: Once<String, Failure>,
    lots: Vec<Lot>,
    /// All target groups of the account, where a lot cannot be described by itself.
    every: Once<Arc<Vec<Group>>, Failure>,
}

/// Target groups that are described in one call: as many as AWS lets one call name, and all by ARN or all by
/// name.
#[derive(Debug)]
struct Lot {
    members: Vec<Reference>,
    described: Once<Arc<Vec<Group>>, Failure>,
}

/// The two services that are asked.
#[derive(Debug, Clone)]
pub(crate) struct Aws {
    pub(crate) api: Api,
    pub(crate) metadata: Metadata,
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session")
            .field("region", &self.region)
            .field("lots", &self.lots)
            .finish_non_exhaustive()
    }
}

impl Session {
    pub(crate) fn new(
        settings: Valid,
        host: Host,
        region: Option<String>,
        groups: Vec<Reference>,
        sources: Sources,
    ) -> Self {
        let (arns, names): (Vec<_>, Vec<_>) = groups
            .into_iter()
            .partition(|group| matches!(group, Reference::Arn(_)));
        let lots = arns.chunks(MOST).chain(names.chunks(MOST));
        Self {
            settings,
            host,
            region,
            sources,
            aws: Once::default(),
            instance_id: Once::default(),
            lots: lots.map(Lot::new).collect(),
            every: Once::default(),
        }
    }

    /// The API, with region and credentials found.
    pub(crate) async fn api(&self) -> Result<Api, Failure> {
        Ok(self.aws().await?.api)
    }

    async fn aws(&self) -> Result<Aws, Failure> {
        let make = client::make(
            &self.settings,
            self.region.as_deref(),
            &self.sources,
            self.host.budget,
        );
        self.aws.get(make).await
    }

    /// Whether any call was throttled so far.
    pub(crate) fn throttled(&self) -> bool {
        self.aws.made().is_some_and(|aws| aws.api.throttled())
    }

    /// This instance's id, from the metadata service.
    pub(crate) async fn instance_id(&self) -> Result<String, Failure> {
        let metadata = self.aws().await?.metadata;
        self.instance_id.get(metadata.instance_id()).await
    }

    /// This instance's id, where it has been asked for already.
    pub(crate) fn known_instance_id(&self) -> Option<String> {
        self.instance_id.made()
    }

    /// The description of one of the target groups. All of its lot are described at once, whoever asks first.
    pub(crate) async fn group(&self, reference: &Reference) -> Result<Group, Failure> {
        let api = self.api().await?;
        let mut found = None;
        if let Some(lot) = self.lot(reference) {
            let all = lot.described.get(self.describe(&api, lot)).await?;
            found = all.iter().find(|group| is(group, reference)).cloned();
        }
        found.ok_or_else(|| {
            let why = format!("there is no such target group in {}", api.region);
            Failure::new(Kind::NoSuchGroup, "does not exist", why)
                .advise("check its name, and `region` and the account of the credentials")
        })
    }

    /// The description of a target group, where it has been asked for already.
    pub(crate) fn described(&self, reference: &Reference) -> Option<Group> {
        let all = self.lot(reference)?.described.made()?;
        all.iter().find(|group| is(group, reference)).cloned()
    }

    /// The ARN of a target group: what every other call wants.
    pub(crate) async fn arn(&self, reference: &Reference) -> Result<String, Failure> {
        match reference {
            Reference::Arn(arn) => Ok(arn.text.clone()),
            Reference::Name(_) => match self.group(reference).await {
                Err(failure) if failure.kind == Kind::Denied => Err(failure.advise(
                    r#"write the target group's ARN instead of its name, or allow elasticloadbalancing:DescribeTargetGroups on "*" to the role of this host"#,
                )),
                described => Ok(described?.arn),
            },
        }
    }

    fn lot(&self, reference: &Reference) -> Option<&Lot> {
        self.lots.iter().find(|lot| lot.members.contains(reference))
    }

    /// Describes a lot in as few calls as possible. One group that does not exist makes AWS refuse the whole
    /// list; then all groups of the account are listed, so that deleted groups cost the others a page or two,
    /// not a call each.
    async fn describe(&self, api: &Api, lot: &Lot) -> Result<Arc<Vec<Group>>, Failure> {
        let texts: Vec<String> = lot.members.iter().map(ToString::to_string).collect();
        let several = texts.len() > 1;
        // A name is good for nothing until its ARN is known.
        let (which, essential) = match lot.members.first() {
            Some(Reference::Name(_)) => (Which::Names(texts), true),
            _ => (Which::Arns(texts), false),
        };
        match api.groups(which, essential).await {
            Err(failure) if several && matches!(failure.kind, Kind::NoSuchGroup | Kind::Invalid) => {
                let list = async { api.groups(Which::All, essential).await.map(Arc::new) };
                self.every.get(list).await
            }
            described => described.map(Arc::new),
        }
    }
}

impl Lot {
    fn new(members: &[Reference]) -> Self {
        Self {
            members: members.to_vec(),
            described: Once::default(),
        }
    }
}

fn is(group: &Group, reference: &Reference) -> bool {
    match reference {
        Reference::Arn(arn) => group.arn == arn.text,
        Reference::Name(name) => group.name == *name,
    }
}
