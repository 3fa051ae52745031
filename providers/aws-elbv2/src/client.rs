//! Makes the API client: region, credentials, endpoint and time-outs, by the SDK's standard chain.

use std::sync::Mutex;
use std::time::Duration;

use aws_config::default_provider::credentials::DefaultCredentialsChain;
use aws_config::environment::EnvironmentVariableRegionProvider;
use aws_config::imds::client::error::ImdsError;
use aws_config::meta::region::RegionProviderChain;
use aws_config::profile::ProfileFileRegionProvider;
use aws_config::provider_config::ProviderConfig;
use aws_config::stalled_stream_protection::StalledStreamProtectionConfig;
use aws_config::{BehaviorVersion, Region};
use aws_credential_types::provider::error::CredentialsError;
use aws_credential_types::provider::future::ProvideCredentials as Fetch;
use aws_sdk_elasticloadbalancingv2::Client;
use aws_sdk_elasticloadbalancingv2::config::retry::RetryConfig;
use aws_sdk_elasticloadbalancingv2::config::timeout::TimeoutConfig;
use aws_sdk_elasticloadbalancingv2::config::{Credentials, ProvideCredentials, SharedCredentialsProvider};

use crate::api::Api;
use crate::failure::{Failure, causes, chain};
use crate::metadata::Metadata;
use crate::session::Aws;
use crate::settings::Valid;
use crate::sources::Sources;
use crate::transport;

/// A client with credentials in hand. Everything that can fail for a reason of this host's own fails here,
/// once for all target groups.
pub(crate) async fn make(
    settings: &Valid,
    region: Option<&str>,
    sources: &Sources,
    budget: Duration,
) -> Result<Aws, Failure> {
    let http = transport::client();
    let provider = ProviderConfig::without_region().with_http_client(http.clone());
    let metadata = Metadata::new(&provider, sources.metadata.as_deref(), budget)?;
    let region = match region {
        Some(region) => region.to_owned(),
        None => find_region(settings, &provider, &metadata).await?,
    };
    let timeouts = timeouts(budget);
    let provider = provider
        .with_region(Some(Region::new(region.clone())))
        // The security token service is asked by this, for web identities and assumed roles.
        .with_retry_config(RetryConfig::disabled())
        .with_timeout_config(timeouts.clone());
    let credentials = match &sources.credentials {
        Some(given) => given.clone(),
        None => standard_chain(settings, provider, &region, &metadata).await,
    };
    let mut loader = aws_config::defaults(BehaviorVersion::latest())
        .http_client(http)
        .region(Region::new(region.clone()))
        // The engine repeats what may pass: one layer of retries, one deadline.
        .retry_config(RetryConfig::disabled())
        .timeout_config(timeouts)
        // Answers are short, and the engine bounds each call.
        .stalled_stream_protection(StalledStreamProtectionConfig::disabled())
        .credentials_provider(InHand::load(credentials, &metadata).await?);
    if let Some(url) = &settings.endpoint_url {
        loader = loader.endpoint_url(url);
    }
    if let Some(profile) = &settings.profile {
        loader = loader.profile_name(profile);
    }
    Ok(Aws {
        api: Api::new(Client::new(&loader.load().await), region),
        metadata,
    })
}

/// From `AWS_REGION`, the profile, or the instance: the standard order.
async fn find_region(
    settings: &Valid,
    provider: &ProviderConfig,
    metadata: &Metadata,
) -> Result<String, Failure> {
    let mut profile = ProfileFileRegionProvider::builder().configure(provider);
    if let Some(name) = &settings.profile {
        profile = profile.profile_name(name);
    }
    let chain =
        RegionProviderChain::first_try(EnvironmentVariableRegionProvider::new()).or_else(profile.build());
    match chain.region().await {
        Some(region) => Ok(region.to_string()),
        None => metadata.region().await,
    }
}

async fn standard_chain(
    settings: &Valid,
    provider: ProviderConfig,
    region: &str,
    metadata: &Metadata,
) -> SharedCredentialsProvider {
    let mut builder = DefaultCredentialsChain::builder()
        .imds_client(metadata.client())
        .region(Region::new(region.to_owned()))
        .configure(provider);
    if let Some(name) = &settings.profile {
        builder = builder.profile_name(name);
    }
    SharedCredentialsProvider::new(builder.build().await)
}

