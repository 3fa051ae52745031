//! What happens behind our back.

use lb_drain_api::{Firmness, LoadBalancer, Rotation, Target, View};

use crate::app::{Agent, App, request};
use crate::haproxy::{Haproxy, eventually};

const WEB: &str = "
frontend front
  bind {dir}/front.sock
  default_backend web
backend web
  server app1 127.0.0.1:PORT
";

async fn look(balancer: &dyn LoadBalancer) -> View {
    balancer.look(&Target::new("web/app1")).await.expect("looks")
}

/// Starts a slow request and waits until HAProxy counts it.
async fn slow_request(haproxy: &Haproxy, balancer: &dyn LoadBalancer) -> tokio::task::JoinHandle<String> {
    let slow = request(haproxy.path("front.sock"), "/slow");
    eventually("the request is seen", async || {
        look(balancer).await.in_flight == Some(1)
    })
    .await;
    slow
}

/// A reload in the middle of a drain, with states kept or not; asked at a worker's socket or the master's.
async fn reload_during_a_drain(keep_state: bool, socket: &str) {
    let app = App::start().await;
    let sections = WEB.replace("PORT", &app.port.to_string());
    let Some(haproxy) = Haproxy::start_master(&sections, keep_state) else {
        return;
    };
    let balancer = haproxy.balancer(socket, &["web/app1"]);
    let app1 = Target::new("web/app1");
    balancer.find().await.expect("finds");
    assert!(!look(&*balancer).await.partial, "its worker is the first");
    let slow = slow_request(&haproxy, &*balancer).await;
    balancer
        .deregister(&app1, Firmness::Drain, None)
        .await
        .expect("drains");
    assert_eq!(look(&*balancer).await.rotation, Rotation::Out);
    if keep_state {
        std::fs::write(haproxy.path("state"), haproxy.ask("show servers state")).expect("written");
    }
    haproxy.reload();

    let view = look(&*balancer).await;
    let expected = if keep_state {
        Rotation::Out
    } else {
        Rotation::InService
    };
    assert_eq!(view.rotation, expected);
    assert_eq!(
        view.in_flight, None,
        "the new process does not count what the old one still serves"
    );
    // Who comes after the reload has not seen it.
    let late = look(&*haproxy.balancer(socket, &["web/app1"])).await;
    let expected = match socket {
        "master.sock" => (None, false),
        _ => (Some(0), true),
    };
    assert_eq!((late.in_flight, late.partial), expected);
    balancer
        .deregister(&app1, Firmness::Drain, None)
        .await
        .expect("drains again");
    let view = look(&*balancer).await;
    assert_eq!((view.rotation, view.in_flight), (Rotation::Out, None));
    app.release();
    let response = slow.await.expect("answered");
    assert!(response.starts_with("HTTP/1.1 200"), "{response}");
    if socket == "master.sock" {
        eventually("the old worker ends, and the count is whole", async || {
            let view = look(&*balancer).await;
            (view.in_flight, view.partial) == (Some(0), false)
        })
        .await;
    }
}

#[tokio::test]
async fn a_reload_undoes_a_drain_and_it_is_done_again() {
    reload_during_a_drain(false, "admin.sock").await;
}

#[tokio::test]
async fn a_reload_that_keeps_states_keeps_a_drain() {
    reload_during_a_drain(true, "admin.sock").await;
}

#[tokio::test]
async fn a_master_passes_on_to_the_new_worker_after_a_reload() {
    reload_during_a_drain(false, "master.sock").await;
}

#[tokio::test]
async fn a_server_that_a_reload_removes_is_out_with_nothing_known_of_its_requests() {
    let app = App::start().await;
    let sections = WEB.replace("PORT", &app.port.to_string());
    let Some(haproxy) = Haproxy::start_master(&sections, false) else {
        return;
    };
    let balancer = haproxy.balancer("admin.sock", &["web/app1"]);
    balancer.find().await.expect("finds");
    let configuration = std::fs::read_to_string(haproxy.path("haproxy.cfg")).expect("read");
    let configuration = configuration.replace("server app1", "server app2");
    std::fs::write(haproxy.path("haproxy.cfg"), configuration).expect("written");
    haproxy.reload();
    let view = look(&*balancer).await;
    assert_eq!((view.rotation, view.in_flight), (Rotation::Out, None));
    assert_eq!(view.state, "removed from HAProxy");
}

