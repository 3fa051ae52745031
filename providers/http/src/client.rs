//! Connections: over TCP, through a proxy, over a unix socket.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use hyper_util::client::proxy::matcher::Matcher;
use reqwest::redirect::Policy;
use reqwest::{Client, ClientBuilder, Url};

use crate::tls::Tls;

/// The longest time for name resolution, connecting and the TLS handshake together, at first: enough for one lost
/// SYN, and shorter than the engine's first attempt (`ATTEMPT`), so that a connection that never was does not look
/// like a request that was given up half way. It is shared out among the addresses of a name, so that a dead first
/// one leaves time for the second.
const CONNECT: Duration = Duration::from_millis(1800);
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

/// The clients for plain http, for all sections: what tells them apart is the way, the limit and the patience.
static PLAIN: Mutex<BTreeMap<(Route, Duration, Duration), Client>> = Mutex::new(BTreeMap::new());

/// The HTTP clients of one section, made when they are first needed.
#[derive(Debug)]
pub(crate) struct Clients {
    tls: Tls,
    limit: Duration,
    patience: Mutex<Duration>,
    /// Those that speak TLS, by the way and the patience: the section has its own authorities and certificates.
    secure: Mutex<BTreeMap<(Route, Duration), Client>>,
}

impl Clients {
    /// `limit` is for one whole request.
    pub(crate) fn new(tls: Tls, limit: Duration) -> Self {
        Self {
            tls,
            limit,
            patience: Mutex::new(CONNECT.min(longest(limit))),
            secure: Mutex::default(),
        }
    }

    /// After a connection that was not there in time: twice as long for the next, as the engine's attempts are,
    /// so that a slow resolver or handshake is waited for in the end.
    pub(crate) fn be_more_patient(&self) {
        let mut patience = self.patience.lock().unwrap_or_else(PoisonError::into_inner);
        *patience = (*patience * 2).min(longest(self.limit));
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
        // A proxy may be spoken to over TLS even where the server is not.
        let secure = |url: &Url| url.scheme() == "https";
        let https = secure(url) || (*route == Route::Proxy && proxy(url).is_some_and(|proxy| secure(&proxy)));
        let patience = *self.patience.lock().unwrap_or_else(PoisonError::into_inner);
        // A panic while a lock was held leaves a map of whole clients behind.
        if https {
            let mut secure = self.secure.lock().unwrap_or_else(PoisonError::into_inner);
            let make = || build(route, self.tls.config()?, self.limit, patience);
            return the_one(&mut secure, (route.clone(), patience), make);
        }
        let mut plain = PLAIN.lock().unwrap_or_else(PoisonError::into_inner);
        let make = || build(route, Tls::none()?, self.limit, patience);
        the_one(&mut plain, (route.clone(), self.limit, patience), make)
    }
}

/// The client of this key, made where there is none yet.
fn the_one<K: Ord>(
    made: &mut BTreeMap<K, Client>,
    key: K,
    make: impl FnOnce() -> Result<Client, String>,
) -> Result<Client, String> {
    match made.entry(key) {
        Entry::Occupied(there) => Ok(there.get().clone()),
        Entry::Vacant(place) => Ok(place.insert(make()?).clone()),
    }
}

fn build(
    route: &Route,
    tls: rustls::ClientConfig,
    limit: Duration,
    patience: Duration,
) -> Result<Client, String> {
    let builder = bare(limit, patience).tls_backend_preconfigured(tls);
    let builder = match route {
        Route::Direct => builder.no_proxy(),
        Route::Proxy => builder,
        Route::Unix(path) => builder.no_proxy().unix_socket(path.as_path()),
    };
    builder.build().map_err(|error| crate::failure::cause(&error))
}

/// A client for plain http, past every proxy.
pub(crate) fn plain(limit: Duration) -> reqwest::Result<Client> {
    let builder = bare(limit, limit).no_proxy();
    match Tls::none() {
        Ok(tls) => builder.tls_backend_preconfigured(tls).build(),
        // Ring's default cipher suites fit its default protocol versions, so this does not happen; and if
        // it did, reqwest would say what is wrong.
        Err(_) => builder.build(),
    }
}

/// Connecting ends before the request does: else a server that was never reached would count as one that did not
/// answer.
fn longest(limit: Duration) -> Duration {
    limit.mul_f64(0.8)
}

fn bare(limit: Duration, connect: Duration) -> ClientBuilder {
    Client::builder()
        .user_agent(concat!("lb-drain/", env!("CARGO_PKG_VERSION")))
        .redirect(Policy::none())
        .timeout(limit)
        .connect_timeout(connect)
        .pool_idle_timeout(KEEP)
}
