//! What AWS, or the way to it, answered instead of doing what was asked: sorted by what can be done.

use std::error::Error as StdError;
use std::time::Duration;

use aws_sdk_elasticloadbalancingv2::config::http::HttpResponse;
use aws_sdk_elasticloadbalancingv2::error::{ConnectorError, ProvideErrorMetadata, SdkError};
use lb_drain_api::Error;

/// Why something could not be asked of AWS, or was refused. Becomes an [`Error`] once the target group that
/// it concerns is known: one failure may be shared by many.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Failure {
    /// What follows from it.
    pub(crate) kind: Kind,
    /// What happened, to be read after the target group's name: `refused DescribeTargetHealth`.
    pub(crate) deed: String,
    /// The answer.
    pub(crate) why: String,
    /// What the operator can do.
    pub(crate) remedy: Option<String>,
    /// The least time to leave it be, where asking again is of use only then.
    pub(crate) wait: Option<Duration>,
}

/// What follows from a failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// The account's calls are limited, and the limit is reached. Passes.
    Throttled,
    /// It may pass.
    Passing,
    /// IAM does not allow the action.
    Denied,
    /// There is no such target group (any more).
    NoSuchGroup,
    /// The target does not exist (any more).
    InvalidTarget,
    /// The request itself is not accepted.
    Invalid,
    /// It will not pass by itself.
    Lasting,
}

impl Failure {
    /// A failure that may pass.
    pub(crate) fn passing(deed: impl Into<String>, why: impl Into<String>) -> Self {
        Self::new(Kind::Passing, deed, why)
    }

    /// A failure that will not pass by itself.
    pub(crate) fn lasting(deed: impl Into<String>, why: impl Into<String>) -> Self {
        Self::new(Kind::Lasting, deed, why)
    }

    pub(crate) fn new(kind: Kind, deed: impl Into<String>, why: impl Into<String>) -> Self {
        Self {
            kind,
            deed: deed.into(),
            why: why.into(),
            remedy: None,
            wait: None,
        }
    }

    /// Adds what the operator can do.
    pub(crate) fn advise(mut self, remedy: impl Into<String>) -> Self {
        self.remedy = Some(remedy.into());
        self
    }

    /// Adds the least time to leave it be.
    pub(crate) fn wait(mut self, wait: Duration) -> Self {
        self.wait = Some(wait);
        self
    }

    /// The error of one target group.
    pub(crate) fn of(self, group: &str) -> Error {
        let what = format!("aws-elbv2 {group} {}", self.deed);
        let error = match self.kind {
            Kind::Throttled | Kind::Passing => Error::temporary(what, self.why),
            _ => Error::permanent(what, self.why),
        };
        let error = match self.wait {
            Some(wait) => error.retry_after(wait),
            None => error,
        };
        match self.remedy {
            Some(remedy) => error.advise(remedy),
            None => error,
        }
    }