#[tokio::test]
async fn an_agent_that_says_ready_undoes_a_drain_and_it_is_done_again() {
    let agent = Agent::start("up").await;
    let sections = format!(
        "
backend web
  server app1 127.0.0.1:8080 agent-check agent-port {} agent-inter 50ms
",
        agent.port
    );
    let Some(haproxy) = Haproxy::start(&sections) else {
        return;
    };
    let balancer = haproxy.balancer("admin.sock", &["web/app1"]);
    let app1 = Target::new("web/app1");
    balancer
        .deregister(&app1, Firmness::Drain, None)
        .await
        .expect("drains");
    let view = look(&*balancer).await;
    assert_eq!(
        (view.rotation, view.state.as_str()),
        (Rotation::Out, "DRAIN (agent)")
    );

    agent.say("ready");
    eventually("the agent undoes the drain", async || {
        haproxy.admin("web/app1") == 0
    })
    .await;
    assert_eq!(look(&*balancer).await.rotation, Rotation::InService);
    agent.say("up");
    tokio::time::sleep(std::time::Duration::from_millis(300)).await;
    balancer
        .deregister(&app1, Firmness::Drain, None)
        .await
        .expect("drains again");
    assert_eq!(look(&*balancer).await.rotation, Rotation::Out);

    // Drained by its agent it is out as well: the same bit, whoever set it.
    balancer.register(&app1, None).await.expect("comes back");
    agent.say("drain");
    eventually("the agent drains", async || haproxy.admin("web/app1") == 8).await;
    assert_eq!(look(&*balancer).await.rotation, Rotation::Out);
}

#[tokio::test]
async fn an_agent_that_says_drain_undoes_maintenance_and_it_is_done_again() {
    let agent = Agent::start("up").await;
    let sections = format!(
        "
backend web
  server app1 127.0.0.1:8080 agent-check agent-port {} agent-inter 50ms
",
        agent.port
    );
    let Some(haproxy) = Haproxy::start(&sections) else {
        return;
    };
    let balancer = haproxy.balancer("admin.sock", &["web/app1"]);
    let app1 = Target::new("web/app1");
    balancer
        .deregister(&app1, Firmness::Firm, None)
        .await
        .expect("goes to maint");
    assert_eq!(look(&*balancer).await.rotation, Rotation::Out);
    agent.say("drain");
    eventually("the agent takes it to drain", async || {
        haproxy.admin("web/app1") == 8
    })
    .await;
    assert!(look(&*balancer).await.rotation.may_route());
    agent.say("up");
    tokio::time::sleep(std::time::Duration::from_millis(300)).await;
    balancer
        .deregister(&app1, Firmness::Firm, None)
        .await
        .expect("goes there again");
    assert_eq!(haproxy.admin("web/app1"), 1);
    assert_eq!(look(&*balancer).await.rotation, Rotation::Out);
}

#[tokio::test]
async fn a_server_that_tracks_another_gets_a_state_of_its_own() {
    let app = App::start().await;
    let sections = "
backend web
  server app1 127.0.0.1:PORT check inter 100ms fall 1000
backend api
  server app1 127.0.0.1:PORT track web/app1
";
    let sections = sections.replace("PORT", &app.port.to_string());
    let Some(haproxy) = Haproxy::start(&sections) else {
        return;
    };
    let balancer = haproxy.balancer("admin.sock", &["api/app1"]);
    let tracker = Target::new("api/app1");
    for (state, inherited) in [("drain", 0x10), ("maint", 0x02)] {
        haproxy.ask(&format!("set server web/app1 state {state}"));
        assert_eq!(haproxy.admin("api/app1"), inherited);
        let before = balancer.look(&tracker).await.expect("looks");
        assert_eq!(
            before.rotation,
            Rotation::NotInService,
            "it comes back with the other one"
        );
        balancer
            .deregister(&tracker, Firmness::Drain, None)
            .await
            .expect("drains");
        assert_eq!(
            haproxy.admin("api/app1"),
            inherited | 0x08,
            "what is inherited stays"
        );
        haproxy.ask("set server web/app1 state ready");
        assert_eq!(
            balancer.look(&tracker).await.expect("looks").rotation,
            Rotation::Out
        );
        balancer
            .register(&tracker, Some(&before.before))
            .await
            .expect("comes back");
        assert_eq!(haproxy.admin("api/app1"), 0);
    }
}
