//! Options for AWS target groups.

use clap::Args;
use lb_drain_aws_elbv2::Settings;

use super::HEADING;

/// `--aws…`.
#[derive(Debug, Args)]
pub struct AwsFlags {
    /// AWS target groups, by ARN or name
    #[arg(
        long = "aws-target-group",
        id = "aws_target_group",
        help_heading = HEADING,
        value_name = "ARN|NAME",
        num_args = 1..,
        value_delimiter = ',',
        env = "LB_DRAIN_AWS_TARGET_GROUP"
    )]
    pub target_groups: Vec<String>,

    /// This host there [default: the instance's id, from its metadata]
    #[arg(long = "aws-target-id", help_heading = HEADING, value_name = "ID", env = "LB_DRAIN_AWS_TARGET_ID", requires = "aws_target_group")]
    target_id: Option<String>,

    /// Its port there [default: every port registered for it]
    #[arg(long = "aws-port", help_heading = HEADING, value_name = "PORT", env = "LB_DRAIN_AWS_PORT", requires = "aws_target_group")]
    port: Option<u16>,

    /// The region [default: that of the ARN, else as the AWS tools find it]
    #[arg(long = "aws-region", help_heading = HEADING, value_name = "REGION", env = "LB_DRAIN_AWS_REGION", requires = "aws_target_group")]
    region: Option<String>,

    /// Where the API answers [default: the region's endpoint]
    #[arg(
        long = "aws-endpoint-url",
        help_heading = HEADING,
        value_name = "URL",
        env = "LB_DRAIN_AWS_ENDPOINT_URL",
        requires = "aws_target_group"
    )]
    endpoint_url: Option<String>,
}

impl AwsFlags {
    /// The provider's settings, if options give any.
    #[must_use]
    pub fn settings(&self) -> Option<Settings> {
        (!self.target_groups.is_empty()).then(|| Settings {
            target_groups: self.target_groups.clone(),
            target_id: self.target_id.clone(),
            port: self.port,
            region: self.region.clone(),
            endpoint_url: self.endpoint_url.clone(),
            profile: None, // AWS_PROFILE
        })
    }
}
