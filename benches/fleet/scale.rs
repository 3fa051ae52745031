//! A fleet far larger than sockets allow: each host is a task on tokio's paused clock that makes the calls of
//! one drain, in their order, against two token buckets as the account has them, and pauses by the engine's
//! own [`Retry`]. No network, no XML, no latency: the limits alone decide.
//!
//! `cargo bench --bench fleet -- scale` prints the table of docs/scale.md. It takes some seconds.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use lb_drain_api::ATTEMPT;
use lb_drain_api::duration::human;
use lb_drain_test_support::elbv2::Limits;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};

use crate::quantiles;

// The policy itself and not a copy of it. It is private to the engine, which nobody else should steer.
#[allow(dead_code, unused_imports, unreachable_pub)] // its tests, and what they alone need
#[path = "../../src/engine/retry.rs"]
mod retry;
use retry::Retry;

const HOSTS: u32 = 10_000;

/// A fleet's way to stop.
#[derive(Debug, Clone, Copy)]
struct Fleet {
    /// Each host stops at a random moment of this long; none: all at once.
    over: Duration,
    budget: Duration,
    jitter: bool,
}

struct Account {
    limits: Limits,
    calls: u64,
    throttled: u64,
}

/// What became of one host.
struct Ended {
    /// How long after its stop it was out of rotation, verified; `None` where it was not.
    out: Option<Duration>,
    /// Whether it was told to leave, verified or not.
    told: bool,
}

pub(crate) fn print() {
    println!("\n{HOSTS} hosts leave one target group of one account and region");
    println!(
        "{:>10} {:>8} {:>7} {:>11} {:>30} {:>9} {:>11}",
        "within", "budget", "jitter", "out", "out after p50/p99/max", "calls", "throttled"
    );
    let minutes = |minutes: u64| Duration::from_secs(60 * minutes);
    for (over, budget, jitter) in [
        (0, 5, true),
        (0, 5, false),
        (15, 5, true),
        (30, 5, true),
        (45, 5, true),
        (45, 5, false),
        (60, 5, true),
        (60, 5, false),
        (60, 1, true),
        (75, 1, true),
    ] {
        let fleet = Fleet {
            over: minutes(over),
            budget: minutes(budget),
            jitter,
        };
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            .build()
            .expect("a runtime");
        runtime.block_on(simulate(fleet));
    }
}

async fn simulate(fleet: Fleet) {
    let account = Arc::new(Mutex::new(Account {
        limits: Limits::default(),
        calls: 0,
        throttled: 0,
    }));
    let mut stops = JoinSet::new();
    for _ in 0..HOSTS {
        let account = Arc::clone(&account);
        stops.spawn(async move {
            sleep(fleet.over.mul_f64(fastrand::f64())).await;
            stop(&account, fleet).await
        });
    }
    let ended = stops.join_all().await;
    let out: Vec<f64> = ended
        .iter()
        .filter_map(|host| Some(host.out?.as_secs_f64()))
        .collect();
    let unverified = ended
        .iter()
        .filter(|host| host.told && host.out.is_none())
        .count();
    let account = account.lock().expect("nobody panicked");
    println!(
        "{:>10} {:>8} {:>7} {:>11} {:>30} {:>9} {:>11}{}",
        human(fleet.over),
        human(fleet.budget),
        if fleet.jitter { "full" } else { "none" },
        out.len(),
        quantiles(out),
        account.calls,
        account.throttled,
        if unverified == 0 {
            String::new()
        } else {
            format!("  ({unverified} more told, not verified)")
        }
    );
}

/// One host's stop: find, deregister, look; then kind and delay, unless it has been throttled. An idle host
/// asks nothing more.
async fn stop(account: &Mutex<Account>, fleet: Fleet) -> Ended {
    let begun = Instant::now();
    let until = begun + fleet.budget - Duration::from_millis(500); // when the engine ends and reports
    let mut host = Ended {
        out: None,
        told: false,
    };
    let mut throttled = false;
    for change in [false, true, false] {
        let mut retry = Retry::until(until, ATTEMPT);
        let mut mean = Duration::from_millis(50);
        while !account.lock().expect("nobody panicked").admits(change) {
            throttled = true;
            let pause = if fleet.jitter {
                retry.pause(None)
            } else {
                // The same means, exactly kept.
                let pause = mean;
                mean = (mean * 2).min(Duration::from_secs(1));
                (Instant::now() + pause < until).then_some(pause)
            };
            match pause {
                Some(pause) => sleep(pause).await,
                None => return host,
            }
        }
        host.told |= change;
    }
    host.out = Some(begun.elapsed());
    for _ in 0..2 {
        throttled = throttled || !account.lock().expect("nobody panicked").admits(false);
    }
    host
}

impl Account {
    fn admits(&mut self, change: bool) -> bool {
        let bucket = if change {
            &mut self.limits.change
        } else {
            &mut self.limits.describe
        };
        self.calls += 1;
        let admitted = bucket.take(Instant::now().into_std());
        self.throttled += u64::from(!admitted);
        admitted
    }
}
