//! Where requests go.

use std::fmt;
use std::sync::Arc;

use http_body_util::Empty;
use hyper::body::Bytes;
use hyper::http::uri::PathAndQuery;
use hyper::http::{HeaderName, HeaderValue, Request, Uri, header};
use hyper::{HeaderMap, Version};
use tokio_rustls::rustls::ClientConfig;
use tokio_rustls::rustls::pki_types::ServerName;

use super::PADDING;

/// The highest rate. More is a load test, which is another thing, and harms a production host.
pub const MOST_A_SECOND: u32 = 1000;

/// The header that makes a request large.
const MARK: HeaderName = HeaderName::from_static("x-lb-drain-rehearse");

/// So many different values of that header there are.
const VARIETY: usize = 1024;

/// The URLs that are asked for in turn, all at one place, and how.
#[derive(Clone)]
pub struct Aim {
    pub(super) host: String,
    pub(super) port: u16,
    pub(super) tls: Option<(ServerName<'static>, Arc<ClientConfig>)>,
    paths: Vec<PathAndQuery>,
    headers: HeaderMap,
    /// Each request gets another part of it: what repeats is sent as a number in HTTP/2.
    noise: String,
    scheme: &'static str,
}

impl Aim {
    /// Reads URLs and headers. The system's certificates are read for `https` alone.
    ///
    /// # Errors
    ///
    /// A sentence that says what to write instead, without a secret.
    pub fn new(urls: &[String], headers: &[String]) -> Result<Self, String> {
        let mut place: Option<(bool, String, u16)> = None;
        let mut paths = Vec::new();
        let mut authority = String::new();
        for url in urls {
            let (uri, secure) = parse(url)?;
            let host = uri.host().unwrap_or_default().trim_matches(['[', ']']).to_owned();
            let here = (
                secure,
                host,
                uri.port_u16().unwrap_or(if secure { 443 } else { 80 }),
            );
            if place.as_ref().is_some_and(|place| *place != here) {
                return Err(format!(
                    "{} is at another place than the URL before; rehearse one place at a time",
                    shown(url)
                ));
            }
            place = Some(here);
            authority = uri.authority().map(ToString::to_string).unwrap_or_default();
            paths.push(
                uri.path_and_query()
                    .cloned()
                    .unwrap_or(PathAndQuery::from_static("/")),
            );
        }
        let (secure, host, port) = place.ok_or("no URL is given")?;
        let tls = if secure {
            let name = ServerName::try_from(host.clone()).map_err(|error| format!("{host}: {error}"))?;
            Some((name, lb_drain_http::system_tls()?))
        } else {
            None
        };
        Ok(Self {
            headers: with_ours(&authority, headers)?,
            noise: std::iter::repeat_with(fastrand::alphanumeric)
                .take(PADDING + VARIETY)
                .collect(),
            host,
            port,
            tls,
            paths,
            scheme: if secure { "https" } else { "http" },
        })
    }

    /// The request of this number.
    pub(super) fn request(&self, number: usize, last_on_its_connection: bool) -> Request<Empty<Bytes>> {
        let mut request = Request::new(Empty::new());
        // Each round begins one further on, so that no URL keeps step with a load balancer's own turns.
        let turn = number + number / self.paths.len();
        *request.uri_mut() = Uri::from(self.paths[turn % self.paths.len()].clone());
        *request.version_mut() = Version::HTTP_11;
        *request.headers_mut() = self.headers.clone();
        let from = number % VARIETY;
        if let Ok(padding) = HeaderValue::from_str(&self.noise[from..from + PADDING]) {
            request.headers_mut().insert(MARK, padding);
        }
        if last_on_its_connection {
            let close = HeaderValue::from_static("close");
            request.headers_mut().insert(header::CONNECTION, close);
        }
        request
    }
}

/// The first URL without its query, which may hold what is nobody's business, as headers may.
impl fmt::Display for Aim {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let host = self.headers.get(header::HOST).and_then(|host| host.to_str().ok());
        let path = self.paths.first().map_or("/", PathAndQuery::path);
        write!(f, "{}://{}{path}", self.scheme, host.unwrap_or(&self.host))?;
        match self.paths.len() {
            0 | 1 => Ok(()),
            more => write!(f, " and {} more", more - 1),
        }
    }
}

impl fmt::Debug for Aim {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Aim({self})")
    }
}

fn parse(url: &str) -> Result<(Uri, bool), String> {
    let uri: Uri = url.parse().map_err(|error| format!("{}: {error}", shown(url)))?;
    let secure = match uri.scheme_str() {
        Some("http") => false,
        Some("https") => true,
        _ => {
            return Err(format!(
                r#"{} is no URL to send requests to; write one like "https://staging.example/""#,
                shown(url)
            ));
        }
    };
    if uri
        .authority()
        .is_some_and(|authority| authority.as_str().contains('@'))
    {
        return Err(
            "a URL with a password in it would be shown; write --header \"Authorization: …\"".to_owned(),
        );
    }
    Ok((uri, secure))
}

