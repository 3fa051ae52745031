//! Whether leaving would work: every template filled in, every server connected to, nothing sent.

use std::collections::BTreeSet;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::sync::Arc;
use std::time::Duration;

use lb_drain_api::{Finding, Severity};
use reqwest::Url;
use rustls::pki_types::ServerName;
use tokio::io::AsyncReadExt;
use tokio::net::{TcpStream, UnixStream};
use tokio::time::timeout;

use crate::call::{Call, Sent};
use crate::client::{Clients, Route, proxy};
use crate::failure::tls_cause;
use crate::source::Source;
use crate::values::{Captured, Facts};

/// How long a server has to refuse our certificate: with TLS 1.3 it does so after the handshake has ended
/// for us (RFC 8446, section 4.4.2.4).
const SECOND_THOUGHTS: Duration = Duration::from_millis(300);

/// Checks the requests of one verb, each after the others.
pub(crate) async fn requests<'a>(
    verb: &str,
    calls: impl Iterator<Item = &'a Call>,
    facts: &Facts,
    clients: &Clients,
    captured: &Captured,
    connected: &mut BTreeSet<String>,
) -> Vec<Finding> {
    let mut findings = Vec::new();
    for call in calls {
        let sent = match call.fill(facts, clients, captured).await {
            Ok(sent) => sent,
            Err(error) => {
                findings.push(problem(error.to_string(), format!("{verb} would fail")));
                continue;
            }
        };
        findings.push(finding(
            Severity::Fine,
            format!("{verb} sends {} to {}", sent.line, sent.origin),
            "all of its placeholders, files and variables are there".to_owned(),
        ));
        if sent.is_exposed() {
            findings.push(exposed(&sent));
        }
        if connected.insert(sent.origin.clone()) {
            findings.push(connect(&sent, clients).await);
        }
    }
    findings
}

/// What is said of a secret that travels in plain text.
pub(crate) fn exposed(sent: &Sent<'_>) -> Finding {
    Finding {
        remedy: Some("use https, or a unix socket".to_owned()),
        ..finding(
            Severity::Warning,
            format!("{} is plain http, and is sent a secret", sent.origin),
            "whoever is on the way can read it".to_owned(),
        )
    }
}

/// Secrets in files that everybody may read.
pub(crate) fn readable_by_all<'a>(sources: impl Iterator<Item = &'a Source>) -> Vec<Finding> {
    let open = |source: &Source| match source {
        Source::File(path) => {
            let mode = std::fs::metadata(path).ok()?.permissions().mode();
            (mode & 0o004 != 0).then(|| Finding {
                remedy: Some(format!("chmod o-r {}", path.display())),
                ..finding(
                    Severity::Warning,
                    format!("{} holds a secret and is readable by everybody", path.display()),
                    "any user of this host could use it".to_owned(),
                )
            })
        }
        _ => None,
    };
    sources.filter_map(open).collect()
}

async fn connect(sent: &Sent<'_>, clients: &Clients) -> Finding {
    let tried = timeout(sent.limit, try_connect(sent, clients)).await;
    match tried.unwrap_or_else(|_| Err(("nothing in time".to_owned(), None))) {
        Ok(how) => finding(
            Severity::Fine,
            format!("{} {how}", sent.origin),
            "nothing was sent; what its credentials permit shows only when they are used".to_owned(),
        ),
        Err((why, advice)) => Finding {
            remedy: advice.map(str::to_owned),
            ..problem(
                format!("{} cannot be reached: {why}", sent.origin),
                "requests to it would fail".to_owned(),
            )
        },
    }
}

type Tried = Result<String, (String, Option<&'static str>)>;

async fn try_connect(sent: &Sent<'_>, clients: &Clients) -> Tried {
    match sent.route() {
        Route::Unix(path) => match UnixStream::connect(path).await {
            Ok(_) => Ok("accepts connections".to_owned()),
            Err(error) => Err((words(&error), None)),
        },
        Route::Proxy => {
            let Some(proxy) = proxy(&sent.url) else {
                return Err(("the environment's proxy cannot be used".to_owned(), None));
            };
            tcp(&proxy).await?;
            let name = proxy.host_str().unwrap_or_default().to_owned();
            Ok(format!(
                "is reached through the proxy {name}, which accepts connections"
            ))
        }
        Route::Direct => {
            let stream = tcp(&sent.url).await?;
            if sent.url.scheme() != "https" {
                return Ok("accepts connections".to_owned());
            }
            shake_hands(&sent.url, stream, clients).await?;
            Ok("accepts TLS connections, and its certificate is right".to_owned())
        }
    }
}

/// Connects to the first address that answers.
async fn tcp(url: &Url) -> Result<TcpStream, (String, Option<&'static str>)> {
    let host = url.host_str().unwrap_or_default().trim_matches(['[', ']']);
    let port = url.port_or_known_default().unwrap_or_default();
    let addresses = tokio::net::lookup_host((host, port)).await;
    let addresses: Vec<_> = addresses.map_err(|error| (words(&error), None))?.collect();
    let mut last = ("its name has no address".to_owned(), None);
    for address in addresses {
        match TcpStream::connect(address).await {
            Ok(stream) => return Ok(stream),
            Err(error) => last = (format!("{address}: {}", words(&error)), None),
        }
    }
    Err(last)
}

async fn shake_hands(
    url: &Url,
    stream: TcpStream,
    clients: &Clients,
) -> Result<(), (String, Option<&'static str>)> {
    let plain = |why: String| (why, None);
    let config = clients.tls().config().map_err(plain)?;
    let host = url
        .host_str()
        .unwrap_or_default()
        .trim_matches(['[', ']'])
        .to_owned();
    let name = ServerName::try_from(host).map_err(|error| plain(error.to_string()))?;
    let connector = tokio_rustls::TlsConnector::from(Arc::new(config));
    let mut stream = connector
        .connect(name, stream)
        .await
        .map_err(|error| tls_words(&error))?;
    match timeout(SECOND_THOUGHTS, stream.read_u8()).await {
        Ok(Err(error)) => Err(tls_words(&error)),
        // Silence, or a server that speaks first: both have taken the handshake as it is.
        Ok(Ok(_)) | Err(_) => Ok(()),
    }
}

fn tls_words(error: &io::Error) -> (String, Option<&'static str>) {
    match error
        .get_ref()
        .and_then(|inner| inner.downcast_ref::<rustls::Error>())
    {
        Some(tls) => tls_cause(tls),
        None => (words(error), None),
    }
}

/// An error's words without its number.
fn words(error: &io::Error) -> String {
    let text = error.to_string();
    text.split(" (os error").next().unwrap_or(&text).to_owned()
}

pub(crate) fn finding(severity: Severity, what: String, why: String) -> Finding {
    Finding {
        severity,
        what,
        why,
        remedy: None,
    }
}

fn problem(what: String, why: String) -> Finding {
    finding(Severity::Problem, what, why)
}
