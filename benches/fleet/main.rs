//! A fleet that leaves one target group in the same moment, against the account's limits as observed: 40
//! Describe calls at once and 10 a second, 20 changes at once and 4 a second. Every host runs the engine
//! and the provider as the binary does, with credentials and connections of its own; none has requests in
//! flight.
//!
//! `cargo bench --bench fleet` prints the distribution and fails where a host has not left or is over its
//! budget. It takes about five minutes. `cargo bench --bench fleet -- scale` simulates ten times as many:
//! see `scale.rs`.

mod scale;

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::sync::Arc;
use std::time::Duration;

use aws_credential_types::Credentials;
use aws_credential_types::provider::SharedCredentialsProvider;
use lb_drain::budget::Deadline;
use lb_drain::engine::{self, Audience, Event, Ledger, Member, Plan, Run, Standing, Traffic, Waiting};
use lb_drain::evidence::{self, Evidence};
use lb_drain::record::Record;
use lb_drain_api::Host;
use lb_drain_api::duration::human;
use lb_drain_aws_elbv2::{Settings, Sources, connect_with};
use lb_drain_test_support::elbv2::{Elbv2, Limits, TargetGroup};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::sync::watch;
use tokio::task::JoinSet;

const BUDGET: Duration = Duration::from_secs(300);

/// Nothing is in flight on any port.
struct Idle;

impl Evidence for Idle {
    fn look(&mut self, ports: &BTreeSet<u16>) -> io::Result<BTreeMap<u16, evidence::Traffic>> {
        Ok(ports
            .iter()
            .map(|port| (*port, evidence::Traffic::default()))
            .collect())
    }
}

struct Nobody;

impl Audience for Nobody {
    fn tell(&self, _: &Member, _: &Event) {}
}

fn main() {
    if std::env::args().any(|argument| argument == "scale") {
        return scale::print();
    }
    raise_descriptors();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime");
    println!(
        "\nhosts that leave one target group at once; budget {} each",
        human(BUDGET)
    );
    println!(
        "{:>6} {:>8} {:>34} {:>34} {:>6} {:>9} {:>9}",
        "hosts",
        "left",
        "deregistered after p50/p99/max",
        "ended after p50/p99/max",
        "over",
        "calls",
        "throttled"
    );
    for hosts in [1, 10, 100, 1000] {
        runtime.block_on(fleet(hosts));
    }
}

async fn fleet(hosts: usize) {
    let fake = Elbv2::start();
    let arn = fake.add(TargetGroup::new("web"));
    fake.limit(Limits::default());
    let mut leaving = JoinSet::new();
    for number in 0..hosts {
        let id = format!("i-{number:017x}");
        fake.register(&arn, &id, 8080, None, "healthy");
        leaving.spawn(leave(arn.clone(), id, fake.url()));
    }
    let ended = leaving.join_all().await;
    let left = ended
        .iter()
        .filter(|(member, _)| matches!(member.standing, Standing::Out | Standing::Drained));
    let in_truth = fake
        .snapshot()
        .lines()
        .filter(|line| line.ends_with(" draining"))
        .count();
    assert_eq!(left.clone().count(), in_truth, "what is claimed is what is");
    let out: Vec<f64> = ended
        .iter()
        .filter_map(|(member, _)| Some(member.deregistered?.as_secs_f64()))
        .collect();
    let all: Vec<f64> = ended.iter().map(|(_, used)| used.as_secs_f64()).collect();
    let over = ended.iter().filter(|(_, used)| *used > BUDGET).count();
    println!(
        "{hosts:>6} {:>8} {:>34} {:>34} {over:>6} {:>9} {:>9}",
        left.clone().count(),
        quantiles(out),
        quantiles(all),
        fake.all_calls() - fake.throttled(),
        fake.throttled()
    );
    for (member, _) in ended
        .iter()
        .filter(|(member, _)| matches!(member.standing, Standing::In | Standing::Failed))
        .take(3)
    {
        println!("       {}", member.error.as_deref().unwrap_or("no error"));
    }
    assert_eq!(left.count(), hosts, "every host has left");
    assert_eq!(over, 0, "no host is over its budget");
}

/// One host's run, as the command conducts it: how it ended, and after how long.
async fn leave(arn: String, id: String, url: String) -> (Member, Duration) {
    let settings = Settings {
        target_groups: vec![arn],
        target_id: Some(id),
        endpoint_url: Some(url),
        ..Settings::default()
    };
    let host = Host {
        budget: BUDGET,
        ..Host::default()
    };
    let keys = Credentials::new("AKIAFAKE", "fake-secret", None, None, "bench");
    let sources = Sources {
        credentials: Some(SharedCredentialsProvider::new(keys)),
        metadata: None,
    };
    let balancer = connect_with(settings, &host, &sources)
        .expect("settings")
        .remove(0);
    let folder = tempfile::tempdir().expect("a folder");
    let (traffic, watching) = Traffic::new(BTreeSet::new(), Box::new(Idle));
    let (_alive, main_process_gone) = watch::channel(false);
    let run = Run {
        deadline: Deadline::new(BUDGET, Duration::ZERO),
        waiting: Waiting {
            no_wait: false,
            quiet: Duration::from_secs(1),
            ports: BTreeSet::new(),
            keep_out: false,
        },
        ledger: Ledger::default(),
        audience: Arc::new(Nobody),
        record: Arc::new(Record::open(Some(folder.path().to_owned()), "fleet")),
        traffic,
        main_process_gone,
    };
    let plan = Plan {
        name: "web".to_owned(),
        section: "web".to_owned(),
        balancer,
        optional: false,
        min_wait: None,
        max_wait: None,
    };
    tokio::select! {
        () = engine::deregister(&run, vec![plan]) => {}
        () = watching => unreachable!("the watch ends with the run"),
    }
    (run.ledger.members().remove(0), run.deadline.used())
}

fn quantiles(mut seconds: Vec<f64>) -> String {
    if seconds.is_empty() {
        return "-".to_owned();
    }
    seconds.sort_by(f64::total_cmp);
    let at = |part: usize| seconds[(seconds.len() - 1) * part / 100];
    format!("{:.2} / {:.2} / {:.2} s", at(50), at(99), at(100))
}

/// Both ends of each connection are in this process.
fn raise_descriptors() {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit {
        current: limit.maximum,
        ..limit
    };
    if let Err(error) = setrlimit(Resource::Nofile, raised) {
        println!("the limit of open files stays at {:?}: {error}", limit.current);
    }
}