/// What of a URL is nobody's secret: scheme, host and path.
fn shown(url: &str) -> String {
    let (scheme, rest) = url.split_once("://").unwrap_or(("", url));
    // A password may hold what else would end the host.
    let rest = rest.rsplit_once('@').map_or(rest, |(_, rest)| rest);
    let rest = rest.split(['?', '#']).next().unwrap_or_default();
    match scheme {
        "" => rest.to_owned(),
        scheme => format!("{scheme}://{rest}"),
    }
}

fn with_ours(authority: &str, given: &[String]) -> Result<HeaderMap, String> {
    let value = |text: &str| HeaderValue::from_str(text).map_err(|error| format!("{text}: {error}"));
    let mut headers = HeaderMap::new();
    headers.insert(header::HOST, value(authority)?);
    headers.insert(header::USER_AGENT, HeaderValue::from_static("lb-drain-rehearse"));
    headers.insert(header::ACCEPT, HeaderValue::from_static("*/*"));
    for (name, value) in given
        .iter()
        .map(|text| header(text))
        .collect::<Result<Vec<_>, _>>()?
    {
        headers.insert(name, value);
    }
    Ok(headers)
}

/// Reads `NAME: VALUE`. No error quotes it: either part may be the secret, where the other was forgotten.
fn header(text: &str) -> Result<(HeaderName, HeaderValue), String> {
    let (name, value) = text.split_once(':').ok_or_else(|| {
        r#"a header has a name and a value; write one like "Authorization: Bearer …""#.to_owned()
    })?;
    let name = HeaderName::from_bytes(name.trim().as_bytes())
        .map_err(|error| format!(r#"{error}; write one like "Authorization: Bearer …""#))?;
    let mut value = HeaderValue::from_str(value.trim()).map_err(|error| format!("{name}: {error}"))?;
    value.set_sensitive(true);
    Ok((name, value))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn aim(urls: &[&str]) -> Result<Aim, String> {
        let urls: Vec<String> = urls.iter().map(|url| (*url).to_owned()).collect();
        Aim::new(&urls, &[])
    }

    #[test]
    fn the_query_and_headers_are_not_shown() {
        let secret = "Authorization: Bearer s3cret".to_owned();
        let aim = Aim::new(&["http://[::1]:8080/a?key=s3cret".to_owned()], &[secret]).expect("an aim");
        assert_eq!(
            format!("{aim} {aim:?}"),
            "http://[::1]:8080/a Aim(http://[::1]:8080/a)"
        );
        assert_eq!((aim.host.as_str(), aim.port), ("::1", 8080));
        assert!(aim.request(0, true).headers().contains_key("authorization"));
    }

    #[test]
    fn urls_are_asked_for_in_turn() {
        let aim = aim(&["http://a/1", "http://a/2"]).expect("an aim");
        let paths: Vec<String> = (0..4).map(|n| aim.request(n, false).uri().to_string()).collect();
        assert_eq!(paths, ["/1", "/2", "/2", "/1"]);
        assert_eq!(aim.to_string(), "http://a/1 and 1 more");
    }

    #[test]
    fn what_cannot_be_asked_is_told_what_to_write() {
        for (urls, says) in [
            (&["staging.example"][..], "write one like"),
            (&["ftp://staging.example/"], "write one like"),
            (&["http://u:p@staging.example/"], "--header"),
            (&["http://a/", "http://b/"], "one place"),
            (&["http://a/", "https://a/"], "one place"),
        ] {
            let error = aim(urls).expect_err("not meant");
            assert!(error.contains(says), "{error}");
        }
    }

    #[test]
    fn no_error_quotes_a_secret() {
        for (urls, headers) in [
            (&["https://me:s3cret@staging.example/"][..], &[][..]),
            (&["https://me:s3cr?et@staging.example/ /"], &[]),
            (&["https://staging.example/a b?key=s3cret"], &[]),
            (&["staging.example/?key=s3cret"], &[]),
            (&["ftp://me:s3cret@staging.example/"], &[]),
            (&["http://a/", "http://b/?key=s3cret"], &[]),
            (&["http://a/"], &["Authorization s3cret"]),
            (&["http://a/"], &["s3 cret: Authorization"]),
            (&["http://a/"], &["Authorization: s3cret\n"]),
            (&["http://a/"], &["Authorization: s3\ncret"]),
        ] {
            let own = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>();
            let Err(error) = Aim::new(&own(urls), &own(headers)) else {
                assert!(
                    headers[0].ends_with('\n'),
                    "white space around a value is none of it"
                );
                continue;
            };
            assert!(!error.contains("s3"), "{error}");
        }
    }
}