/// Whether it is the instance metadata that failed to give credentials.
fn of_metadata(error: &CredentialsError) -> bool {
    causes(error).any(|cause| cause.is::<ImdsError>() || cause.to_string().contains("IMDS"))
}

/// Whether the security token service has said no: asked again, it would say the same. (Its errors are told
/// apart by the SDK's text, of which the code is a part.)
fn is_refusal(error: &CredentialsError) -> bool {
    const CODES: [&str; 9] = [
        "AccessDenied",
        "ExpiredToken",
        "IDPRejectedClaim",
        "InvalidClientTokenId",
        "InvalidIdentityToken",
        "PackedPolicyTooLarge",
        "RegionDisabled",
        "SignatureDoesNotMatch",
        "ValidationError",
    ];
    let said = causes(error).map(ToString::to_string);
    said.into_iter()
        .any(|text| CODES.iter().any(|code| text.contains(code)))
}

/// Time-outs for what a library insists on having time-outs for. The engine's own are shorter: it bounds
/// each call by what is left of the budget and by its patience with one attempt.
fn timeouts(budget: Duration) -> TimeoutConfig {
    let seconds = Duration::from_secs;
    let connect = (budget / 8).clamp(Duration::from_millis(500), seconds(3));
    let attempt = (budget / 2).clamp(seconds(1), seconds(10));
    TimeoutConfig::builder()
        .connect_timeout(connect)
        .read_timeout(attempt)
        .operation_attempt_timeout(attempt)
        .operation_timeout(attempt)
        .build()
}

/// A provider whose first credentials have been fetched already.
///
/// The SDK's cache lets each waiting call repeat a failed search for itself, one after the other; fetched
/// here, a metadata service that does not answer fails all target groups at once. Once the first have
/// expired, it is the provider's turn again.
#[derive(Debug)]
struct InHand {
    first: Mutex<Option<Credentials>>,
    provider: SharedCredentialsProvider,
}

impl InHand {
    async fn load(provider: SharedCredentialsProvider, metadata: &Metadata) -> Result<Self, Failure> {
        let deed = "has no AWS credentials";
        let first = match provider.provide_credentials().await {
            Ok(credentials) => credentials,
            Err(error) => {
                let failure = match &error {
                    // The end of the chain: nobody had any, so the instance's role is what is missing.
                    CredentialsError::CredentialsNotLoaded(_) => metadata.no_role().await,
                    error if of_metadata(error) => metadata.no_role().await,
                    // The SDK's words for it are for its programmers.
                    CredentialsError::InvalidConfiguration(_) if chain(&error).contains("cargo feature") => {
                        Failure::lasting(
                            deed,
                            "the profile wants a program (credential_process) or a person (SSO) to give them, which lb-drain does not ask",
                        )
                    }
                    error if is_refusal(error) => Failure::lasting(deed, chain(error)).advise(
                        "check what the role's trust policy allows, and the web identity's issuer, audience and age",
                    ),
                    CredentialsError::ProviderTimedOut(_) | CredentialsError::ProviderError(_) => {
                        Failure::passing(deed, chain(&error))
                    }
                    _ => Failure::lasting(deed, chain(&error)),
                };
                return Err(match failure.remedy {
                    Some(_) => failure,
                    None => failure.advise(
                        "attach an IAM role to the instance, or give the unit AWS_PROFILE or credentials in its environment",
                    ),
                });
            }
        };
        Ok(Self {
            first: Mutex::new(Some(first)),
            provider,
        })
    }
}

impl ProvideCredentials for InHand {
    fn provide_credentials<'a>(&'a self) -> Fetch<'a>
    where
        Self: 'a,
    {
        let first = self.first.lock().ok().and_then(|mut first| first.take());
        match first {
            Some(credentials) => Fetch::ready(Ok(credentials)),
            None => self.provider.provide_credentials(),
        }
    }
}
