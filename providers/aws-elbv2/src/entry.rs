//! One registration of this host in a target group, and what AWS says of it.

use aws_sdk_elasticloadbalancingv2::types::{TargetDescription, TargetHealthDescription};
use lb_drain_api::{Rotation, Target, View};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// A registration: id, port and zone together are its key. One id may be registered on several ports.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Entry {
    /// An instance id or an IP address, as AWS writes it.
    pub(crate) id: String,
    /// Must be named when deregistering: without it, only the target group's default port is meant, and a
    /// registration with another port stays, although the call succeeds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) port: Option<u16>,
    /// Present for addresses outside of the VPC, and for some inside. Echoed as described.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) zone: Option<String>,
    /// Present in target groups of protocol QUIC; needed to register again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) server_id: Option<String>,
}

impl Entry {
    /// A registration as the configuration describes it.
    pub(crate) fn new(id: String, port: Option<u16>) -> Self {
        Self {
            id,
            port,
            zone: None,
            server_id: None,
        }
    }

    /// As the SDK wants it. The server id only matters for registering.
    pub(crate) fn to_sdk(&self) -> TargetDescription {
        TargetDescription::builder()
            .id(&self.id)
            .set_port(self.port.map(i32::from))
            .set_availability_zone(self.zone.clone())
            .set_quic_server_id(self.server_id.clone())
            .build()
    }

    /// Whether an answer is about this registration. One without a port stands for the one that AWS chooses:
    /// the target group's default port.
    fn is_answered_by(&self, answered: &Self) -> bool {
        self.id == answered.id && (self.port.is_none() || self.port == answered.port)
    }
}

/// A registration with its state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Seen {
    pub(crate) entry: Entry,
    pub(crate) rotation: Rotation,
    /// AWS's own words, such as `draining (Target.DeregistrationInProgress)`.
    pub(crate) state: String,
}

impl Seen {
    /// A registration that AWS does not know (any more).
    pub(crate) fn gone(entry: Entry, state: &str) -> Self {
        Self {
            entry,
            rotation: Rotation::NotAMember,
            state: state.to_owned(),
        }
    }

    /// What DescribeTargetHealth says; `None` where it names no target.
    pub(crate) fn from_sdk(described: &TargetHealthDescription) -> Option<Self> {
        let target = described.target()?;
        let health = described.target_health();
        let state = health
            .and_then(|health| health.state())
            .map_or("", |state| state.as_str());
        let reason = health
            .and_then(|health| health.reason())
            .map_or("", |reason| reason.as_str());
        Some(Self {
            entry: Entry {
                id: target.id()?.to_owned(),
                port: target.port().and_then(|port| u16::try_from(port).ok()),
                zone: target.availability_zone().map(str::to_owned),
                server_id: target.quic_server_id().map(str::to_owned),
            },
            rotation: rotation(state, reason),
            state: match (state, reason) {
                ("", _) => "no state".to_owned(),
                (state, "") => state.to_owned(),
                (state, reason) => format!("{state} ({reason})"),
            },
        })
    }
}

/// What a state means for routing: the API reference, type TargetHealth. States are matched exactly:
/// `unhealthy.draining` has `draining` in it and is yet registered, failing its health checks.
fn rotation(state: &str, reason: &str) -> Rotation {
    match (state, reason) {
        ("healthy", _) => Rotation::InService,
        ("draining", _) => Rotation::Out,
        ("unused", "Target.NotRegistered") => Rotation::NotAMember,
        // `unused` for any other reason, such as Target.NotInUse, is registered. So is everything else:
        // initial, unhealthy, unhealthy.draining, unavailable, and what may come.
        _ => Rotation::NotInService,
    }
}

/// The registrations of one host in one target group as one entry: the engine waits for all of them
/// together, and they are asked for in one call.
pub(crate) fn target(entries: &[Entry]) -> Target {
    let mut label = String::new();
    let mut last = "";
    for Entry { id, port, .. } in entries {
        let shown = if id.contains(':') {
            format!("[{id}]")
        } else {
            id.clone()
        };
        let port = port.map(|port| port.to_string());
        match (last == id, port) {
            (true, Some(port)) => label.push_str(&format!(",{port}")),
            (true, None) => {}
            (false, port) => {
                if !label.is_empty() {
                    label.push(' ');
                }
                label.push_str(&shown);
                if let Some(port) = port {
                    label.push_str(&format!(":{port}"));
                }
            }
        }
        last = id;
    }
    Target::new(label)
}

