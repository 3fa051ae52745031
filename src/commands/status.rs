//! `lb-drain status`: each load balancer's view of this host, and the requests in flight here.

use std::sync::Arc;
use std::time::Duration;

use lb_drain_api::{Error, Found, Identity, Rotation, Target, View};
use serde_json::{Value, json};
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::wants_json;
use crate::cli::Status;
use crate::config::Settings;
use crate::evidence;
use crate::exit::Exit;
use crate::{main_process, report};

/// How long this host's connections are looked at: a request that came within the tick of an answer shows
/// itself within 200 ms (the kernel's longest delayed acknowledgement).
const LOOKING: Duration = Duration::from_millis(250);
/// How often in that time.
const LOOK: Duration = Duration::from_millis(25);

/// What one load balancer says of one entry.
pub(super) struct Sighting {
    pub(super) name: String,
    pub(super) identity: Identity,
    pub(super) target: Target,
    pub(super) view: Result<View, Error>,
}

impl Sighting {
    pub(super) fn json(&self) -> Value {
        let view = self.view.as_ref().ok();
        json!({
            "name": self.name,
            "provider": self.identity.provider,
            "endpoint": self.identity.endpoint,
            "target": Some(self.target.as_str()).filter(|target| !target.is_empty()),
            "rotation": view.map(|view| word(view.rotation)),
            "state": view.map(|view| &view.state),
            "in_flight": view.and_then(|view| view.in_flight),
            "error": self.view.as_ref().err().map(ToString::to_string),
        })
    }
}

pub(super) async fn status(settings: Settings, options: &Status) -> Exit {
    super::begin(&options.common, &settings.remarks);
    let (sightings, here) = tokio::join!(sightings(&settings), in_flight_here(&settings));
    let json = wants_json(&options.common);
    let mut lines = Vec::new();
    for Sighting {
        name,
        identity,
        target,
        view,
    } in &sightings
    {
        lines.push(match view {
            Ok(view) => {
                let requests = view
                    .in_flight
                    .map_or_else(String::new, |n| format!(", {}", report::in_flight(Some(n))));
                format!(
                    "{name}: {} {} {target} {} ({}){requests}",
                    identity.provider,
                    identity.endpoint,
                    word(view.rotation),
                    view.state
                )
            }
            Err(error) => format!("{name}: {error}"),
        });
    }
    match &here {
        Ok(ports) => lines.extend(
            ports
                .iter()
                .map(|(port, n)| format!("here: {} on port {port}", report::in_flight(Some(*n)))),
        ),
        Err(error) => lines.push(format!("here: connections cannot be seen: {error}")),
    }
    if json {
        let list: Vec<_> = sightings.iter().map(Sighting::json).collect();
        let ports = here.as_ref().ok().map(|ports| {
            ports
                .iter()
                .map(|(port, n)| (port.to_string(), Value::from(*n)))
                .collect::<serde_json::Map<_, _>>()
        });
        report::json::print(
            &json!({ "command": "status", "load_balancers": list, "in_flight_by_port": ports }),
        );
    } else {
        report::text::print(&lines);
    }
    if sightings.iter().all(|sighting| sighting.view.is_ok()) {
        Exit::Done
    } else {
        Exit::Failed
    }
}

/// Asks every load balancer at once, each for at most the budget.
pub(super) async fn sightings(settings: &Settings) -> Vec<Sighting> {
    let mut tasks = JoinSet::new();
    for (order, plan) in settings.plans.iter().enumerate() {
        let (name, balancer, limit) = (
            plan.name.clone(),
            Arc::clone(&plan.balancer),
            settings.budget.total,
        );
        tasks.spawn(async move {
            let identity = balancer.identity().clone();
            let found = tokio::time::timeout(limit, balancer.find())
                .await
                .unwrap_or_else(|_| {
                    Err(Error::temporary(
                        format!("{} {} did not answer", identity.provider, identity.endpoint),
                        "the budget is used up",
                    ))
                });
            let found = match found {
                Ok(found) if found.is_empty() => vec![Found {
                    target: Target::new("no entry of this host"),
                    view: Ok(View {
                        rotation: Rotation::NotAMember,
                        in_flight: None,
                        undrained: false,
                        partial: false,
                        state: "not found".to_owned(),
                        ports: Vec::new(),
                        before: Value::Null,
                    }),
                }],
                Ok(found) => found,
                Err(error) => vec![Found {
                    target: Target::new(""),
                    view: Err(error),
                }],
            };
            let sightings = found.into_iter().map(|Found { target, view }| Sighting {
                name: name.clone(),
                identity: identity.clone(),
                target,
                view,
            });
            (order, sightings.collect::<Vec<_>>())
        });
    }
    let mut all: Vec<(usize, Vec<Sighting>)> = Vec::new();
    while let Some(task) = tasks.join_next().await {
        all.extend(task.ok());
    }
    all.sort_by_key(|(order, _)| *order);
    all.into_iter().flat_map(|(_, sightings)| sightings).collect()
}

async fn in_flight_here(settings: &Settings) -> std::io::Result<Vec<(u16, u64)>> {
    if settings.ports.is_empty() {
        return Ok(Vec::new());
    }
    let mut connections = evidence::open(main_process::pid(main_process::application(
        &settings.asked,
        settings.application.as_deref(),
    )));
    let until = Instant::now() + LOOKING;
    loop {
        let seen = connections.look(&settings.ports)?;
        if Instant::now() >= until {
            return Ok(seen
                .into_iter()
                .map(|(port, traffic)| (port, traffic.in_flight))
                .collect());
        }
        tokio::time::sleep(LOOK).await;
    }
}

fn word(rotation: Rotation) -> &'static str {
    match rotation {
        Rotation::InService => "in_service",
        Rotation::NotInService => "not_in_service",
        Rotation::Out => "out",
        Rotation::NotAMember => "not_a_member",
        Rotation::Unknown => "unknown",
    }
}
