//! What a provider may know of this host.

use std::net::IpAddr;
use std::time::Duration;

/// This host and this run, as the command line and configuration describe them.
#[derive(Debug, Clone, Default)]
pub struct Host {
    /// Its name, as `hostname` prints it.
    pub hostname: String,
    /// Its addresses, without loopback.
    pub addresses: Vec<IpAddr>,
    /// The ports of the service that stops (`ports` in the configuration).
    pub ports: Vec<u16>,
    /// The systemd unit that stops, where it is known.
    pub unit: Option<String>,
    /// The whole budget of this run: an upper bound for time-outs that a library insists on having.
    pub budget: Duration,
}