/// What was asked for, each with what was answered for it. What is not in the answer is gone.
pub(crate) fn pair(asked: &[Entry], answered: &[Seen]) -> Vec<Seen> {
    asked
        .iter()
        .map(|entry| {
            let found = answered.iter().find(|seen| entry.is_answered_by(&seen.entry));
            found.map_or_else(
                || Seen::gone(entry.clone(), "not registered"),
                |seen| Seen {
                    // The key stays as it was first described: a registration that is gone has lost its zone.
                    entry: entry.clone(),
                    ..seen.clone()
                },
            )
        })
        .collect()
}

/// The state of all registrations together: in service only if all are; out only if none may be routed to.
pub(crate) fn view(seen: &[Seen]) -> View {
    let all = |rotation| seen.iter().all(|one| one.rotation == rotation);
    let any = |test: fn(Rotation) -> bool| seen.iter().any(|one| test(one.rotation));
    let rotation = if all(Rotation::NotAMember) {
        Rotation::NotAMember
    } else if all(Rotation::InService) {
        Rotation::InService
    } else if any(Rotation::may_route) {
        Rotation::NotInService
    } else if any(|rotation| rotation == Rotation::Unknown) {
        Rotation::Unknown
    } else {
        Rotation::Out
    };
    View {
        rotation,
        in_flight: None,
        undrained: false,
        partial: false,
        state: state(seen),
        ports: ports(seen),
        before: before(seen),
    }
}

fn state(seen: &[Seen]) -> String {
    let first = seen.first().map_or("not registered", |one| &one.state);
    if seen.iter().all(|one| one.state == first) {
        return first.to_owned();
    }
    let each = seen.iter().map(|one| match one.entry.port {
        Some(port) => format!("{port} {}", one.state),
        None => one.state.clone(),
    });
    each.collect::<Vec<_>>().join(", ")
}

fn ports(seen: &[Seen]) -> Vec<u16> {
    let mut ports: Vec<u16> = seen.iter().filter_map(|one| one.entry.port).collect();
    ports.sort_unstable();
    ports.dedup();
    ports
}

/// Those that leave: what is in, or may be for all that can be known. What drains already is left to drain.
pub(crate) fn leaving(seen: &[Seen]) -> Vec<Entry> {
    let leaves = |one: &&Seen| one.rotation.may_route() || one.rotation == Rotation::Unknown;
    seen.iter().filter(leaves).map(|one| one.entry.clone()).collect()
}

/// Those that come back: what would leave, because a port that was out beside it was not ours to take back;
/// where all are out, those that there are.
pub(crate) fn returning(seen: &[Seen]) -> Vec<Entry> {
    let leaving = leaving(seen);
    if !leaving.is_empty() {
        return leaving;
    }
    let there = seen.iter().filter(|one| one.rotation != Rotation::NotAMember);
    there.map(|one| one.entry.clone()).collect()
}

/// The registrations that come back, for [`registrations`] to read.
fn before(seen: &[Seen]) -> Value {
    let there = returning(seen);
    if there.is_empty() {
        Value::Null
    } else {
        json!({ "targets": there })
    }
}

