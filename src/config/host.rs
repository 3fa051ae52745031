//! This host, as providers may know it.

use std::net::IpAddr;
use std::time::Duration;

use lb_drain_api::{Addresses, Host};

/// What is known of this host without asking anybody.
pub(super) fn host(ports: Vec<u16>, unit: Option<String>, budget: Duration) -> Host {
    Host {
        hostname: rustix::system::uname().nodename().to_string_lossy().into_owned(),
        addresses: Addresses::found_by(addresses),
        ports,
        unit,
        budget,
    }
}

/// This host's addresses, without loopback: from the kernel's routing tables as text, which needs neither
/// privilege nor AF_NETLINK (a unit's `RestrictAddressFamilies=` may forbid it), nor more of `/proc` than
/// `ProcSubset=pid` shows.
fn addresses() -> Vec<IpAddr> {
    let v4 = std::fs::read_to_string("/proc/self/net/fib_trie").unwrap_or_default();
    let v6 = std::fs::read_to_string("/proc/self/net/if_inet6").unwrap_or_default();
    let mut addresses: Vec<IpAddr> = local_v4(&v4)
        .into_iter()
        .chain(local_v6(&v6))
        .filter(|ip| !ip.is_loopback())
        .collect();
    addresses.sort();
    addresses.dedup();
    addresses
}

/// The addresses of `/proc/self/net/fib_trie`: a line `|-- ADDRESS` whose next line says `/32 host LOCAL`.
fn local_v4(trie: &str) -> Vec<IpAddr> {
    let mut last = None;
    let mut found = Vec::new();
    for line in trie.lines().map(str::trim) {
        if let Some(address) = line.strip_prefix("|-- ") {
            last = address.parse().ok();
        } else if line.starts_with("/32 host LOCAL") {
            found.extend(last.map(IpAddr::V4));
        }
    }
    found
}

/// The addresses of `/proc/self/net/if_inet6`: 32 hexadecimal digits at the start of each line.
fn local_v6(table: &str) -> Vec<IpAddr> {
    table
        .lines()
        .filter_map(|line| u128::from_str_radix(line.get(..32)?, 16).ok())
        .map(|bits| IpAddr::V6(bits.into()))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_the_addresses_the_kernel_calls_local() {
        let trie = "Main:\n  +-- 0.0.0.0/0 3 0 5\n     |-- 10.0.0.0\n        /24 link UNICAST\n     |-- 10.0.0.7\n        /32 host LOCAL\n     |-- 10.0.0.255\n        /32 link BROADCAST\n";
        assert_eq!(
            local_v4(trie),
            ["10.0.0.7".parse::<IpAddr>().expect("an address")]
        );
    }

    #[test]
    fn reads_ipv6_addresses() {
        let table = "00000000000000000000000000000001 01 80 10 80       lo\nfe80000000000000000000000000abcd 02 40 20 80     eth0\n";
        assert_eq!(local_v6(table).len(), 2);
    }
}
