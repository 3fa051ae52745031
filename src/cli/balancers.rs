//! Load balancers given on the command line, for use without a file.

use clap::Args;

/// Set on each option: a heading set on the group would go on to the options after it.
const HEADING: &str = "Load balancers, instead of a file";

/// Options that describe load balancers.
#[derive(Debug, Args)]
pub struct BalancerFlags {
    /// HAProxy runtime sockets: paths or tcp://HOST:PORT
    #[cfg(feature = "haproxy")]
    #[arg(long, help_heading = HEADING, value_name = "SOCKET", num_args = 1.., value_delimiter = ',', env = "LB_DRAIN_HAPROXY")]
    pub haproxy: Vec<String>,

    /// Entries of this host there
    #[cfg(feature = "haproxy")]
    #[arg(long, help_heading = HEADING, value_name = "BACKEND/SERVER", num_args = 1.., value_delimiter = ',', env = "LB_DRAIN_HAPROXY_SERVER", requires = "haproxy")]
    pub haproxy_server: Vec<String>,
}
