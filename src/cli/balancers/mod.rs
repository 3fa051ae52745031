//! Load balancers given on the command line, for use without a file: a file for each provider.

#[cfg(feature = "aws-elbv2")]
mod aws_elbv2;
#[cfg(feature = "haproxy")]
mod haproxy;
#[cfg(feature = "http")]
mod http;

use clap::Args;

/// Set on each option: a heading set on the group would go on to the options after it.
const HEADING: &str = "Load balancers, instead of a file";

/// Options that describe load balancers.
#[derive(Debug, Args)]
pub struct BalancerFlags {
    /// HAProxy.
    #[cfg(feature = "haproxy")]
    #[command(flatten)]
    pub haproxy: haproxy::HaproxyFlags,
    /// AWS.
    #[cfg(feature = "aws-elbv2")]
    #[command(flatten)]
    pub aws: aws_elbv2::AwsFlags,
    /// Any HTTP endpoint.
    #[cfg(feature = "http")]
    #[command(flatten)]
    pub http: http::HttpFlags,
}

impl BalancerFlags {
    /// Whether any load balancer is given by options.
    #[must_use]
    pub fn any(&self) -> bool {
        #[cfg(feature = "haproxy")]
        if !self.haproxy.haproxy.is_empty() {
            return true;
        }
        #[cfg(feature = "aws-elbv2")]
        if !self.aws.target_groups.is_empty() {
            return true;
        }
        #[cfg(feature = "http")]
        if self.http.deregister.is_some() {
            return true;
        }
        false
    }
}
