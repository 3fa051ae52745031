//! A HAProxy that does not behave, and how much a HAProxy that does is asked.

use std::sync::Arc;
use std::time::{Duration, Instant};

use lb_drain_api::{Error, Firmness, Host, Lifetime, LoadBalancer, Rotation, Target};
use lb_drain_haproxy::{Settings, connect};
use lb_drain_test_support::haproxy::{Dialect, Haproxy, Manner, Server};

async fn start(dialect: Dialect) -> (Haproxy, Arc<dyn LoadBalancer>, Target) {
    let servers = vec![
        Server::new("web/app1", "127.0.0.1:8080"),
        Server::new("web/app2", "127.0.0.1:8081"),
    ];
    let haproxy = Haproxy::start(dialect, servers).await;
    let settings = Settings {
        sockets: vec![haproxy.socket().to_str().expect("a path").to_owned()],
        servers: vec!["web/app1".to_owned()],
        ..Settings::default()
    };
    let balancer = connect(settings, &Host::default()).expect("settings").remove(0);
    (haproxy, balancer, Target::new("web/app1"))
}

fn is_temporary(error: &Error) -> bool {
    matches!(error.lifetime(), Lifetime::Temporary { .. })
}

#[tokio::test]
async fn leaving_costs_four_connections_of_one_line() {
    let (haproxy, balancer, app1) = start(Dialect::Worker).await;
    balancer.find().await.expect("finds");
    balancer.deregister(&app1, Firmness::Drain).await.expect("leaves");
    balancer.look(&app1).await.expect("looks");
    let look = "show info;show servers state web;show stat web 4 -1";
    assert_eq!(
        haproxy.model().heard,
        [
            look,
            "show servers state web",
            "set server web/app1 state drain",
            look
        ]
    );
}

#[tokio::test]
async fn what_is_as_it_should_be_is_left_alone() {
    let (haproxy, balancer, app1) = start(Dialect::Worker).await;
    balancer.deregister(&app1, Firmness::Drain).await.expect("leaves");
    haproxy.model().heard.clear();
    balancer.deregister(&app1, Firmness::Drain).await.expect("is out");
    balancer.terms(&app1).await.expect("terms");
    assert_eq!(haproxy.model().heard, ["show servers state web"]);
}

#[tokio::test]
async fn a_master_is_found_out_once_and_never_by_a_change() {
    let (haproxy, balancer, app1) = start(Dialect::Master).await;
    balancer.deregister(&app1, Firmness::Drain).await.expect("leaves");
    balancer.look(&app1).await.expect("looks");
    assert_eq!(
        haproxy.model().heard,
        [
            "show servers state web",
            "@1 show servers state web",
            "@1 set server web/app1 state drain",
            "@1 show info;@1 show servers state web;@1 show stat web 4 -1",
        ]
    );
}

#[tokio::test]
async fn an_answer_that_is_cut_short_is_no_answer() {
    let (haproxy, balancer, app1) = start(Dialect::Worker).await;
    haproxy.model().manner = Manner::CutShort;
    for error in [
        balancer.find().await.expect_err("is cut"),
        balancer.look(&app1).await.expect_err("is cut"),
        balancer
            .deregister(&app1, Firmness::Drain)
            .await
            .expect_err("is cut"),
    ] {
        assert!(is_temporary(&error), "{error}");
        assert!(
            error
                .to_string()
                .contains("as expected: its answer ends in the middle; "),
            "{error}"
        );
    }
}

#[tokio::test]
async fn a_success_without_an_answer_is_not_taken_for_one() {
    let (haproxy, balancer, app1) = start(Dialect::Worker).await;
    haproxy.model().manner = Manner::LosesAnswers;
    let error = balancer
        .deregister(&app1, Firmness::Drain)
        .await
        .expect_err("nothing is known");
    assert!(
        error
            .to_string()
            .contains("it closed the connection without an answer; "),
        "{error}"
    );
}

#[tokio::test]
async fn noise_without_end_ends() {
    let (haproxy, balancer, _) = start(Dialect::Worker).await;
    haproxy.model().manner = Manner::EndlessGarbage;
    let start = Instant::now();
    let error = balancer.find().await.expect_err("noise");
    assert!(start.elapsed() < Duration::from_secs(20), "{:?}", start.elapsed());
    assert_eq!(error.lifetime(), Lifetime::Permanent);
    assert!(error.to_string().contains("more than 16 MB"), "{error}");
}

#[tokio::test]
async fn somebody_who_understands_no_command_is_no_haproxy() {
    let (haproxy, balancer, _) = start(Dialect::Master).await;
    // A master's words, with and without prefix.
    haproxy.model().manner = Manner::UnderstandsNothing;
    let error = balancer.find().await.expect_err("not understood");
    assert_eq!(error.lifetime(), Lifetime::Permanent);
    assert!(
        error
            .to_string()
            .ends_with("is this the runtime API of HAProxy 2.0 or later?"),
        "{error}"
    );
}

#[tokio::test]
async fn another_process_counts_only_its_own_requests() {
    let (haproxy, balancer, app1) = start(Dialect::Worker).await;
    assert_eq!(balancer.look(&app1).await.expect("looks").in_flight, Some(0));
    haproxy.model().pid += 1;
    let view = balancer.look(&app1).await.expect("looks");
    assert_eq!((view.rotation, view.in_flight), (Rotation::InService, None));
    haproxy.model().pid -= 1;
    assert_eq!(
        balancer.look(&app1).await.expect("looks").in_flight,
        None,
        "still"
    );
}

#[tokio::test]
async fn a_dropped_look_leaves_nothing_behind() {
    let (haproxy, balancer, app1) = start(Dialect::Worker).await;
    haproxy.model().manner = Manner::Silent;
    for _ in 0..200 {
        let look = tokio::time::timeout(Duration::from_millis(1), balancer.look(&app1)).await;
        assert!(look.is_err());
    }
    haproxy.model().manner = Manner::Well;
    balancer.look(&app1).await.expect("looks");
    let open = std::fs::read_dir("/proc/self/fd").expect("descriptors").count();
    assert!(open < 300, "{open} descriptors are open");
}
