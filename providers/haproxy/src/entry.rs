//! What a server's state means for leaving.

use std::net::IpAddr;

use lb_drain_api::{Addresses, Rotation, View};

use crate::restore::Before;
use crate::table::{StatRow, StateRow};

/// Who has taken a server out: the bits of `srv_admin_state` (`enum srv_admin` in HAProxy's
/// `include/haproxy/server-t.h`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Admin(pub(crate) u32);

impl Admin {
    const FORCED_MAINT: u32 = 0x01;
    const FORCED_DRAIN: u32 = 0x08;

    /// `set server … state maint`, or `disabled` in the configuration.
    pub(crate) fn in_maint(self) -> bool {
        self.0 & Self::FORCED_MAINT != 0
    }

    /// `set server … state drain`, by hand or by an agent check.
    pub(crate) fn in_drain(self) -> bool {
        self.0 & Self::FORCED_DRAIN != 0
    }

    /// Whether the server itself was taken out. What it inherits from a server that it tracks (0x02 maint,
    /// 0x10 drain), and maintenance because its name does not resolve (0x20), end with their cause and
    /// without a request of ours: they do not hold a server out.
    pub(crate) fn is_out(self) -> bool {
        self.in_maint() || self.in_drain()
    }
}

/// One server as HAProxy knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Entry {
    /// The number of its backend.
    pub(crate) backend_id: String,
    /// Who has taken it out.
    pub(crate) admin: Admin,
    /// Its weight now.
    pub(crate) weight: u32,
    /// Its weight as configured.
    pub(crate) configured_weight: u32,
    running: u8,
    /// The port of this host that it stands for.
    port: Option<u16>,
    /// What the statistics say; `None` as long as they have no such row.
    pub(crate) stat: Option<Stat>,
}

/// What the statistics say about a server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Stat {
    /// Requests being served and waiting.
    pub(crate) in_flight: u64,
    /// The state in HAProxy's words.
    pub(crate) status: String,
    /// Whether clients stick to it by a cookie.
    pub(crate) cookie: bool,
}

impl Entry {
    /// Reads a row. `own` are the addresses that mean this host.
    pub(crate) fn new(row: &StateRow<'_>, own: &Own) -> Self {
        Self {
            backend_id: row.backend_id.to_owned(),
            admin: Admin(row.admin),
            weight: row.weight,
            configured_weight: row.configured_weight,
            running: row.running,
            port: (row.port != 0 && own.is_ours(row.address)).then_some(row.port),
            stat: None,
        }
    }

    /// Whether requests are routed here.
    pub(crate) fn rotation(&self) -> Rotation {
        /// `SRV_ST_STOPPED` and `SRV_ST_STOPPING` (`NOLB`: only sticky traffic, by `http-check
        /// disable-on-404`) in `enum srv_state`; between them are starting and running.
        const STOPPED: u8 = 0;
        const STOPPING: u8 = 3;
        // Anything beyond the two forced bits that keeps traffic away (weight 0 among it) is not ours and
        // may end at any time.
        const INHERITED: u32 = 0x02 | 0x10 | 0x20;
        if self.admin.is_out() {
            Rotation::Out
        } else if self.admin.0 & INHERITED != 0
            || matches!(self.running, STOPPED | STOPPING)
            || self.weight == 0
        {
            Rotation::NotInService
        } else {
            Rotation::InService
        }
    }

    /// The view of this server. `counts` is false where HAProxy's numbers are known not to be the whole.
    pub(crate) fn view(&self, counts: bool) -> View {
        let before = Before {
            admin_state: self.admin.0,
            weight: self.weight,
            configured_weight: self.configured_weight,
        };
        let Some(stat) = &self.stat else {
            // Known, but without a row even among all statistics: those of a disabled proxy are left out.
            return View {
                rotation: Rotation::NotAMember,
                in_flight: None,
                undrained: false,
                partial: false,
                state: "its backend is disabled".to_owned(),
                ports: self.port.into_iter().collect(),
                before: before.to_value(),
            };
        };
        View {
            rotation: self.rotation(),
            in_flight: counts.then_some(stat.in_flight),
            undrained: false,
            partial: false,
            state: stat.status.clone(),
            ports: self.port.into_iter().collect(),
            before: before.to_value(),
        }
    }
}

impl Stat {
    /// Reads a row.
    pub(crate) fn new(row: &StatRow<'_>) -> Self {
        Self {
            in_flight: row.current.saturating_add(row.queued),
            status: row.status.as_ref().to_owned(),
            cookie: row.cookie,
        }
    }
}

/// Which of the addresses that HAProxy holds mean this host.
#[derive(Debug, Clone)]
pub(crate) struct Own {
    /// The host's addresses.
    pub(crate) addresses: Addresses,
    /// Whether HAProxy runs on this host too: its `127.0.0.1` is ours only then.
    pub(crate) loopback: bool,
}

impl Own {
    /// Whether `address`, as `show servers state` writes it, is this host.
    pub(crate) fn is_ours(&self, address: &str) -> bool {
        address.parse::<IpAddr>().is_ok_and(|address| {
            let address = address.to_canonical();
            (self.loopback && address.is_loopback()) || self.addresses.contains(&address)
        })
    }
}

#[cfg(test)]
mod tests;
