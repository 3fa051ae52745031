//! How a server comes back: as it was before it was taken out.

use lb_drain_api::{Error, Result};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::command::{State, Weight};
use crate::entry::{Admin, Entry};

/// What is kept of a server while it is out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Before {
    /// Who had taken it out already: `srv_admin_state`.
    pub(crate) admin_state: u32,
    /// Its weight: `srv_uweight`.
    pub(crate) weight: u32,
    /// Its configured weight: `srv_iweight`.
    pub(crate) configured_weight: u32,
}

/// What a server needs to be as it was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Plan {
    /// Set first, so that not one request is distributed by another weight.
    pub(crate) weight: Option<Weight>,
    /// Set second.
    pub(crate) state: Option<State>,
}

/// A server in maintenance that somebody else put there.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct SomebodyElses;

impl Before {
    /// For the file that is kept while the server is out.
    pub(crate) fn to_value(self) -> Value {
        serde_json::json!({
            "admin_state": self.admin_state,
            "weight": self.weight,
            "configured_weight": self.configured_weight,
        })
    }

    /// Reads it back. `who` names the load balancer and the server.
    pub(crate) fn from_value(value: &Value, who: impl Fn() -> String) -> Result<Self> {
        Self::deserialize(value).map_err(|error| {
            Error::permanent(
                format!("{}: cannot read the state that was kept when it left", who()),
                error,
            )
            .advise(format!(
                r#"set it by hand: "set server … state ready"; kept was {value}"#
            ))
        })
    }
}

/// What brings a server from `now` back to `before`.
///
/// Only what we did is undone. Drain is ours unless it was there before. Maintenance can be ours only if
/// `maint_is_ours`, that is, if this run is configured to go that far: without that it stays, whoever put
/// it there has a reason. A server that was out before stays out.
pub(crate) fn plan(
    before: Option<Before>,
    now: &Entry,
    maint_is_ours: bool,
) -> std::result::Result<Plan, SomebodyElses> {
    let before_admin = Admin(before.map_or(0, |before| before.admin_state));
    let state = if before_admin.in_maint() {
        None
    } else if now.admin.in_maint() {
        if !maint_is_ours {
            return Err(SomebodyElses);
        }
        Some(if before_admin.in_drain() {
            State::Drain
        } else {
            State::Ready
        })
    } else if now.admin.in_drain() && !before_admin.in_drain() {
        Some(State::Ready)
    } else {
        None
    };
    Ok(Plan {
        weight: before.and_then(|before| weight(before, now)),
        state,
    })
}

/// A weight set at run time is lost in a reload; the configured one may have been changed by it, and then
/// the new one is meant.
fn weight(before: Before, now: &Entry) -> Option<Weight> {
    if before.weight == before.configured_weight {
        (now.weight != now.configured_weight).then_some(Weight::Configured)
    } else if before.weight == now.weight {
        None
    } else if before.weight == 0 {
        Some(Weight::Zero)
    } else {
        Some(Weight::Absolute(before.weight))
    }
}

#[cfg(test)]
mod tests;
