//! The five calls of the ELBv2 API that there is a use for, in this crate's own types.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use aws_sdk_elasticloadbalancingv2::config::http::HttpResponse;
use aws_sdk_elasticloadbalancingv2::config::timeout::TimeoutConfig;
use aws_sdk_elasticloadbalancingv2::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_elasticloadbalancingv2::operation::RequestId;
use aws_sdk_elasticloadbalancingv2::{Client, Config, config};

use crate::entry::{Entry, Seen};
use crate::failure::{self, Failure};
use crate::kind::Kind;

/// The most target groups that one DescribeTargetGroups may name.
pub(crate) const MOST: usize = 20;

/// The most target groups in one answer of DescribeTargetGroups.
const PAGE: i32 = 400;

/// How long to wait for an answer that is not essential. Two of them stay within the two seconds that the
/// engine gives a first attempt, so what is to be assumed without them is decided here.
const BRIEFLY: Duration = Duration::from_millis(900);

/// What IAM can scope a Describe call to.
const EVERYTHING: &str = r#""*""#;

/// The API of one region with one set of credentials.
#[derive(Debug, Clone)]
pub(crate) struct Api {
    pub(crate) client: Client,
    pub(crate) region: String,
    throttled: Arc<AtomicBool>,
}

/// A target group, as far as it matters here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Group {
    pub(crate) arn: String,
    pub(crate) name: String,
    pub(crate) kind: Kind,
    /// `HTTP`, `TCP`, `UDP` and the like; empty for a group of functions.
    pub(crate) protocol: String,
    /// `instance`, `ip`, `lambda` or `alb`.
    pub(crate) target_type: String,
}

/// What a target group says of the end of a deregistration.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Attributes {
    /// The deregistration delay.
    pub(crate) delay: Option<Duration>,
    /// Whether connections that are open after the delay are closed then. Network load balancers tell.
    pub(crate) closes: Option<bool>,
}

/// Which target groups to describe.
#[derive(Debug, Clone)]
pub(crate) enum Which {
    /// These, [`MOST`] of them; if one of them does not exist, none is described.
    Arns(Vec<String>),
    /// These, [`MOST`] of them; if one of them does not exist, none is described.
    Names(Vec<String>),
    /// All of the account in this region.
    All,
}

impl Api {
    pub(crate) fn new(client: Client, region: String) -> Self {
        Self {
            client,
            region,
            throttled: Arc::default(),
        }
    }

    /// Whether any call was throttled so far: the account's budget is short, so only what is essential
    /// should be asked.
    pub(crate) fn throttled(&self) -> bool {
        self.throttled.load(Ordering::Relaxed)
    }

    /// DescribeTargetHealth, of these registrations or of all in the group. Never paged: a group holds at
    /// most a thousand.
    pub(crate) async fn health(&self, arn: &str, entries: Option<&[Entry]>) -> Result<Vec<Seen>, Failure> {
        let targets = entries.map(|entries| entries.iter().map(Entry::to_sdk).collect());
        let call = self
            .client
            .describe_target_health()
            .target_group_arn(arn)
            .set_targets(targets);
        let answer = call
            .send()
            .await
            .map_err(|error| self.failed("DescribeTargetHealth", EVERYTHING, &error))?;
        let described = answer.target_health_descriptions();
        Ok(described.iter().filter_map(Seen::from_sdk).collect())
    }

    /// DeregisterTargets. Success proves nothing: it succeeds for targets that are not there.
    pub(crate) async fn deregister(&self, arn: &str, entries: &[Entry]) -> Result<(), Failure> {
        let call = self
            .client
            .deregister_targets()
            .target_group_arn(arn)
            .set_targets(Some(entries.iter().map(Entry::to_sdk).collect()));
        let answer = call
            .send()
            .await
            .map_err(|error| self.failed("DeregisterTargets", arn, &error))?;
        from_aws("DeregisterTargets", &answer)
    }

