//! What the instance knows of itself, from the instance metadata service, version 2.

use std::time::Duration;

use aws_config::imds;
use aws_config::imds::client::error::{ImdsError, TokenError};
use aws_config::provider_config::ProviderConfig;
use aws_sdk_elasticloadbalancingv2::config::http::HttpResponse;
use aws_sdk_elasticloadbalancingv2::error::SdkError;

use crate::failure::{Failure, chain};

/// The variable by which AWS's tools are told that there is no metadata service.
const DISABLED: &str = "AWS_EC2_METADATA_DISABLED";

/// What to do instead of attaching a role.
const GIVE: &str = "give the unit AWS_PROFILE or credentials in its environment";

/// The instance metadata service.
#[derive(Debug, Clone)]
pub(crate) struct Metadata {
    client: imds::Client,
}

impl Metadata {
    /// A client for `endpoint`, else for where the standard variables point, else for the link-local address.
    ///
    /// One attempt of at most a tenth of the budget and a second: the service is one hop away and answers in
    /// milliseconds or not at all, and the SDK's default of four attempts and 30 s is a budget of its own.
    pub(crate) fn new(
        provider: &ProviderConfig,
        endpoint: Option<&str>,
        budget: Duration,
    ) -> Result<Self, Failure> {
        let patience = (budget / 10).clamp(Duration::from_millis(250), Duration::from_secs(1));
        let mut builder = imds::Client::builder()
            .configure(provider)
            .max_attempts(1)
            .connect_timeout(patience)
            .read_timeout(patience)
            // A token and the value itself.
            .operation_attempt_timeout(patience * 2)
            .operation_timeout(patience * 2);
        if let Some(endpoint) = endpoint {
            builder = builder.endpoint(endpoint).map_err(|error| {
                Failure::lasting("has no usable metadata service", format!("{endpoint}: {error}"))
            })?;
        }
        Ok(Self {
            client: builder.build(),
        })
    }

    /// The client, for the SDK's own use: credentials of the instance's role.
    pub(crate) fn client(&self) -> imds::Client {
        self.client.clone()
    }

    /// The instance's id, such as `i-0123456789abcdef0`.
    pub(crate) async fn instance_id(&self) -> Result<String, Failure> {
        self.get(
            "/latest/meta-data/instance-id",
            "the instance's id",
            "set `target_id`",
        )
        .await
    }

    /// The instance's region, such as `eu-west-1`.
    pub(crate) async fn region(&self) -> Result<String, Failure> {
        self.get("/latest/meta-data/placement/region", "the region", "set `region`")
            .await
    }

    /// Why the instance's role gives no credentials, in the words of this crate: the SDK's chain swallows it.
    pub(crate) async fn no_role(&self) -> Failure {
        let failure = match self
            .get("/latest/meta-data/iam/security-credentials/", "a role", GIVE)
            .await
        {
            Ok(role) => Failure::passing("", format!("they give no credentials for role {role}")),
            Err(failure) if failure.why.ends_with("status 404") => {
                Failure::lasting("", "they tell of no role")
                    .advise(format!("attach an IAM role to the instance, or {GIVE}"))
            }
            Err(failure) => failure,
        };
        Failure {
            deed: "has no AWS credentials".to_owned(),
            why: format!(
                "none in environment, profile, web identity or container, and the instance metadata: {}",
                failure.why
            ),
            ..failure
        }
    }

    /// One value. `instead` is what to do where it cannot be had.
    async fn get(&self, path: &'static str, what: &str, instead: &str) -> Result<String, Failure> {
        let deed = format!("could not learn {what} from the instance metadata");
        if std::env::var(DISABLED).is_ok_and(|value| value.eq_ignore_ascii_case("true")) {
            return Err(Failure::lasting(deed, format!("{DISABLED} is set")).advise(instead));
        }
        match self.client.get(path).await {
            Ok(text) if text.as_ref().trim().is_empty() => {
                Err(Failure::passing(deed, "the answer is empty").advise(instead))
            }
            Ok(text) => Ok(text.as_ref().trim().to_owned()),
            Err(error) => Err(explain(deed, instead, &error)),
        }
    }
}

fn explain(deed: String, instead: &str, error: &ImdsError) -> Failure {
    let status = match error {
        ImdsError::ErrorResponse(answer) => Some(answer.response().status().as_u16()),
        ImdsError::FailedToLoadToken(_) => token_status(error),
        _ => None,
    };
    let asked_token = matches!(error, ImdsError::FailedToLoadToken(_));
    match status {
        Some(status) if status >= 500 || status == 429 => {
            Failure::passing(deed, format!("they answer with status {status}"))
        }
        Some(403) if asked_token => Failure::lasting(deed, "they are disabled (status 403)")
            .advise(format!("enable the instance's metadata endpoint, or {instead}")),
        Some(status) if asked_token => Failure::lasting(
            deed,
            format!("they give no IMDSv2 token (status {status}); version 1 is not spoken"),
        )
        .advise(format!("let `PUT /latest/api/token` through to them, or {instead}")),
        Some(status) => Failure::lasting(deed, format!("they answer with status {status}")).advise(instead),
        None => Failure::passing(deed, chain(error)).advise(format!(
            "{instead} where this is no EC2 instance; in a container raise the instance's metadata hop limit to 2"
        )),
    }
}

/// The status with which a token was refused.
fn token_status(error: &ImdsError) -> Option<u16> {
    let source = std::error::Error::source(error)?;
    let answer = source.downcast_ref::<SdkError<TokenError, HttpResponse>>()?;
    Some(answer.raw_response()?.status().as_u16())
}
