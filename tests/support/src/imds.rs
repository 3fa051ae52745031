//! A strict EC2 instance metadata service, version 2.
//!
//! Source: the EC2 user guide, "Use IMDS" and "Instance metadata categories". A session begins with
//! `PUT /latest/api/token`, which must carry `X-aws-ec2-metadata-token-ttl-seconds` (1 to 21600); the answer
//! repeats that header, which other fakes forget. Each `GET` must carry the token, else it is answered 401.

use std::future::pending;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use hyper::Method;

use crate::server::{Answer, Asked, ENDLESS, Server};

/// The instance that the service tells of.
pub const INSTANCE_ID: &str = "i-0123456789abcdef0";
/// Its region.
pub const REGION: &str = "eu-west-1";
/// The access key of its role.
pub const ACCESS_KEY: &str = "ASIAFAKEROLE";

const TOKEN: &str = "fake-metadata-token";
const TTL: &str = "x-aws-ec2-metadata-token-ttl-seconds";

/// How the service behaves. (Absent is a port on which nothing listens: [`Imds::absent`].)
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// As documented.
    Strict,
    /// As documented, each answer this much later.
    Slow(Duration),
    /// Accepts and never answers: the token's answer does not survive the hop limit, as in a container.
    Silent,
    /// Answers any GET without a token and knows no tokens: some emulators, and proxies for old clients.
    Version1,
    /// As documented, except that the instance's id never ends.
    Endless,
    /// Switched off: each token request is answered 403.
    Disabled,
    /// As documented, for an instance without a role.
    NoRole,
}

/// The running service.
#[derive(Debug)]
pub struct Imds {
    server: Server,
    mode: Arc<Mutex<Mode>>,
    requests: Arc<AtomicUsize>,
}

impl Imds {
    /// Starts it on a free port of the loopback.
    ///
    /// # Panics
    ///
    /// Where no port can be bound.
    #[must_use]
    pub fn start(mode: Mode) -> Self {
        let mode = Arc::new(Mutex::new(mode));
        let requests = Arc::new(AtomicUsize::new(0));
        let state = (Arc::clone(&mode), Arc::clone(&requests));
        let server = Server::start((Ipv4Addr::LOCALHOST, 0).into(), None, move |asked| {
            let (mode, requests) = state.clone();
            async move {
                requests.fetch_add(1, Ordering::SeqCst);
                let mode = *mode.lock().unwrap_or_else(PoisonError::into_inner);
                match mode {
                    Mode::Silent => pending().await,
                    Mode::Slow(by) => tokio::time::sleep(by).await,
                    _ => {}
                }
                Some(answer(mode, &asked))
            }
        });
        Self {
            server: server.expect("a free port on the loopback"),
            mode,
            requests,
        }
    }

    /// Where nothing listens.
    ///
    /// # Panics
    ///
    /// Where no port can be bound.
    #[must_use]
    pub fn absent() -> String {
        // A port that was free a moment ago; the system hands out others before it comes back to it.
        let listener = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
        format!("http://{}", listener.local_addr().expect("bound"))
    }

    /// Where it answers, for `AWS_EC2_METADATA_SERVICE_ENDPOINT`.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.address())
    }

    /// Its address.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.server.address()
    }

    /// Changes how it behaves from now on.
    pub fn set(&self, mode: Mode) {
        *self.mode.lock().unwrap_or_else(PoisonError::into_inner) = mode;
    }

    /// How many requests there were.
    #[must_use]
    pub fn requests(&self) -> usize {
        self.requests.load(Ordering::SeqCst)
    }
}

fn answer(mode: Mode, asked: &Asked) -> Answer {
    let header = |name: &str| asked.headers.get(name).and_then(|value| value.to_str().ok());
    if asked.path == "/latest/api/token" {
        return match mode {
            Mode::Version1 => Answer::new(404, "Not Found"),
            Mode::Disabled => Answer::new(403, "Forbidden"),
            _ if asked.method != Method::PUT => Answer::new(405, "Method Not Allowed"),
            _ => match header(TTL).and_then(|ttl| ttl.parse::<u32>().ok()) {
                Some(ttl @ 1..=21_600) => Answer::new(200, TOKEN).with(TTL, ttl.to_string()),
                _ => Answer::new(400, "Bad Request"),
            },
        };
    }
    if asked.method != Method::GET {
        return Answer::new(405, "Method Not Allowed");
    }
    if mode != Mode::Version1 && header("x-aws-ec2-metadata-token") != Some(TOKEN) {
        return Answer::new(401, "Unauthorized");
    }
    const ROLES: &str = "/latest/meta-data/iam/security-credentials/";
    match (asked.path.as_str(), mode) {
        ("/latest/meta-data/instance-id", Mode::Endless) => Answer::new(200, "i".repeat(ENDLESS)),
        ("/latest/meta-data/instance-id", _) => Answer::new(200, INSTANCE_ID),
        ("/latest/meta-data/placement/region", _) => Answer::new(200, REGION),
        ("/latest/meta-data/placement/availability-zone", _) => Answer::new(200, format!("{REGION}a")),
        ("/latest/dynamic/instance-identity/document", _) => Answer::new(200, document()),
        (path, mode) if mode != Mode::NoRole && path == ROLES => Answer::new(200, "web"),
        (path, mode) if mode != Mode::NoRole && path.strip_prefix(ROLES) == Some("web") => {
            Answer::new(200, role())
        }
        _ => Answer::new(404, "Not Found"),
    }
}

fn document() -> String {
    serde_json::json!({
        "version": "2017-09-30",
        "instanceId": INSTANCE_ID,
        "region": REGION,
        "availabilityZone": format!("{REGION}a"),
        "accountId": "123456789012",
        "privateIp": "10.0.0.7",
    })
    .to_string()
}

fn role() -> String {
    serde_json::json!({
        "Code": "Success",
        "LastUpdated": "2020-01-01T00:00:00Z",
        "Type": "AWS-HMAC",
        "AccessKeyId": ACCESS_KEY,
        "SecretAccessKey": "fake-role-secret",
        "Token": "fake-role-session-token",
        // Far away: a test must not depend on the year it runs in.
        "Expiration": "2199-01-01T00:00:00Z",
    })
    .to_string()
}
