//! What a provider may know of this host.

use std::net::IpAddr;
use std::ops::Deref;
use std::sync::OnceLock;
use std::time::Duration;

/// This host and this run, as the command line and configuration describe them.
#[derive(Debug, Clone, Default)]
pub struct Host {
    /// Its name, as `hostname` prints it.
    pub hostname: String,
    /// Its addresses, without loopback.
    pub addresses: Addresses,
    /// The ports of the service that stops (`ports` in the configuration).
    pub ports: Vec<u16>,
    /// The systemd unit that stops, where it is known.
    pub unit: Option<String>,
    /// The whole budget of this run: an upper bound for time-outs that a library insists on having.
    pub budget: Duration,
}

/// Addresses that are found out when somebody first asks for them: most runs never do.
#[derive(Debug, Clone, Default)]
pub struct Addresses {
    find: Option<fn() -> Vec<IpAddr>>,
    found: OnceLock<Vec<IpAddr>>,
}

impl Addresses {
    /// Those that `find` will find.
    #[must_use]
    pub fn found_by(find: fn() -> Vec<IpAddr>) -> Self {
        Self {
            find: Some(find),
            found: OnceLock::new(),
        }
    }
}

impl From<Vec<IpAddr>> for Addresses {
    fn from(addresses: Vec<IpAddr>) -> Self {
        Self {
            find: None,
            found: addresses.into(),
        }
    }
}

impl Deref for Addresses {
    type Target = [IpAddr];

    fn deref(&self) -> &[IpAddr] {
        self.found
            .get_or_init(|| self.find.map_or_else(Vec::new, |find| find()))
    }
}
