//! What a failure means: whether it can pass, whether the request may have been carried out, what to do.

use std::error::Error as StdError;
use std::io;
use std::time::Duration;

use lb_drain_api::Error;
use lb_drain_api::duration::human;
use rustls::{AlertDescription, CertificateError};

use crate::answer::Answer;
use crate::call::Sent;

/// What to do about a server that is not there.
const UNREACHED: &str = "is it up, and do url, route and firewall lead there?";

/// The innermost reason of a failed request, in words and without its URL.
pub(crate) fn cause(error: &reqwest::Error) -> String {
    let mut innermost: &dyn StdError = error;
    while let Some(source) = innermost.source() {
        innermost = source;
    }
    let text = match innermost.downcast_ref::<reqwest::Error>() {
        // Its own words end with the URL, which may hold a secret.
        Some(error) if error.is_timeout() => "timed out".to_owned(),
        Some(_) => "the request could not be made".to_owned(),
        None => innermost.to_string(),
    };
    // "Connection refused (os error 111)"
    match text.split_once(" (os error") {
        Some((words, _)) => words.to_owned(),
        None => text,
    }
}

/// The error of a request that got no answer.
pub(crate) fn no_answer(sent: &Sent<'_>, error: &reqwest::Error) -> Error {
    if let Some(tls) = find::<rustls::Error>(error) {
        return tls_failure(sent, tls);
    }
    if error.is_connect() {
        return not_connected(sent, error);
    }
    if find::<hyper::Error>(error).is_some_and(hyper::Error::is_parse) {
        let advice = match sent.url.scheme() {
            "http" => "check the port, and whether it wants https",
            _ => "check the port",
        };
        return Error::permanent(
            format!(r#"http {} did not answer "{}" in HTTP"#, sent.origin, sent.line),
            cause(error),
        )
        .advise(advice);
    }
    let why = match error.is_timeout() {
        true => format!("nothing within {}", human(sent.limit)),
        false => cause(error),
    };
    in_doubt(
        sent,
        format!(r#"http {} did not answer "{}""#, sent.origin, sent.line),
        &why,
    )
}

/// A failure after which the request may or may not have been carried out.
fn in_doubt(sent: &Sent<'_>, what: String, why: &str) -> Error {
    if sent.repeatable {
        Error::temporary(what, why).advise("if this goes on, its own log says more")
    } else {
        Error::permanent(
            what,
            format!("{why}; it may have been carried out, so it is not sent again"),
        )
        .advise("if it can be repeated without harm, write repeat = true")
    }
}

/// The error of a second try where the first was given up half-way.
pub(crate) fn given_up(origin: &str, line: &str) -> Error {
    Error::permanent(
        format!(r#"http {origin} was sent "{line}" and did not answer in time"#),
        "it may have been carried out, so it is not sent again",
    )
    .advise("if it can be repeated without harm, write repeat = true")
}

fn not_connected(sent: &Sent<'_>, error: &reqwest::Error) -> Error {
    let what = format!(r#"http {} could not be reached for "{}""#, sent.origin, sent.line);
    if error.is_timeout() {
        return Error::temporary(what, "timed out before there was a connection").advise(UNREACHED);
    }
    let why = cause(error);
    let unix = sent.origin.starts_with("unix:");
    // The values of asm-generic/errno.h; io::ErrorKind tells these two apart from nothing else.
    const NO_SUCH_FAMILY: i32 = 97;
    match find::<io::Error>(error).map(|error| (error.kind(), error.raw_os_error())) {
        Some((io::ErrorKind::PermissionDenied, _)) if unix => {
            Error::permanent(what, why).advise("let the user of this run write to that socket")
        }
        Some((io::ErrorKind::PermissionDenied, _)) => Error::permanent(what, why)
            .advise("allow the address in IPAddressDeny= of the unit, or in the firewall"),
        Some((_, Some(NO_SUCH_FAMILY))) => {
            Error::permanent(what, why).advise("allow its family in RestrictAddressFamilies= of the unit")
        }
        Some((io::ErrorKind::NotFound, _)) if unix => Error::temporary(what, "there is no such socket")
            .advise("start what listens there, or correct the path"),
        _ => Error::temporary(what, why).advise(UNREACHED),
    }
}

fn tls_failure(sent: &Sent<'_>, error: &rustls::Error) -> Error {
    let what = format!(
        r#"http {} could not be asked "{}" over TLS"#,
        sent.origin, sent.line
    );
    let (why, advice) = tls_cause(error);
    let error = Error::permanent(what, why);
    match advice {
        Some(advice) => error.advise(advice),
        None => error,
    }
}

/// What a TLS failure means, and what to do. It does not pass by itself.
pub(crate) fn tls_cause(error: &rustls::Error) -> (String, Option<&'static str>) {
    use AlertDescription as Alert;
    use CertificateError as Certificate;
    match error {
        // A bad signature: its authority has the name of one that is trusted, but not its key.
        rustls::Error::InvalidCertificate(Certificate::UnknownIssuer | Certificate::BadSignature) => (
            "its certificate is signed by nobody whom this host trusts".to_owned(),
            Some("name the authority's certificate in ca_file"),
        ),
        rustls::Error::InvalidCertificate(Certificate::Expired | Certificate::ExpiredContext { .. }) => (
            "its certificate has expired".to_owned(),
            Some("renew it there (or set this host's clock)"),
        ),
        rustls::Error::InvalidCertificate(
            Certificate::NotValidYet | Certificate::NotValidYetContext { .. },
        ) => (
            "its certificate is not valid yet".to_owned(),
            Some("set this host's clock"),
        ),
        rustls::Error::InvalidCertificate(
            certificate @ (Certificate::NotValidForName | Certificate::NotValidForNameContext { .. }),
        ) => (
            format!("its certificate is for another name: {certificate}"),
            Some("write the name that the certificate has into url"),
        ),
        rustls::Error::InvalidCertificate(other) => {
            (format!("its certificate is not accepted: {other}"), None)
        }
        rustls::Error::AlertReceived(
            alert @ (Alert::CertificateRequired
            | Alert::BadCertificate
            | Alert::UnknownCA
            | Alert::DecryptError
            | Alert::HandshakeFailure
            | Alert::AccessDenied
            | Alert::CertificateUnknown
            | Alert::CertificateExpired),
        ) => (
            format!("it refused this host's certificate, or the lack of one ({alert:?})"),
            Some("name a certificate that it accepts in client_cert and client_key"),
        ),
        rustls::Error::InvalidMessage(_) => (
            "it does not speak TLS".to_owned(),
            Some("check the port, and whether it wants http"),
        ),
        other => (other.to_string(), None),
    }
}

/// The error of an answer whose status is neither expected nor `gone`.
pub(crate) fn refused(sent: &Sent<'_>, answer: &Answer, worth_retry: bool) -> Error {
    let status = answer.status.as_u16();
    let what = format!(r#"http {} refused "{}""#, sent.origin, sent.line);
    let quote = answer.beginning(|text| sent.secrets.hide(text));
    let why = match quote.is_empty() {
        true => answer.status.to_string(),
        false => format!(r#"{}: "{quote}""#, answer.status),
    };
    let wished = retry_after(answer);
    let error = match status {
        // Refused before it was looked at (RFC 6585, section 4), or so the configuration says; and a
        // server that names a time to come back has not carried it out either.
        _ if worth_retry || status == 429 || (status == 503 && wished.is_some()) => {
            Error::temporary(what, why)
        }
        502..=504 => in_doubt(sent, what, &why),
        _ => Error::permanent(what, why),
    };
    let error = match advice(status, sent.repeatable) {
        Some(advice) => error.advise(advice),
        None => error,
    };
    match (wished, error.lifetime()) {
        (Some(wait), lb_drain_api::Lifetime::Temporary { .. }) => error.retry_after(wait),
        _ => error,
    }
}

fn advice(status: u16, repeatable: bool) -> Option<&'static str> {
    match status {
        401 | 403 => {
            Some("check the credentials: headers, bearer, basic or client_cert, and what they permit")
        }
        404 | 410 => Some("check url; if this says that the host has left already, write it into gone"),
        405 => Some("check method and url"),
        407 => Some("check the proxy that the environment names"),
        409 | 412 => Some("if it passes by itself, write it into retry"),
        429 => Some("it is asked too often: raise TimeoutStopSec=, or stop fewer hosts at once"),
        502..=504 if !repeatable => Some("if it can be repeated without harm, write repeat = true"),
        500..=599 => Some("if this goes on, its own log says more"),
        _ => None,
    }
}

/// How long the server wants to be left alone (RFC 9110, section 10.2.3): seconds, or a date. A date is
/// counted from the answer's own `Date`, so that no clock of this host matters; without one it says nothing.
fn retry_after(answer: &Answer) -> Option<Duration> {
    let wish = answer.header("retry-after")?.trim();
    if let Ok(seconds) = wish.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let until = httpdate::parse_http_date(wish).ok()?;
    let now = httpdate::parse_http_date(answer.header("date")?).ok()?;
    // A date that has passed already: at once.
    Some(until.duration_since(now).unwrap_or_default())
}

/// The first error of this type among the causes. `io::Error` hides what it wraps from `source`.
fn find<'a, E: StdError + 'static>(error: &'a (dyn StdError + 'static)) -> Option<&'a E> {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(found) = error.downcast_ref::<E>() {
            return Some(found);
        }
        if let Some(inner) = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref)
            && let Some(found) = find::<E>(inner)
        {
            return Some(found);
        }
        next = error.source();
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wished(headers: &[(&'static str, &'static str)]) -> Option<Duration> {
        let mut answer = Answer::of(429, "");
        for (name, value) in headers {
            answer.headers.insert(*name, value.parse().expect("a value"));
        }
        retry_after(&answer)
    }

    #[test]
    fn a_wish_is_in_seconds_or_a_date_counted_from_the_answers_own() {
        assert_eq!(wished(&[("retry-after", "7")]), Some(Duration::from_secs(7)));
        let date = ("date", "Sun, 06 Nov 1994 08:49:37 GMT");
        let later = ("retry-after", "Sun, 06 Nov 1994 08:49:49 GMT");
        assert_eq!(wished(&[date, later]), Some(Duration::from_secs(12)));
        assert_eq!(
            wished(&[("date", "Sun, 06 Nov 1994 09:00:00 GMT"), later]),
            Some(Duration::ZERO)
        );
        assert_eq!(wished(&[later]), None);
        assert_eq!(wished(&[("retry-after", "soon")]), None);
    }
}
