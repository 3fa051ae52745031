//! What the target groups of one section and region share, so that each of it is asked for once.

use std::fmt;
use std::sync::Arc;

use lb_drain_api::Host;

use crate::api::{Api, Group, Which};
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
    /// The target groups that share this session.
    groups: Vec<Reference>,
    sources: Sources,
    aws: Once<Aws, Failure>,
    instance_id: Once<String, Failure>,
    by_arn: Once<Arc<Vec<Group>>, Failure>,
    by_name: Once<Arc<Vec<Group>>, Failure>,
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
            .field("groups", &self.groups)
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
        Self {
            settings,
            host,
            region,
            groups,
            sources,
            aws: Once::default(),
            instance_id: Once::default(),
            by_arn: Once::default(),
            by_name: Once::default(),
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

    /// This instance's id, from the metadata service.
    pub(crate) async fn instance_id(&self) -> Result<String, Failure> {
        let metadata = self.aws().await?.metadata;
        self.instance_id.get(metadata.instance_id()).await
    }

    /// This instance's id, where it has been asked for already.
    pub(crate) fn known_instance_id(&self) -> Option<String> {
        self.instance_id.made()
    }

    /// The description of one of the target groups. All of them are described in one call, whoever asks first.
    pub(crate) async fn group(&self, reference: &Reference) -> Result<Group, Failure> {
        let api = self.api().await?;
        let all = match reference {
            Reference::Arn(_) => self.by_arn.get(describe(&api, Which::Arns(self.arns()))).await,
            Reference::Name(_) => self.by_name.get(describe(&api, Which::Names(self.names()))).await,
        }?;
        let found = all.iter().find(|group| is(group, reference));
        found.cloned().ok_or_else(|| {
            let why = format!("there is no such target group in {}", api.region);
            Failure::new(Kind::NoSuchGroup, "does not exist", why)
                .advise("check its name, and `region` and the account of the credentials")
        })
    }

    /// The description of a target group, where it has been asked for already.
    pub(crate) fn described(&self, reference: &Reference) -> Option<Group> {
        let all = match reference {
            Reference::Arn(_) => self.by_arn.made(),
            Reference::Name(_) => self.by_name.made(),
        }?;
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

    fn arns(&self) -> Vec<String> {
        let arns = self
            .groups
            .iter()
            .filter(|group| matches!(group, Reference::Arn(_)));
        arns.map(ToString::to_string).collect()
    }

    fn names(&self) -> Vec<String> {
        let names = self
            .groups
            .iter()
            .filter(|group| matches!(group, Reference::Name(_)));
        names.map(ToString::to_string).collect()
    }
}

fn is(group: &Group, reference: &Reference) -> bool {
    match reference {
        Reference::Arn(arn) => group.arn == arn.text,
        Reference::Name(name) => group.name == *name,
    }
}

/// Describes many target groups in as few calls as possible. One that does not exist makes AWS refuse the
/// whole list; then all groups of the account are listed, so that one deleted group costs the others a page
/// or two, not a call each.
async fn describe(api: &Api, which: Which) -> Result<Arc<Vec<Group>>, Failure> {
    let several = matches!(&which, Which::Arns(list) | Which::Names(list) if list.len() > 1);
    match api.groups(which).await {
        Err(failure) if several && matches!(failure.kind, Kind::NoSuchGroup | Kind::Invalid) => {
            api.groups(Which::All).await
        }
        described => described,
    }
    .map(Arc::new)
}
