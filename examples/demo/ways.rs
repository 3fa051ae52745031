//! The three ways of stopping a copy, and what happened under each.

use std::time::Duration;

use lb_drain::rehearse::advice::{Ground, advice};
use lb_drain::rehearse::{Deeds, Figures, Phase, Recorder, Rehearsal};
use lb_drain_api::duration::human;
use serde_json::Value;
use tokio::time::sleep;

use crate::balancer::{BACKEND, Balancer};
use crate::screen::Screen;
use crate::service::Service;
use crate::tool::LbDrain;
use crate::{Result, clients};

/// The stop begins after this: the slowest request takes 2 s, so by then as many are in flight as ever.
const STOP_AT: Duration = Duration::from_millis(2500);

/// The common fixed sleep, on the short side: as long as the average request here. A longer one loses less and costs
/// more, every time; the one that loses nothing is known only afterwards.
const FIXED_SLEEP: Duration = Duration::from_secs(1);

/// How long the copy stays away: an upgrade, say.
const AWAY: Duration = Duration::from_secs(1);

/// What lb-drain waits for where this host's own connections are the evidence.
const QUIET: Duration = Duration::from_secs(1);

/// Stays far below the 90 s that systemd gives, and is never used up here.
const BUDGET: &str = "20s";

/// A way of stopping.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Way {
    /// What a unit without `ExecStop=` does.
    SigtermOnly,
    /// The hook that is found in most places.
    FixedSleep,
    /// The real binary.
    LbDrain,
}

/// What a way needs.
pub(crate) struct Stage {
    pub(crate) balancer: Balancer,
    pub(crate) app1: Service,
    pub(crate) lb_drain: LbDrain,
}

/// What happened under one way.
pub(crate) struct Story {
    pub(crate) way: Way,
    /// How long the stop took, from the first step to the end of the process.
    pub(crate) stop_took: Duration,
    pub(crate) rehearsal: Rehearsal,
}

impl Way {
    pub(crate) const ALL: [Self; 3] = [Self::SigtermOnly, Self::FixedSleep, Self::LbDrain];

    /// Its name in the table.
    pub(crate) fn title(self) -> String {
        match self {
            Self::SigtermOnly => "SIGTERM only".to_owned(),
            Self::FixedSleep => format!("drain, sleep {}, SIGTERM", human(FIXED_SLEEP)),
            Self::LbDrain => "lb-drain deregister, SIGTERM".to_owned(),
        }
    }
}

/// Runs one way under a load of its own. Afterwards the copy is up and in rotation again.
pub(crate) async fn tell(way: Way, stage: &mut Stage, screen: &Screen) -> Result<Story> {
    let number = Way::ALL.iter().take_while(|each| **each != way).count() + 1;
    screen.heading(&format!("{number} of {}: {}", Way::ALL.len(), way.title()));
    let recorder = clients::start(stage.balancer.front, stage.app1.address)?;
    let mut deeds = Deeds::default();
    let stop_took = screen
        .watch(perform(way, stage, &recorder, &mut deeds, screen), || {
            clients::status(&recorder)
        })
        .await?;
    recorder.finish().await;
    let recorded = recorder.recorded();
    let figures = Figures::new(&recorded, &deeds);
    // Only the one that watches learns what to write.
    let advice = match way {
        Way::LbDrain => advice(
            &figures,
            &Ground {
                floors: vec![("haproxy".to_owned(), Duration::ZERO)],
                quiet: if deeds.by_connections {
                    QUIET
                } else {
                    Duration::ZERO
                },
                file: Some("the configuration".to_owned()),
                unit: "app1.service".to_owned(),
            },
        ),
        Way::SigtermOnly | Way::FixedSleep => Vec::new(),
    };
    Ok(Story {
        way,
        stop_took,
        rehearsal: Rehearsal {
            title: way.title(),
            aim: clients::ABOUT.to_owned(),
            rate: clients::RATE,
            recorded,
            deeds,
            figures,
            advice,
        },
    })
}

