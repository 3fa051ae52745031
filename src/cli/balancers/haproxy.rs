//! Options for HAProxy.

use clap::Args;
use lb_drain_haproxy::Settings;

use super::HEADING;

/// `--haproxy…`.
#[derive(Debug, Args)]
pub struct HaproxyFlags {
    /// HAProxy runtime sockets: paths or tcp://HOST:PORT
    #[arg(
        long,
        help_heading = HEADING,
        value_name = "SOCKET",
        num_args = 1..,
        value_delimiter = ',',
        env = "LB_DRAIN_HAPROXY"
    )]
    pub haproxy: Vec<String>,

    /// Entries of this host there
    #[arg(
        long = "haproxy-server",
        help_heading = HEADING,
        value_name = "BACKEND/SERVER",
        num_args = 1..,
        value_delimiter = ',',
        env = "LB_DRAIN_HAPROXY_SERVER",
        requires = "haproxy"
    )]
    servers: Vec<String>,
}

impl HaproxyFlags {
    /// The provider's settings, if options give any.
    #[must_use]
    pub fn settings(&self) -> Option<Settings> {
        (!self.haproxy.is_empty()).then(|| Settings {
            sockets: self.haproxy.clone(),
            servers: self.servers.clone(),
            ..Settings::default()
        })
    }
}
