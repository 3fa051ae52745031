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
/// Only what we did is undone. A server that was out before stays out. Without a record, drain is taken for ours,
/// because it is what a deregister does; maintenance is not: whoever put it there has a reason. With a record it is
/// taken for ours where this run is configured to go that far, because the record is written before the server is
/// touched and so cannot tell how far its run went.
pub(crate) fn plan(
    before: Option<Before>,
    now: &Entry,
    goes_to_maint: bool,
) -> std::result::Result<Plan, SomebodyElses> {
    let was_out = before.is_some_and(|before| Admin(before.admin_state).is_out());
    let maint_is_ours = goes_to_maint && before.is_some();
    if !was_out && now.admin.in_maint() && !maint_is_ours {
        return Err(SomebodyElses);
    }
    let state = (!was_out && now.admin.is_out()).then_some(State::Ready);
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
