//! The three ways of stopping a copy, and what happened under each.

use std::time::Duration;

use lb_drain_api::duration::human;
use tokio::time::sleep;

use crate::Result;
use crate::balancer::{BACKEND, Balancer};
use crate::clients::{Load, Request};
use crate::screen::Screen;
use crate::service::Service;
use crate::tool::LbDrain;

/// The stop begins after this: the slowest request takes 2 s, so by then as many are in flight as ever.
const STOP_AT: Duration = Duration::from_millis(2500);

/// The common fixed sleep, on the short side: as long as the average request here. A longer one loses less and costs
/// more, every time; the one that loses nothing is known only afterwards.
const FIXED_SLEEP: Duration = Duration::from_secs(1);

/// How long the copy stays away: an upgrade, say.
const AWAY: Duration = Duration::from_secs(1);

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
    pub(crate) stop: Stop,
    pub(crate) requests: Vec<Request>,
}

/// One stop of the copy. Times count from the start of the load.
pub(crate) struct Stop {
    pub(crate) began: Duration,
    /// When what runs before SIGTERM had ended, and SIGTERM was sent.
    pub(crate) hook_ended: Duration,
    /// What runs before SIGTERM ended with this exit code.
    pub(crate) hook_code: i32,
    /// When the process was gone.
    pub(crate) ended: Duration,
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
    let load = Load::start(stage.balancer.front);
    let stop = screen
        .watch(perform(way, stage, &load, screen), || load.status())
        .await?;
    Ok(Story {
        way,
        stop,
        requests: load.into_requests(),
    })
}

async fn perform(way: Way, stage: &mut Stage, load: &Load, screen: &Screen) -> Result<Stop> {
    screen.event(load.elapsed(), "the clients start");
    sleep(STOP_AT).await;

    let began = load.elapsed();
    let hook_code = before_stop(way, stage, load, screen).await?;
    let hook_ended = load.elapsed();
    screen.event(hook_ended, "SIGTERM to app1");
    stage.app1.terminate().await?;
    let ended = load.elapsed();
    let took = human(ended - began);
    screen.event(ended, &format!("app1 is gone; its stop took {took}"));

    sleep(AWAY).await;
    stage.app1.restart().await?;
    screen.event(load.elapsed(), "app1 is started again");
    after_start(way, stage, load, screen).await?;
    stage.balancer.all_up().await?;
    screen.event(load.elapsed(), "app1 is in rotation again");

    load.sent().await;
    screen.event(
        load.elapsed(),
        "the last request is sent; the last answers are to come",
    );
    load.finished().await;
    screen.event(load.elapsed(), &load.status());
    Ok(Stop {
        began,
        hook_ended,
        hook_code,
        ended,
    })
}

/// What runs before SIGTERM, as a unit's `ExecStop=` would. Returns its exit code.
async fn before_stop(way: Way, stage: &Stage, load: &Load, screen: &Screen) -> Result<i32> {
    match way {
        Way::SigtermOnly => Ok(0),
        Way::FixedSleep => {
            let command = set_state("drain");
            let nap = human(FIXED_SLEEP);
            screen.event(load.elapsed(), &format!("\"{command}\", then sleep for {nap}"));
            stage.balancer.tell(&command).await?;
            sleep(FIXED_SLEEP).await;
            Ok(0)
        }
        Way::LbDrain => lb_drain(&["deregister"], stage, load, screen).await,
    }
}

/// What runs after the start, as a unit's `ExecStartPost=` would.
async fn after_start(way: Way, stage: &Stage, load: &Load, screen: &Screen) -> Result<()> {
    match way {
        Way::SigtermOnly => Ok(()),
        Way::FixedSleep => {
            let command = set_state("ready");
            screen.event(load.elapsed(), &format!("\"{command}\""));
            stage.balancer.tell(&command).await
        }
        Way::LbDrain => match lb_drain(&["register", "--wait"], stage, load, screen).await? {
            0 => Ok(()),
            code => Err(format!("lb-drain register ended with exit code {code}").into()),
        },
    }
}

async fn lb_drain(verb: &[&str], stage: &Stage, load: &Load, screen: &Screen) -> Result<i32> {
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
    screen.event(load.elapsed(), &format!("lb-drain {}", arguments.join(" ")));
    stage.lb_drain.run(&arguments, screen).await
}

/// The runtime command that the common hook sends.
fn set_state(state: &str) -> String {
    format!("set server {BACKEND}/app1 state {state}")
}