    /// What the SDK made of an `action`'s answer, or of its absence.
    pub(crate) fn from_sdk<E>(action: &'static str, scope: &str, error: &SdkError<E, HttpResponse>) -> Self
    where
        E: ProvideErrorMetadata + StdError + 'static,
    {
        match error {
            SdkError::ServiceError(answer) => {
                let status = answer.raw().status().as_u16();
                let code = answer.err().code().unwrap_or_default();
                let message = answer.err().message().unwrap_or_default();
                refused(action, scope, status, code, message)
            }
            SdkError::ResponseError(answer) => {
                let status = answer.raw().status().as_u16();
                misunderstood(action, &format!("HTTP status {status}, {}", chain(error)))
            }
            SdkError::TimeoutError(_) => late(action, error),
            SdkError::DispatchFailure(unsent) if unsent.is_timeout() => late(action, error),
            SdkError::DispatchFailure(_) => unsent(action, error),
            _ => Self::lasting(format!("could not send {action}"), chain(error)),
        }
    }
}

/// Sorts an error answer by its code: the API reference's "Common Errors" and each action's own.
fn refused(action: &str, scope: &str, status: u16, code: &str, message: &str) -> Failure {
    let why = match (code, brief(message)) {
        ("", text) if text.is_empty() => format!("HTTP status {status}"),
        ("", text) => format!("HTTP status {status}: {text}"),
        (code, text) if text.is_empty() => code.to_owned(),
        (code, text) => format!("{code}: {text}"),
    };
    let deed = format!("refused {action}");
    let (kind, remedy) = match code {
        "Throttling" | "ThrottlingException" | "ThrottledException" | "RequestThrottled"
        | "RequestThrottledException" | "RequestLimitExceeded" | "TooManyRequestsException" | "SlowDown"
        | "PriorRequestNotComplete" | "EC2ThrottledException" => (
            Kind::Throttled,
            "AWS limits the calls of an account in a region: raise TimeoutStopSec=, or stop fewer hosts at once"
                .to_owned(),
        ),
        "AccessDenied" | "AccessDeniedException" | "UnauthorizedOperation" | "NotAuthorized" => (
            Kind::Denied,
            format!("allow elasticloadbalancing:{action} on {scope} to the role of this host"),
        ),
        "ExpiredToken" | "ExpiredTokenException" => (
            Kind::Lasting,
            "renew the credentials; an instance role's renew themselves, those in variables or a profile do not"
                .to_owned(),
        ),
        "RequestExpired" | "SignatureDoesNotMatch" | "InvalidSignatureException" => (
            Kind::Lasting,
            "check this host's clock (timedatectl), then the secret access key".to_owned(),
        ),
        "InvalidClientTokenId" | "UnrecognizedClientException" | "InvalidAccessKeyId" | "AuthFailure"
        | "MissingAuthenticationToken" | "IncompleteSignature" => (
            Kind::Lasting,
            "check the access key: it is unknown, disabled, or of another AWS partition".to_owned(),
        ),
        "OptInRequired" | "SubscriptionRequired" => {
            (Kind::Lasting, "check that this region is enabled for the account".to_owned())
        }
        "TargetGroupNotFound" | "TargetGroupNotFoundException" => {
            (Kind::NoSuchGroup, "check `target_groups`, `region` and the account of the credentials".to_owned())
        }
        "InvalidTarget" | "InvalidTargetException" => {
            (Kind::InvalidTarget, "check `target_id` and the type of the target group".to_owned())
        }
        "ValidationError" | "InvalidParameterValue" | "InvalidParameterCombination" => {
            (Kind::Invalid, "check `target_groups`, `target_id` and `region`".to_owned())
        }
        // No error of this API: what answers is something else.
        "" if status < 400 => return misunderstood(action, &why),
        _ if status >= 500 || status == 429 || status == 408 => (Kind::Passing, String::new()),
        "" => (Kind::Lasting, ELSEWHERE.to_owned()),
        _ => (Kind::Lasting, String::new()),
    };
    let failure = Failure::new(kind, deed, why);
    if remedy.is_empty() {
        failure
    } else {
        failure.advise(remedy)
    }
}

/// What to do where something else than Elastic Load Balancing seems to answer.
const ELSEWHERE: &str = "check that `endpoint_url` and the proxy variables lead to Elastic Load Balancing";

/// What to do where nothing answers, or something that does not speak HTTP.
const UNREACHED: &str =
    "check that `endpoint_url`, the proxy variables, route and firewall let this host reach it";

/// An answer that is none of this API.
pub(crate) fn misunderstood(action: &str, why: &str) -> Failure {
    Failure::passing(format!("did not understand the answer to {action}"), why).advise(ELSEWHERE)
}

fn late(action: &str, error: &(dyn StdError + 'static)) -> Failure {
    Failure::passing(format!("got no answer to {action} in time"), chain(error)).advise(UNREACHED)
}

/// Sorts a request that never got an answer.
fn unsent(action: &str, error: &(dyn StdError + 'static)) -> Failure {
    let why = chain(error);
    if why.contains("certificate") {
        return Failure::lasting(format!("could not be asked for {action}"), why).advise(
            "set AWS_CA_BUNDLE to the authority that signs this endpoint, and check this host's clock",
        );
    }
    let user = causes(error)
        .filter_map(|cause| cause.downcast_ref::<ConnectorError>())
        .any(ConnectorError::is_user);
    let make = if user { Failure::lasting } else { Failure::passing };
    make(format!("could not be asked for {action}"), why).advise(UNREACHED)
}

/// An error and its causes in one line, without repetition: an outer error often quotes its source.
pub(crate) fn chain(error: &(dyn StdError + 'static)) -> String {
    let mut line = String::new();
    for text in causes(error).map(ToString::to_string) {
        // The SDK's own frames say less than their sources.
        let idle = [
            "dispatch failure",
            "service error",
            "client error (Connect)",
            "io error",
            "failed to load IMDS session token",
            "other",
        ];
        if idle.contains(&text.as_str()) || line.contains(&text) {
            continue;
        }
        if !line.is_empty() {
            line.push_str(": ");
        }
        line.push_str(&brief(&text));
    }
    if line.is_empty() { error.to_string() } else { line }
}

/// An error and its causes, outermost first.
pub(crate) fn causes<'a>(
    error: &'a (dyn StdError + 'static),
) -> impl Iterator<Item = &'a (dyn StdError + 'static)> {
    std::iter::successors(Some(error), |&error| error.source())
}

/// The part of a message that helps: one line, of bounded length, and never the canonical request that AWS
/// quotes for a wrong signature, because the session's token stands in it.
fn brief(message: &str) -> String {
    const LONGEST: usize = 300;
    let message = message.split("The Canonical String").next().unwrap_or_default();
    let mut line = message.split_whitespace().collect::<Vec<_>>().join(" ");
    if let Some((end, _)) = line.char_indices().nth(LONGEST) {
        line.truncate(end);
        line.push('…');
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;
    use lb_drain_api::Lifetime;

    fn answer(status: u16, code: &str) -> Failure {
        refused(
            "DescribeTargetHealth",
            r#""*""#,
            status,
            code,
            "some  text\nof AWS",
        )
    }

    #[test]
    fn both_names_of_throttling_pass() {
        for code in [
            "Throttling",
            "ThrottlingException",
            "RequestLimitExceeded",
            "TooManyRequestsException",
        ] {
            assert_eq!(answer(400, code).kind, Kind::Throttled, "{code}");
            let error = answer(400, code).of("web");
            assert_eq!(
                error.lifetime(),
                Lifetime::Temporary { retry_after: None },
                "{code}"
            );
        }
    }

    #[test]
    fn a_missing_permission_is_named_by_its_action() {
        let error = answer(403, "AccessDenied").of("web");
        assert_eq!(error.lifetime(), Lifetime::Permanent);
        assert_eq!(
            error.to_string(),
            "aws-elbv2 web refused DescribeTargetHealth: AccessDenied: some text of AWS; allow \
             elasticloadbalancing:DescribeTargetHealth on \"*\" to the role of this host"
        );
    }

    #[test]
    fn credentials_clock_and_group_last_and_are_told_what_to_do() {
        for (code, says) in [
            ("ExpiredToken", "renew the credentials"),
            ("SignatureDoesNotMatch", "clock"),
            ("RequestExpired", "clock"),
            ("InvalidClientTokenId", "access key"),
            ("TargetGroupNotFound", "`region`"),
            ("ValidationError", "`target_id`"),
        ] {
            let failure = answer(400, code);
            assert!(
                failure
                    .remedy
                    .as_deref()
                    .is_some_and(|remedy| remedy.contains(says)),
                "{code}"
            );
            assert_eq!(failure.of("web").lifetime(), Lifetime::Permanent, "{code}");
        }
    }

    #[test]
    fn a_server_in_trouble_passes_and_an_unknown_refusal_does_not() {
        assert_eq!(answer(503, "ServiceUnavailable").kind, Kind::Passing);
        assert_eq!(answer(500, "").kind, Kind::Passing);
        assert_eq!(answer(400, "SomethingNew").kind, Kind::Lasting);
    }

    #[test]
    fn the_quoted_request_of_a_wrong_signature_stays_out() {
        let message = "The request signature does not match. The Canonical String for this request should \
                       have been 'POST x-amz-security-token:hunter2'";
        let failure = refused("DeregisterTargets", "x", 403, "SignatureDoesNotMatch", message);
        assert!(!failure.of("web").to_string().contains("hunter2"));
        assert_eq!(brief(&"x".repeat(1000)).chars().count(), 301);
    }
}
