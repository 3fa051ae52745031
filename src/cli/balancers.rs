//! Load balancers given on the command line, for use without a file.

use clap::Args;

/// Options that describe load balancers.
#[derive(Debug, Args)]
#[command(next_help_heading = "Load balancers, instead of a file")]
pub struct BalancerFlags {
    /// HAProxy runtime sockets: paths or tcp://HOST:PORT
    #[cfg(feature = "haproxy")]
    #[arg(long, value_name = "SOCKET", num_args = 1.., value_delimiter = ',', env = "LB_DRAIN_HAPROXY")]
    pub haproxy: Vec<String>,

    /// Entries of this host there
    #[cfg(feature = "haproxy")]
    #[arg(long, value_name = "BACKEND/SERVER", num_args = 1.., value_delimiter = ',', env = "LB_DRAIN_HAPROXY_SERVER", requires = "haproxy")]
    pub haproxy_server: Vec<String>,
}
