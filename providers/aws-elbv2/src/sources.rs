//! Where credentials and instance metadata come from.

use aws_sdk_elasticloadbalancingv2::config::SharedCredentialsProvider;

/// Replacements for the SDK's standard chain, for tests and for programs that hold credentials already.
/// By default everything is found as every AWS tool finds it: variables, profile, web identity, container,
/// instance role.
#[derive(Debug, Clone, Default)]
pub struct Sources {
    /// Credentials, instead of the chain.
    pub credentials: Option<SharedCredentialsProvider>,
    /// Where the instance metadata service answers, such as `http://127.0.0.1:1338`, instead of where the
    /// variables, the profile or the link-local address lead.
    pub metadata: Option<String>,
}
