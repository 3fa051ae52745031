//! Local evidence against real sockets: a server that knows the truth of each connection, clients under random
//! schedules, and looks at what the kernel shows of them.
//!
//! `LB_DRAIN_EVIDENCE_BATCHES` runs more batches than the default, `LB_DRAIN_EVIDENCE_SEED` other schedules.

mod clients;
mod haproxy;
mod random;
mod server;
mod tally;
mod truth;
mod watch;

use std::sync::Arc;
use std::time::Duration;

use clients::{Manner, Target};
use random::Random;
use server::Teller;
use tally::Tally;
use truth::{Clock, Truths};

/// Connections in a batch; each takes two descriptors of this process. With more of them, clients and server
/// leave a machine of two processors no time to look.
const BATCH: usize = 1_000;

/// How long conversations go on. The last request is sent by then, and answered within three more seconds.
const CONVERSATION: Duration = Duration::from_secs(4);

/// How long a batch lasts: conversations, the last answers, then a second and a half of idleness.
const LASTS: Duration = Duration::from_millis(8_600);

#[test]
fn no_connection_in_flight_is_called_idle_and_hardly_an_idle_one_in_flight() {
    let tally = batches(
        from_environment("LB_DRAIN_EVIDENCE_BATCHES", 10),
        Manner::Ordinary,
    );
    println!("all {tally}");
    tally.assert_sound();
    tally.assert_precise();
}

#[test]
fn a_request_sent_with_the_acknowledgement_of_the_last_answer_is_in_flight() {
    let tally = batches(1, Manner::AtOnce);
    println!("all {tally}");
    tally.assert_sound();
}

#[test]
fn behind_haproxy_with_a_pool_of_connections_it_is_the_same() {
    let random = Random::new(seed());
    let clock = Clock::start();
    let truths = Arc::new(Truths::default());
    let (port, _server) = server::start(clock, Arc::clone(&truths), Teller::Server);
    let haproxy = haproxy::start(port);
    let target = Target {
        port: haproxy.port,
        truths: None,
        conversation: CONVERSATION,
    };
    let _clients = clients::start(&target, 600, Manner::Ordinary, random.fork());
    let tally = watch::watch(port, clock, &truths, LASTS, &random);
    println!("all {tally}");
    tally.assert_sound();
    tally.assert_precise();
}

/// Runs batches of clients that are the server's direct peers.
fn batches(batches: u64, manner: Manner) -> Tally {
    raise_descriptor_limit(2 * BATCH as u64 + 200);
    let seed = seed();
    let mut total = Tally::default();
    for batch in 0..batches {
        let random = Random::new(seed.wrapping_add(batch << 32));
        let clock = Clock::start();
        let truths = Arc::new(Truths::default());
        let (port, _server) = server::start(clock, Arc::clone(&truths), Teller::Client);
        let told = Some((clock, Arc::clone(&truths)));
        let target = Target {
            port,
            truths: told,
            conversation: CONVERSATION,
        };
        let _clients = clients::start(&target, BATCH, manner, random.fork());
        let tally = watch::watch(port, clock, &truths, LASTS, &random);
        println!("batch {batch} {tally}");
        total.add(tally);
    }
    total
}

fn seed() -> u64 {
    let seed = from_environment("LB_DRAIN_EVIDENCE_SEED", 1);
    println!("LB_DRAIN_EVIDENCE_SEED={seed}");
    seed
}

fn from_environment(name: &str, default: u64) -> u64 {
    std::env::var(name).map_or(default, |value| value.parse().expect("a number"))
}

fn raise_descriptor_limit(needed: u64) {
    use rustix::process::{Resource, getrlimit, setrlimit};
    let mut limit = getrlimit(Resource::Nofile);
    if limit.current.is_some_and(|current| current < needed) {
        limit.current = Some(needed);
        setrlimit(Resource::Nofile, limit)
            .expect("a hard limit that allows as many descriptors as are needed");
    }
}
