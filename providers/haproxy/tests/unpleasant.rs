//! A HAProxy that does not behave, and how much a HAProxy that does is asked.

use std::sync::Arc;
use std::time::{Duration, Instant};

use lb_drain_api::{Error, Firmness, Host, Lifetime, LoadBalancer, Rotation, Target};
use lb_drain_haproxy::{Match, Settings, connect};
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

#[tokio::test]
async fn servers_of_one_host_do_not_take_each_others_requests() {
    let (_haproxy, balancer, app1) = start(Dialect::Worker).await;
    let alone = std::slice::from_ref(&app1);
    assert_eq!(balancer.others_in_service(&app1, alone).await, Ok(Some(1)));
    let both = [app1.clone(), Target::new("web/app2")];
    assert_eq!(balancer.others_in_service(&app1, &both).await, Ok(Some(0)));
    let elsewhere = [app1.clone(), Target::new("api/app2")];
    assert_eq!(balancer.others_in_service(&app1, &elsewhere).await, Ok(Some(1)));
}

fn is_temporary(error: &Error) -> bool {
    matches!(error.lifetime(), Lifetime::Temporary { .. })
}

#[tokio::test]
async fn leaving_costs_two_connections_of_one_line() {
    let (haproxy, balancer, app1) = start(Dialect::Worker).await;
    let found = balancer.find().await.expect("finds").remove(0);
    let seen = found.view.expect("is there");
    let after = balancer
        .deregister(&app1, Firmness::Drain, Some(&seen))
        .await
        .expect("leaves");
    assert_eq!(after.map(|view| view.rotation), Some(Rotation::Out));
    let look = "show info;show servers state web;show stat web 4 -1";
    assert_eq!(
        haproxy.model().heard,
        [look, &format!("set server web/app1 state drain;{look}")]
    );
}

#[tokio::test]
async fn what_is_as_it_should_be_is_left_alone() {
    let (haproxy, balancer, app1) = start(Dialect::Worker).await;
    balancer
        .deregister(&app1, Firmness::Drain, None)
        .await
        .expect("leaves");
    balancer.look(&app1).await.expect("looks");
    haproxy.model().heard.clear();
    balancer
        .deregister(&app1, Firmness::Drain, None)
        .await
        .expect("is out");
    balancer.terms(&app1).await.expect("terms");
    assert_eq!(haproxy.model().heard, ["show servers state web"]);
}

