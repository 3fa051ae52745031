//! What kind of load balancer a target group belongs to, and how long its changes need to take effect.

use std::time::Duration;

/// The kind of load balancer that a target group can serve, told by the group's protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Application,
    Network,
    Gateway,
}

/// What a target group's deregistration delay is unless somebody changed it
/// (`deregistration_delay.timeout_seconds`).
pub(crate) const DEFAULT_DELAY: Duration = Duration::from_secs(300);

impl Kind {
    /// The kind that may have a target group of this protocol. A group of functions has none; it belongs to
    /// an application load balancer.
    pub(crate) fn of_protocol(protocol: &str) -> Self {
        match protocol {
            "TCP" | "TLS" | "UDP" | "TCP_UDP" | "QUIC" | "TCP_QUIC" => Self::Network,
            "GENEVE" => Self::Gateway,
            _ => Self::Application,
        }
    }

    /// How long new requests may still arrive after a deregistration.
    pub(crate) fn floor(self) -> Duration {
        match self {
            // Field reports tell of 10 to 60 s; nearly all of it passes within 15 s.
            Self::Application => Duration::from_secs(15),
            // New connections keep arriving for 60 to 180 s, whatever the delay or the state shown. A gateway
            // load balancer runs on the same data plane.
            Self::Network | Self::Gateway => Duration::from_secs(120),
        }
    }

    /// Whether a load balancer of this kind closes, when a target's deregistration delay is over, what is still
    /// open to it; by the attribute that network load balancers have for it.
    pub(crate) fn closes(self, attribute: Option<bool>) -> bool {
        match self {
            Self::Application => true,
            Self::Network => attribute.unwrap_or(false),
            // A flow stays with its appliance for as long as it lasts.
            Self::Gateway => false,
        }
    }

    /// Its name for people.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Application => "application",
            Self::Network => "network",
            Self::Gateway => "gateway",
        }
    }
}

/// Whether requests of this protocol are found among a host's TCP connections.
pub(crate) fn shows_in_tcp(protocol: &str) -> bool {
    !matches!(protocol, "UDP" | "TCP_UDP" | "QUIC" | "TCP_QUIC" | "GENEVE")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_protocol_tells_the_kind() {
        for (protocol, kind) in [
            ("HTTP", Kind::Application),
            ("HTTPS", Kind::Application),
            ("", Kind::Application),
            ("TCP", Kind::Network),
            ("TLS", Kind::Network),
            ("UDP", Kind::Network),
            ("TCP_UDP", Kind::Network),
            ("QUIC", Kind::Network),
            ("TCP_QUIC", Kind::Network),
            ("GENEVE", Kind::Gateway),
        ] {
            assert_eq!(Kind::of_protocol(protocol), kind, "{protocol}");
        }
    }
}