/// Returns how long the stop took.
async fn perform(
    way: Way,
    stage: &mut Stage,
    recorder: &Recorder,
    deeds: &mut Deeds,
    screen: &Screen,
) -> Result<Duration> {
    screen.event(recorder.now(), "the clients start");
    sleep(STOP_AT).await;

    let began = recorder.now();
    before_stop(way, stage, recorder, deeds, screen).await?;
    let hook_ended = recorder.enter(Phase::Restarting);
    screen.event(hook_ended, "SIGTERM to app1");
    stage.app1.terminate().await?;
    let ended = recorder.now();
    let took = human(ended - began);
    screen.event(ended, &format!("app1 is gone; its stop took {took}"));

    sleep(AWAY).await;
    stage.app1.restart().await?;
    let returning = recorder.enter(Phase::Returning);
    deeds.returning = Some(returning);
    screen.event(returning, "app1 is started again");
    after_start(way, stage, recorder, screen).await?;
    stage.balancer.all_up().await?;
    let after = recorder.enter(Phase::After);
    screen.event(after, "app1 is in rotation again");

    sleep(clients::LASTS.saturating_sub(recorder.now())).await;
    // Where this host's connections cannot be seen, nobody knows.
    deeds.back = recorder.arrived_since(returning).unwrap_or(None);
    screen.event(
        recorder.now(),
        "the last request is sent; the last answers are to come",
    );
    Ok(ended - began)
}

/// What runs before SIGTERM, as a unit's `ExecStop=` would.
async fn before_stop(
    way: Way,
    stage: &Stage,
    recorder: &Recorder,
    deeds: &mut Deeds,
    screen: &Screen,
) -> Result<()> {
    match way {
        Way::SigtermOnly => Ok(()),
        Way::FixedSleep => {
            let command = set_state("drain");
            let nap = human(FIXED_SLEEP);
            deeds.leaving = Some(recorder.enter(Phase::Leaving));
            screen.event(recorder.now(), &format!("\"{command}\", then sleep for {nap}"));
            stage.balancer.tell(&command).await?;
            deeds.out = Some(recorder.now());
            sleep(FIXED_SLEEP).await;
            Ok(())
        }
        Way::LbDrain => {
            let began = recorder.enter(Phase::Leaving);
            deeds.leaving = Some(began);
            let (code, report) = lb_drain(&["deregister"], stage, recorder, screen).await?;
            if code != 0 {
                deeds.troubles.push(format!(
                    "lb-drain ended with exit code {code}, which must not happen here"
                ));
            }
            let entry = &report["load_balancers"][0];
            let at = |name: &str| Some(began + Duration::from_millis(entry[name].as_u64()?));
            deeds.out = at("deregistered_ms");
            deeds.drained = at("drained_ms");
            deeds.evidence = entry["evidence"].as_str().map(evidence);
            deeds.by_connections = entry["evidence"] == "connections";
            Ok(())
        }
    }
}

/// What runs after the start, as a unit's `ExecStartPost=` would.
async fn after_start(way: Way, stage: &Stage, recorder: &Recorder, screen: &Screen) -> Result<()> {
    match way {
        Way::SigtermOnly => Ok(()),
        Way::FixedSleep => {
            let command = set_state("ready");
            screen.event(recorder.now(), &format!("\"{command}\""));
            stage.balancer.tell(&command).await
        }
        Way::LbDrain => match lb_drain(&["register", "--wait"], stage, recorder, screen).await? {
            (0, _) => Ok(()),
            (code, _) => Err(format!("lb-drain register ended with exit code {code}").into()),
        },
    }
}

/// What `lb-drain` calls its evidence, in words.
fn evidence(word: &str) -> String {
    match word {
        "load_balancer" => "the load balancer reports nothing in flight",
        "connections" => "nothing in flight on its port for 1 s",
        "delay" => "its deregistration delay has passed",
        other => other,
    }
    .to_owned()
}

async fn lb_drain(
    verb: &[&str],
    stage: &Stage,
    recorder: &Recorder,
    screen: &Screen,
) -> Result<(i32, Value)> {
    let socket = stage.balancer.socket.to_string_lossy();
    let server = format!("{BACKEND}/{}", stage.app1.name);
    let port = stage.app1.address.port().to_string();
    let options = [
        ["--haproxy", &socket],
        ["--haproxy-server", &server],
        ["--port", &port],
        ["--budget", BUDGET],
    ];
    let arguments = [verb, options.as_flattened()].concat();
    screen.event(recorder.now(), &format!("lb-drain {}", arguments.join(" ")));
    stage.lb_drain.run(&arguments, screen).await
}

/// The runtime command that the common hook sends.
fn set_state(state: &str) -> String {
    format!("set server {BACKEND}/app1 state {state}")
}
