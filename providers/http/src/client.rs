//! Connections: over TCP, through a proxy, over a unix socket.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use hyper_util::client::proxy::matcher::Matcher;
use reqwest::redirect::Policy;
use reqwest::{Client, ClientBuilder, Url};

use crate::tls::Tls;

/// The longest time for name resolution, connecting and the TLS handshake together. It is shared out among
/// the addresses of a name, so that a dead first one leaves time for the second; 1.5 s are enough for one
/// lost SYN.
const CONNECT: Duration = Duration::from_secs(3);
/// How long a connection is kept for the next request. Servers close theirs after 5 s and more; one that is
/// closed just then would lose a request.
const KEEP: Duration = Duration::from_secs(2);

/// How a server is reached.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Route {
    /// Over TCP.
    Direct,
    /// Over the proxy that the environment names.
    Proxy,
    /// Over a unix socket.
    Unix(PathBuf),
}

impl Route {
    /// The way to a URL: through the environment's proxy, if it has one for this URL. A proxy is never
    /// asked for this host's own loopback.
    pub(crate) fn to(url: &Url, unix: Option<PathBuf>) -> Self {
        match unix {
            Some(path) => Self::Unix(path),
            None if !is_loopback(url) && proxy(url).is_some() => Self::Proxy,
            None => Self::Direct,
        }
    }
}

/// The proxy that the environment names for a URL, as `http://host:port/`, without its password.
pub(crate) fn proxy(url: &Url) -> Option<Url> {
    let destination = url.as_str().parse().ok()?;
    Url::parse(&Matcher::from_env().intercept(&destination)?.uri().to_string()).ok()
}

/// Whether a URL names this host's loopback.
pub(crate) fn is_loopback(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default().trim_matches(['[', ']']);
    host == "localhost" || host.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

/// The HTTP clients of one section, made when they are first needed.
#[derive(Debug)]
pub(crate) struct Clients {
    tls: Tls,
    limit: Duration,
    made: Mutex<BTreeMap<(Route, bool), Client>>,
}

impl Clients {
    /// `limit` is for one whole request.
    pub(crate) fn new(tls: Tls, limit: Duration) -> Self {
        Self {
            tls,
            limit,
            made: Mutex::default(),
        }
    }

    /// The longest time for one whole request.
    pub(crate) fn limit(&self) -> Duration {
        self.limit
    }

    pub(crate) fn tls(&self) -> &Tls {
        &self.tls
    }

    /// The client for a URL.
    ///
    /// # Errors
    ///
    /// A sentence: what is wrong with the files that TLS needs.
    pub(crate) fn get(&self, route: &Route, url: &Url) -> Result<Client, String> {
        let https = url.scheme() == "https";
        let key = (route.clone(), https);
        // A panic while the lock was held leaves a map of whole clients behind.
        let mut made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(client) = made.get(&key) {
            return Ok(client.clone());
        }
        let tls = if https { self.tls.config()? } else { Tls::none()? };
        let builder = bare(self.limit).tls_backend_preconfigured(tls);
        let builder = match route {
            Route::Direct => builder.no_proxy(),
            Route::Proxy => builder,
            Route::Unix(path) => builder.no_proxy().unix_socket(path.as_path()),
        };
        let client = builder.build().map_err(|error| crate::failure::cause(&error))?;
        made.insert(key, client.clone());
        Ok(client)
    }
}

/// A client for plain http, past every proxy.
pub(crate) fn plain(limit: Duration) -> reqwest::Result<Client> {
    let builder = bare(limit).no_proxy();
    match Tls::none() {
        Ok(tls) => builder.tls_backend_preconfigured(tls).build(),
        // Ring's default cipher suites fit its default protocol versions, so this does not happen; and if
        // it did, reqwest would say what is wrong.
        Err(_) => builder.build(),
    }
}

fn bare(limit: Duration) -> ClientBuilder {
    Client::builder()
        .user_agent(concat!("lb-drain/", env!("CARGO_PKG_VERSION")))
        .redirect(Policy::none())
        .timeout(limit)
        .connect_timeout(CONNECT.min(limit))
        .pool_idle_timeout(KEEP)
}