/// The registrations in a [`View::before`]; `Ok(None)` where it holds none.
pub(crate) fn registrations(before: &Value) -> serde_json::Result<Option<Vec<Entry>>> {
    #[derive(Deserialize)]
    struct Before {
        targets: Vec<Entry>,
    }
    if before.is_null() {
        return Ok(None);
    }
    let before = Before::deserialize(before)?;
    Ok(Some(before.targets).filter(|targets| !targets.is_empty()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(port: u16, state: &str, reason: &str) -> Seen {
        Seen {
            entry: Entry::new("i-0ab12cd34".to_owned(), Some(port)),
            rotation: rotation(state, reason),
            state: state.to_owned(),
        }
    }

    #[test]
    fn states_are_matched_exactly() {
        for (state, reason, expected) in [
            ("healthy", "", Rotation::InService),
            ("initial", "Elb.RegistrationInProgress", Rotation::NotInService),
            ("unhealthy", "Target.Timeout", Rotation::NotInService),
            (
                "unhealthy.draining",
                "Target.FailedHealthChecks",
                Rotation::NotInService,
            ),
            ("draining", "Target.DeregistrationInProgress", Rotation::Out),
            ("unused", "Target.NotRegistered", Rotation::NotAMember),
            ("unused", "Target.NotInUse", Rotation::NotInService),
            ("unused", "Target.InvalidState", Rotation::NotInService),
            ("unused", "", Rotation::NotInService),
            ("unavailable", "Elb.InternalError", Rotation::NotInService),
            ("Draining", "", Rotation::NotInService),
            ("", "", Rotation::NotInService),
        ] {
            assert_eq!(rotation(state, reason), expected, "{state} {reason}");
        }
    }

    #[test]
    fn one_registration_that_may_be_routed_to_keeps_the_host_in() {
        let healthy = || seen(8080, "healthy", "");
        let draining = || seen(8081, "draining", "");
        let gone = || seen(8082, "unused", "Target.NotRegistered");
        for (all, expected) in [
            (vec![healthy(), healthy()], Rotation::InService),
            (vec![healthy(), draining()], Rotation::NotInService),
            (vec![healthy(), gone()], Rotation::NotInService),
            (vec![draining(), draining()], Rotation::Out),
            (vec![draining(), gone()], Rotation::Out),
            (vec![gone(), gone()], Rotation::NotAMember),
            (vec![], Rotation::NotAMember),
        ] {
            assert_eq!(view(&all).rotation, expected, "{all:?}");
        }
        assert_eq!(
            view(&[healthy(), draining()]).state,
            "8080 healthy, 8081 draining"
        );
        assert_eq!(view(&[healthy(), draining()]).ports, [8080, 8081]);
    }

    #[test]
    fn the_name_tells_id_and_ports() {
        let entry = |id: &str, port| Entry::new(id.to_owned(), port);
        for (entries, name) in [
            (vec![entry("i-0ab", Some(8080))], "i-0ab:8080"),
            (
                vec![entry("i-0ab", Some(80)), entry("i-0ab", Some(81))],
                "i-0ab:80,81",
            ),
            (
                vec![entry("10.0.0.7", Some(80)), entry("10.0.0.8", Some(80))],
                "10.0.0.7:80 10.0.0.8:80",
            ),
            (vec![entry("fd00::1", Some(80))], "[fd00::1]:80"),
            (vec![entry("i-0ab", None)], "i-0ab"),
        ] {
            assert_eq!(target(&entries).as_str(), name);
        }
    }

    #[test]
    fn what_was_before_is_read_back_as_it_was() {
        let mut one = seen(8080, "healthy", "");
        one.entry.zone = Some("all".to_owned());
        let kept = view(&[one.clone(), seen(8081, "unused", "Target.NotRegistered")]).before;
        assert_eq!(registrations(&kept).expect("readable"), Some(vec![one.entry]));
        assert_eq!(registrations(&Value::Null).expect("readable"), None);
        let kept = |states: &[(u16, &str)]| {
            let seen: Vec<Seen> = states
                .iter()
                .map(|(port, state)| seen(*port, state, ""))
                .collect();
            let entries = registrations(&view(&seen).before)
                .expect("readable")
                .expect("some");
            entries.iter().filter_map(|entry| entry.port).collect::<Vec<_>>()
        };
        assert_eq!(kept(&[(8080, "healthy"), (8081, "draining")]), [8080]);
        assert_eq!(kept(&[(8080, "draining"), (8081, "draining")]), [8080, 8081]);
        assert!(registrations(&json!({ "weight": 3 })).is_err());
    }

    #[test]
    fn what_is_not_in_the_answer_is_gone_and_keeps_its_zone() {
        let mut asked = Entry::new("10.0.0.7".to_owned(), Some(80));
        asked.zone = Some("all".to_owned());
        let answered = Seen {
            entry: Entry::new("10.0.0.7".to_owned(), Some(80)),
            rotation: Rotation::Out,
            state: "draining".to_owned(),
        };
        let paired = pair(std::slice::from_ref(&asked), &[answered]);
        assert_eq!(paired[0].rotation, Rotation::Out);
        assert_eq!(paired[0].entry, asked);
        assert_eq!(pair(&[asked], &[])[0].rotation, Rotation::NotAMember);
    }
}
