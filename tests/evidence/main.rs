//! Local evidence against real sockets: a server that knows the truth of each connection, clients under random
//! schedules, and looks at what the kernel shows of them.
//!
//! `LB_DRAIN_EVIDENCE_BATCHES` runs more batches than the default, `LB_DRAIN_EVIDENCE_SEED` other schedules.

mod clients;
mod foreign;
mod haproxy;
mod random;
mod server;
mod tally;
mod truth;
mod watch;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use clients::{Manner, Target};
use lb_drain::evidence::{SocketEvidence, Verdict};
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

/// How often clients come anew behind HAProxy until enough idle connections have been judged.
const MOST_AT_ONE_PLACE: usize = 4;

#[test]
fn no_connection_in_flight_is_called_idle_and_hardly_an_idle_one_in_flight() {
    let enough = 5_000;
    let tally = batches(
        from_environment("LB_DRAIN_EVIDENCE_BATCHES", 10),
        enough,
        Manner::Ordinary,
    );
    println!("all {tally}");
    tally.assert_sound();
    tally.assert_precise(enough, 4);
}

#[test]
fn a_request_sent_with_the_acknowledgement_of_the_last_answer_is_in_flight() {
    let tally = batches(1, 0, Manner::AtOnce);
    println!("all {tally}");
    tally.assert_sound();
}

#[test]
fn behind_haproxy_with_a_pool_of_connections_it_is_the_same() {
    let random = Random::new(seed());
    let clock = Clock::start();
    let truths = Arc::new(Truths::default());
    let (port, _server) = server::start(clock, Arc::clone(&truths), Teller::Server);
    let haproxy = haproxy::start(port, "always");
    let target = Target {
        port: haproxy.port,
        truths: None,
        conversation: CONVERSATION,
    };
    let enough = 500;
    let mut total = Tally::default();
    for _ in 0..MOST_AT_ONE_PLACE {
        let _clients = clients::start(&target, 600, Manner::Ordinary, random.fork());
        let tally = watch::watch(port, clock, &truths, LASTS, &random);
        println!("{tally}");
        total.add(tally);
        if total.judged() >= enough {
            break;
        }
    }
    total.assert_sound();
    total.assert_precise(enough, 10);
}

/// As a stop meets them: nobody has looked before, and nothing moves any more.
#[test]
fn a_first_look_tells_that_connections_with_fast_answers_are_idle() {
    let random = Random::new(seed());
    let (port, _server) = server::start(Clock::start(), Arc::new(Truths::default()), Teller::Server);
    let haproxy = haproxy::start(port, "never");
    for to in [port, haproxy.port] {
        let target = Target {
            port: to,
            truths: None,
            conversation: Duration::from_secs(2),
        };
        let _clients = clients::start(&target, 300, Manner::Plain, random.fork());
        // Each begins within a second, and its last pause and answer have passed after three more.
        std::thread::sleep(Duration::from_millis(7_000));
        let mut evidence = SocketEvidence::new(None).expect("sock_diag");
        let survey = evidence.survey(&BTreeSet::from([port])).expect("a look");
        let open = survey.connections.len();
        let in_flight = survey
            .connections
            .iter()
            .filter(|seen| seen.verdict != Verdict::Idle);
        let in_flight: Vec<_> = in_flight.collect();
        assert!(open >= 250, "{open} connections of 300 clients");
        // On a busy machine an answer is slow now and then. Without what a first look knows it is one in five.
        assert!(
            in_flight.len() * 20 <= open,
            "{} of {open}: {in_flight:#?}",
            in_flight.len()
        );
    }
}

/// Runs batches of clients that are the server's direct peers, and up to twice as many until enough idle
/// connections have been judged.
fn batches(batches: u64, enough: usize, manner: Manner) -> Tally {
    raise_descriptor_limit(2 * BATCH as u64 + 200);
    let seed = seed();
    let mut total = Tally::default();
    for batch in 0..2 * batches {
        if batch >= batches && total.judged() >= enough {
            break;
        }
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
