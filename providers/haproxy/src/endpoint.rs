//! Where a runtime API socket is.

use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;

use lb_drain_api::Addresses;

/// The address of one runtime API socket, shown as it was configured.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Endpoint {
    text: String,
    address: Address,
}

/// The two kinds of socket that `stats socket` offers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Address {
    /// `stats socket /run/haproxy/admin.sock`.
    Unix(PathBuf),
    /// `stats socket ipv4@10.0.0.5:9999`.
    Ip(SocketAddr),
    /// The same, by name: looked up at each connection.
    Name(String, u16),
}

impl Endpoint {
    /// Reads `/run/haproxy/admin.sock` or `tcp://10.0.0.5:9999`; the host may be a name or `[::1]`.
    ///
    /// # Errors
    ///
    /// A sentence that says what to write instead.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let address = match text.strip_prefix("tcp://") {
            Some(rest) => tcp(rest),
            None if text.starts_with('/') => Some(Address::Unix(PathBuf::from(text))),
            None => None,
        };
        let address = address.ok_or_else(|| {
            format!(
                r#""{text}" is not a runtime API socket; write a path such as "/run/haproxy/admin.sock" or an address such as "tcp://10.0.0.5:9999""#
            )
        })?;
        Ok(Self {
            text: text.to_owned(),
            address,
        })
    }

    /// Where to connect to.
    pub(crate) fn address(&self) -> &Address {
        &self.address
    }

    /// Whether HAProxy runs on this host, as far as the address tells: only then is its `127.0.0.1` ours.
    pub(crate) fn is_local(&self, own: &Addresses) -> bool {
        match &self.address {
            Address::Unix(_) => true,
            Address::Ip(address) => {
                let ip = address.ip().to_canonical();
                ip.is_loopback() || own.contains(&ip)
            }
            Address::Name(name, _) => name == "localhost",
        }
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

fn tcp(rest: &str) -> Option<Address> {
    if let Ok(address) = rest.parse() {
        return Some(Address::Ip(address));
    }
    let (host, port) = rest.rsplit_once(':')?;
    let port = port.parse().ok().filter(|&port| port != 0)?;
    let named = !host.is_empty()
        && host
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b"-._".contains(&b));
    named.then(|| Address::Name(host.to_owned(), port))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> Address {
        Endpoint::parse(text).expect("reads").address
    }

    #[test]
    fn a_path_is_a_unix_socket() {
        assert_eq!(
            address("/run/haproxy/admin.sock"),
            Address::Unix("/run/haproxy/admin.sock".into())
        );
    }

    #[test]
    fn tcp_takes_addresses_of_both_families_and_names() {
        assert_eq!(
            address("tcp://10.0.0.5:9999"),
            Address::Ip("10.0.0.5:9999".parse().expect("address"))
        );
        assert_eq!(
            address("tcp://[::1]:9999"),
            Address::Ip("[::1]:9999".parse().expect("address"))
        );
        assert_eq!(
            address("tcp://lb-1.example:9999"),
            Address::Name("lb-1.example".into(), 9999)
        );
    }

    #[test]
    fn is_shown_as_configured() {
        for text in ["/run/haproxy/admin.sock", "tcp://[::1]:9999", "tcp://lb-1:9999"] {
            assert_eq!(Endpoint::parse(text).expect("reads").to_string(), text);
        }
    }

    #[test]
    fn anything_else_is_told_what_to_write() {
        for text in [
            "",
            "admin.sock",
            "./admin.sock",
            "http://10.0.0.5:9999",
            "tcp://10.0.0.5",
            "tcp://:9999",
            "tcp://10.0.0.5:0x9",
            "tcp://::1:9999",
            "tcp://user@host:9999",
            "tcp://host:0",
            "10.0.0.5:9999",
        ] {
            let error = Endpoint::parse(text).expect_err(text);
            assert!(error.contains(r#""tcp://10.0.0.5:9999""#), "{text}: {error}");
        }
    }

    #[test]
    fn only_a_local_haproxy_means_us_by_loopback() {
        let own = Addresses::from(vec!["10.0.0.7".parse().expect("address")]);
        let local = |text: &str| Endpoint::parse(text).expect("reads").is_local(&own);
        assert!(local("/run/haproxy/admin.sock"));
        assert!(local("tcp://127.0.0.1:9999"));
        assert!(local("tcp://[::1]:9999"));
        assert!(local("tcp://10.0.0.7:9999"));
        assert!(local("tcp://localhost:9999"));
        assert!(!local("tcp://10.0.0.5:9999"));
        assert!(!local("tcp://lb-1:9999"));
    }
}