    /// RegisterTargets.
    pub(crate) async fn register(&self, arn: &str, entries: &[Entry]) -> Result<(), Failure> {
        let call = self
            .client
            .register_targets()
            .target_group_arn(arn)
            .set_targets(Some(entries.iter().map(Entry::to_sdk).collect()));
        let answer = call
            .send()
            .await
            .map_err(|error| self.failed("RegisterTargets", arn, &error))?;
        from_aws("RegisterTargets", &answer)
    }

    /// DescribeTargetGroupAttributes. Not essential: asked briefly.
    pub(crate) async fn attributes(&self, arn: &str) -> Result<Attributes, Failure> {
        let call = self
            .client
            .describe_target_group_attributes()
            .target_group_arn(arn);
        let answer = call
            .customize()
            .config_override(briefly())
            .send()
            .await
            .map_err(|error| self.failed("DescribeTargetGroupAttributes", EVERYTHING, &error))?;
        let value = |key: &str| {
            let mut attributes = answer.attributes().iter();
            attributes.find(|attribute| attribute.key() == Some(key))?.value()
        };
        Ok(Attributes {
            delay: value("deregistration_delay.timeout_seconds")
                .and_then(|seconds| seconds.parse().ok())
                .map(Duration::from_secs),
            closes: value("deregistration_delay.connection_termination.enabled")
                .map(|enabled| enabled == "true"),
        })
    }

    /// DescribeTargetGroups, every page of it. Essential where names are to be resolved, else asked briefly.
    pub(crate) async fn groups(&self, which: Which, essential: bool) -> Result<Vec<Group>, Failure> {
        let patience = if essential { Config::builder() } else { briefly() };
        let (arns, names) = match which {
            Which::Arns(arns) => (Some(arns), None),
            Which::Names(names) => (None, Some(names)),
            Which::All => (None, None),
        };
        let mut groups = Vec::new();
        let mut marker = None;
        loop {
            let call = self
                .client
                .describe_target_groups()
                .set_target_group_arns(arns.clone())
                .set_names(names.clone())
                .page_size(PAGE)
                .set_marker(marker)
                .customize()
                .config_override(patience.clone());
            let answer = call
                .send()
                .await
                .map_err(|error| self.failed("DescribeTargetGroups", EVERYTHING, &error))?;
            groups.extend(answer.target_groups().iter().filter_map(|group| {
                let protocol = group.protocol().map_or("", |protocol| protocol.as_str());
                Some(Group {
                    arn: group.target_group_arn()?.to_owned(),
                    name: group.target_group_name()?.to_owned(),
                    kind: Kind::of_protocol(protocol),
                    protocol: protocol.to_owned(),
                    target_type: group.target_type().map_or("", |kind| kind.as_str()).to_owned(),
                })
            }));
            marker = answer.next_marker().map(str::to_owned);
            if marker.is_none() {
                return Ok(groups);
            }
        }
    }

    fn failed<E>(&self, action: &'static str, scope: &str, error: &SdkError<E, HttpResponse>) -> Failure
    where
        E: ProvideErrorMetadata + std::error::Error + 'static,
    {
        let failure = Failure::from_sdk(action, scope, error);
        match failure.kind {
            failure::Kind::Throttled => {
                self.throttled.store(true, Ordering::Relaxed);
                failure
            }
            failure::Kind::NoSuchGroup => failure.advise(format!(
                "check its name, and that {} is its region and its account that of the credentials",
                self.region
            )),
            _ => failure,
        }
    }
}

/// Checks that the answer to a change is AWS's. It has no content to read, so the SDK takes any page with
/// status 200 for one, such as a proxy's; but AWS gives each answer an id.
fn from_aws(action: &str, answer: &impl RequestId) -> Result<(), Failure> {
    match answer.request_id() {
        Some(_) => Ok(()),
        None => Err(failure::misunderstood(
            action,
            "HTTP status 200 without a request id",
        )),
    }
}

fn briefly() -> config::Builder {
    let timeouts = TimeoutConfig::builder()
        .operation_timeout(BRIEFLY)
        .operation_attempt_timeout(BRIEFLY)
        .read_timeout(BRIEFLY)
        .connect_timeout(BRIEFLY);
    Config::builder().timeout_config(timeouts.build())
}