#[tokio::test]
async fn a_master_is_found_out_once_and_never_by_a_change() {
    let (haproxy, balancer, app1) = start(Dialect::Master).await;
    balancer
        .deregister(&app1, Firmness::Drain, None)
        .await
        .expect("leaves");
    assert_eq!(
        haproxy.model().heard,
        [
            "show servers state web",
            "@1 show servers state web",
            "@1 set server web/app1 state drain;show proc;@1 show info;@1 show servers state web;@1 show stat web 4 -1",
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
            .deregister(&app1, Firmness::Drain, None)
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
        .deregister(&app1, Firmness::Drain, None)
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
    assert!(error.to_string().contains("it goes on after 64 kB"), "{error}");
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
async fn a_table_without_end_ends() {
    let (haproxy, balancer, _) = start(Dialect::Worker).await;
    haproxy.model().servers = (0..30_000)
        .map(|number| {
            Server::new(
                &format!("web/a-server-with-a-rather-long-name-{number}"),
                "10.0.0.9:8080",
            )
        })
        .collect();
    let error = balancer.find().await.expect_err("endless");
    assert_eq!(error.lifetime(), Lifetime::Permanent);
    assert!(error.to_string().contains("it goes on after 4096 kB"), "{error}");
}

/// What a look says of the requests in flight: their number, and whether it may leave some out.
async fn counted(balancer: &dyn LoadBalancer, app1: &Target) -> (Option<u64>, bool) {
    let view = balancer.look(app1).await.expect("looks");
    (view.in_flight, view.partial)
}

#[tokio::test]
async fn another_process_counts_only_its_own_requests() {
    let (haproxy, balancer, app1) = start(Dialect::Worker).await;
    haproxy.model().uptime = 86_400;
    assert_eq!(counted(&*balancer, &app1).await, (Some(0), false));
    haproxy.model().pid += 1;
    haproxy.model().uptime = 0;
    assert_eq!(counted(&*balancer, &app1).await, (None, false));
    haproxy.model().pid -= 1;
    assert_eq!(counted(&*balancer, &app1).await, (None, false), "still");
}

#[tokio::test]
async fn a_process_that_is_young_may_have_replaced_one_that_still_serves() {
    for (uptime, partial) in [(0, true), (3_599, true), (3_600, false)] {
        let (haproxy, balancer, app1) = start(Dialect::Worker).await;
        haproxy.model().uptime = uptime;
        assert_eq!(counted(&*balancer, &app1).await, (Some(0), partial), "{uptime} s");
    }
}

#[tokio::test]
async fn a_master_knows_whether_one_does() {
    let (haproxy, balancer, app1) = start(Dialect::Master).await;
    assert_eq!(
        counted(&*balancer, &app1).await,
        (Some(0), false),
        "young, and the first"
    );
    haproxy.model().pid += 1;
    haproxy.model().old_workers = true;
    assert_eq!(counted(&*balancer, &app1).await, (None, false), "one serves on");
    haproxy.model().old_workers = false;
    assert_eq!(counted(&*balancer, &app1).await, (Some(0), false), "it has ended");
}

#[tokio::test]
async fn what_takes_it_out_of_maintenance_is_told_as_putting_it_back() {
    let (haproxy, balancer, app1) = start(Dialect::Worker).await;
    let agent_drains = || {
        let server = &mut haproxy.model().servers[0];
        (server.admin, server.running) = (8, 2);
    };
    balancer
        .deregister(&app1, Firmness::Drain, None)
        .await
        .expect("leaves");
    assert_eq!(balancer.look(&app1).await.expect("looks").rotation, Rotation::Out);
    balancer
        .deregister(&app1, Firmness::Firm, None)
        .await
        .expect("goes to maint");
    assert_eq!(balancer.look(&app1).await.expect("looks").rotation, Rotation::Out);
    agent_drains();
    let view = balancer.look(&app1).await.expect("looks");
    assert_eq!(view.rotation, Rotation::InService);
    assert_eq!(
        view.before["admin_state"], 0,
        "what is recorded now must not keep it out"
    );
    balancer
        .deregister(&app1, Firmness::Drain, None)
        .await
        .expect("goes there again");
    assert_eq!(balancer.look(&app1).await.expect("looks").rotation, Rotation::Out);
    agent_drains();
    balancer.register(&app1, None).await.expect("comes back");
    balancer
        .deregister(&app1, Firmness::Drain, None)
        .await
        .expect("leaves once more");
    assert_eq!(
        balancer.look(&app1).await.expect("looks").rotation,
        Rotation::Out,
        "nobody asked for maintenance this time"
    );
}

#[tokio::test]
async fn a_host_whose_addresses_are_not_known_is_not_taken_for_no_member() {
    let haproxy = Haproxy::start(Dialect::Worker, vec![Server::new("web/app1", "10.0.0.7:8080")]).await;
    let settings = Settings {
        sockets: vec![haproxy.socket().to_str().expect("a path").to_owned()],
        match_by: Some(Match::Address),
        ..Settings::default()
    };
    let host = |addresses: &[&str]| Host {
        ports: vec![8080],
        addresses: addresses
            .iter()
            .map(|address| address.parse().expect("an address"))
            .collect::<Vec<_>>()
            .into(),
        ..Host::default()
    };
    let blind = connect(settings.clone(), &host(&[])).expect("settings").remove(0);
    let error = blind.find().await.expect_err("nothing is known");
    assert_eq!(error.lifetime(), Lifetime::Permanent);
    assert!(
        error
            .to_string()
            .contains("cannot be searched for this host: no address of this host is known; "),
        "{error}"
    );
    let elsewhere = connect(settings, &host(&["10.0.0.8"]))
        .expect("settings")
        .remove(0);
    assert!(elsewhere.find().await.expect("finds").is_empty());
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
