//! Leaving and coming back.

use lb_drain_api::{Firmness, LoadBalancer, Rotation, Target, View};
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::app::{App, request, sticky_request};
use crate::haproxy::{Haproxy, eventually};

const WEB: &str = "
backend web
  server app1 127.0.0.1:8080 weight 20
  server app2 127.0.0.1:8081
backend fixed
  balance source
  server app1 127.0.0.1:8080 weight 20
  server app2 127.0.0.1:8081
";

async fn look(balancer: &dyn LoadBalancer, target: &Target) -> View {
    balancer.look(target).await.expect("looks")
}

/// The view by `find`, of a balancer with one server.
async fn find(balancer: &dyn LoadBalancer) -> View {
    let found = balancer.find().await.expect("finds");
    assert_eq!(found.len(), 1, "{found:?}");
    let view = found.into_iter().next().map(|found| found.view);
    view.expect("an entry").expect("a view")
}

#[tokio::test]
async fn a_server_leaves_by_drain_and_then_maint() {
    let Some(haproxy) = Haproxy::start(WEB) else {
        return;
    };
    let balancer = haproxy.balancer("admin.sock", &["web/app1"]);
    let app1 = Target::new("web/app1");
    let view = find(&*balancer).await;
    assert_eq!(view.rotation, Rotation::InService);
    assert_eq!(view.state, "no check");
    assert_eq!(view.in_flight, Some(0));
    assert_eq!(
        view.ports,
        [8080],
        "its 127.0.0.1 is ours: it listens on a unix socket"
    );

    balancer
        .deregister(&app1, Firmness::Drain, None)
        .await
        .expect("drains");
    assert_eq!(haproxy.admin("web/app1"), 8);
    let view = look(&*balancer, &app1).await;
    assert_eq!((view.rotation, view.state.as_str()), (Rotation::Out, "DRAIN"));

    balancer
        .deregister(&app1, Firmness::Firm, None)
        .await
        .expect("goes to maint");
    assert_eq!(haproxy.admin("web/app1"), 1);
    let view = look(&*balancer, &app1).await;
    assert_eq!((view.rotation, view.state.as_str()), (Rotation::Out, "MAINT"));
    assert_eq!(haproxy.admin("web/app2"), 0, "nobody else was touched");
}

#[tokio::test]
async fn a_server_in_maint_is_never_raised() {
    let Some(haproxy) = Haproxy::start(WEB) else {
        return;
    };
    let balancer = haproxy.balancer_with("admin.sock", &["web/app1"], |settings| {
        settings.maint_after = Some(std::time::Duration::ZERO);
    });
    let app1 = Target::new("web/app1");
    haproxy.ask("set server web/app1 state maint");
    let before = find(&*balancer).await;
    assert_eq!(before.rotation, Rotation::Out);
    balancer
        .deregister(&app1, Firmness::Drain, None)
        .await
        .expect("is out");
    assert_eq!(
        haproxy.admin("web/app1"),
        1,
        "drain would have taken it out of maint"
    );
    balancer
        .register(&app1, Some(&before.before))
        .await
        .expect("as it was");
    assert_eq!(haproxy.admin("web/app1"), 1);
}

#[tokio::test]
async fn a_server_that_was_drained_before_stays_out() {
    let Some(haproxy) = Haproxy::start(WEB) else {
        return;
    };
    let balancer = haproxy.balancer_with("admin.sock", &["web/app1"], |settings| {
        settings.maint_after = Some(std::time::Duration::ZERO);
    });
    let app1 = Target::new("web/app1");
    haproxy.ask("set server web/app1 state drain");
    let before = find(&*balancer).await;
    for (state, admin) in [("drain", 8), ("maint", 1)] {
        haproxy.ask(&format!("set server web/app1 state {state}"));
        balancer
            .register(&app1, Some(&before.before))
            .await
            .expect("as it was");
        assert_eq!(haproxy.admin("web/app1"), admin);
    }
}

#[tokio::test]
async fn maint_without_a_record_is_somebody_elses() {
    let Some(haproxy) = Haproxy::start(WEB) else {
        return;
    };
    let balancer = haproxy.balancer_with("admin.sock", &["web/app1"], |settings| {
        settings.maint_after = Some(std::time::Duration::ZERO);
    });
    let app1 = Target::new("web/app1");
    let before = find(&*balancer).await.before;
    haproxy.ask("set server web/app1 state maint");
    balancer.register(&app1, None).await.expect_err("is not ours");
    assert_eq!(haproxy.admin("web/app1"), 1);
    balancer.register(&app1, Some(&before)).await.expect("comes back");
    assert_eq!(haproxy.admin("web/app1"), 0);
}

#[tokio::test]
async fn maint_by_somebody_else_is_not_undone_and_told() {
    let Some(haproxy) = Haproxy::start(WEB) else {
        return;
    };
    let balancer = haproxy.balancer("admin.sock", &["web/app1"]);
    let app1 = Target::new("web/app1");
    let before = find(&*balancer).await;
    balancer
        .deregister(&app1, Firmness::Drain, None)
        .await
        .expect("drains");
    haproxy.ask("set server web/app1 state maint");
    for before in [Some(&before.before), None] {
        let error = balancer.register(&app1, before).await.expect_err("is not ours");
        assert_eq!(
            error.to_string(),
            format!(
                r#"haproxy {} web/app1 is left as it is: it was put in maintenance by somebody else; when it may come back, run "set server web/app1 state ready" on that socket"#,
                haproxy.socket("admin.sock")
            )
        );
        assert_eq!(haproxy.admin("web/app1"), 1);
    }
}

#[tokio::test]
async fn the_weight_comes_back_too() {
    let Some(haproxy) = Haproxy::start(WEB) else {
        return;
    };
    for server in ["web/app1", "fixed/app1"] {
        let balancer = haproxy.balancer("admin.sock", &[server]);
        let target = Target::new(server);
        // A static algorithm takes no other weights.
        let weight = if server == "web/app1" { "7" } else { "0%" };
        haproxy.ask(&format!("set server {server} weight {weight}"));
        let before = find(&*balancer).await;
        let expected = haproxy.state(server, "srv_uweight");
        assert_ne!(expected, "20");
        balancer
            .deregister(&target, Firmness::Drain, None)
            .await
            .expect("drains");
        haproxy.ask(&format!("set server {server} weight 100%"));
        balancer
            .register(&target, Some(&before.before))
            .await
            .expect("comes back");
        assert_eq!(haproxy.state(server, "srv_uweight"), expected, "{server}");
        assert_eq!(haproxy.admin(server), 0, "{server}");
    }
}

#[tokio::test]
async fn a_weight_that_a_static_algorithm_refuses_is_no_failure() {
    let Some(haproxy) = Haproxy::start(WEB) else {
        return;
    };
    let balancer = haproxy.balancer("admin.sock", &["fixed/app1"]);
    let app1 = Target::new("fixed/app1");
    balancer
        .deregister(&app1, Firmness::Drain, None)
        .await
        .expect("drains");
    let before = json!({"admin_state": 0, "weight": 7, "configured_weight": 20});
    balancer
        .register(&app1, Some(&before))
        .await
        .expect("back, and its weight is the configuration's");
    assert_eq!(haproxy.admin("fixed/app1"), 0);
    assert_eq!(haproxy.state("fixed/app1", "srv_uweight"), "20");
}

#[tokio::test]
async fn a_server_without_weight_is_still_in_rotation_and_leaves() {
    let Some(haproxy) = Haproxy::start(WEB) else {
        return;
    };
    let balancer = haproxy.balancer("admin.sock", &["web/app1"]);
    let app1 = Target::new("web/app1");
    haproxy.ask("set server web/app1 weight 0%");
    let before = find(&*balancer).await;
    assert_eq!(before.rotation, Rotation::NotInService);
    balancer
        .deregister(&app1, Firmness::Drain, None)
        .await
        .expect("drains");
    assert_eq!(look(&*balancer, &app1).await.rotation, Rotation::Out);
    balancer
        .register(&app1, Some(&before.before))
        .await
        .expect("as it was");
    assert_eq!(haproxy.state("web/app1", "srv_uweight"), "0");
    assert_eq!(haproxy.admin("web/app1"), 0);
}

#[tokio::test]
async fn a_server_that_is_down_is_still_in_rotation_and_leaves() {
    // Nobody listens on port 1.
    let Some(haproxy) = Haproxy::start(
        "
backend web
  server app1 127.0.0.1:1 check inter 100ms fall 1
",
    ) else {
        return;
    };
    let balancer = haproxy.balancer("admin.sock", &["web/app1"]);
    let app1 = Target::new("web/app1");
    eventually("the check fails", async || {
        haproxy.state("web/app1", "srv_op_state") == "0"
    })
    .await;
    assert_eq!(find(&*balancer).await.rotation, Rotation::NotInService);
    balancer
        .deregister(&app1, Firmness::Drain, None)
        .await
        .expect("drains");
    let view = look(&*balancer, &app1).await;
    assert_eq!(view.rotation, Rotation::Out, "though shown as {}", view.state);
    assert_eq!(view.state, "DOWN");
}

#[tokio::test]
async fn a_server_that_asks_for_no_new_clients_is_still_in_rotation_and_leaves() {
    let app = App::start().await;
    let sections = "
backend web
  option httpchk GET /gone
  http-check disable-on-404
  server app1 127.0.0.1:PORT check inter 50ms fall 1000
";
    let Some(haproxy) = Haproxy::start(&sections.replace("PORT", &app.port.to_string())) else {
        return;
    };
    let balancer = haproxy.balancer("admin.sock", &["web/app1"]);
    let app1 = Target::new("web/app1");
    eventually("the check answers 404", async || {
        haproxy.state("web/app1", "srv_op_state") == "3"
    })
    .await;
    let view = find(&*balancer).await;
    assert_eq!(
        (view.rotation, view.state.as_str()),
        (Rotation::NotInService, "NOLB")
    );
    balancer
        .deregister(&app1, Firmness::Drain, None)
        .await
        .expect("drains");
    assert_eq!(look(&*balancer, &app1).await.rotation, Rotation::Out);
}

/// The reason for `maint_after`.
#[tokio::test]
async fn sticky_clients_keep_coming_in_drain_and_go_elsewhere_in_maint() {
    let app = App::start().await;
    let sections = "
frontend front
  bind {dir}/front.sock
  default_backend web
backend web
  cookie SERVER insert
  server app1 127.0.0.1:PORT cookie one
  server app2 127.0.0.1:PORT cookie two
";
    let Some(haproxy) = Haproxy::start(&sections.replace("PORT", &app.port.to_string())) else {
        return;
    };
    let balancer = haproxy.balancer("admin.sock", &["web/app1"]);
    let app1 = Target::new("web/app1");
    for (firmness, expected) in [(Firmness::Drain, 1), (Firmness::Firm, 0)] {
        balancer
            .deregister(&app1, firmness, None)
            .await
            .expect("goes out");
        let total = || haproxy.stat("web/app1", "stot").parse::<u32>().expect("a number");
        let before = total();
        let response = sticky_request(haproxy.path("front.sock"), "/", "one")
            .await
            .expect("answered");
        assert!(response.starts_with("HTTP/1.1 200"), "{response}");
        assert_eq!(total() - before, expected, "{firmness:?}");
    }
}

/// Load balancers keep connections; only requests count.
#[tokio::test]
async fn an_idle_connection_is_not_in_flight() {
    let app = App::start().await;
    let Some(haproxy) = Haproxy::start(&SLOW.replace("PORT", &app.port.to_string())) else {
        return;
    };
    let balancer = haproxy.balancer("admin.sock", &["web/app1"]);
    let mut client = tokio::net::UnixStream::connect(haproxy.path("front.sock"))
        .await
        .expect("connects");
    for _ in 0..2 {
        client
            .write_all(b"GET / HTTP/1.1\r\nHost: app\r\n\r\n")
            .await
            .expect("asks");
        let mut response = [0; 1024];
        let length = client.read(&mut response).await.expect("is answered");
        assert!(response[..length].starts_with(b"HTTP/1.1 200"));
    }
    let app1 = Target::new("web/app1");
    eventually("nothing is in flight", async || {
        look(&*balancer, &app1).await.in_flight == Some(0)
    })
    .await;
    client
        .write_all(b"GET /slow HTTP/1.1\r\nHost: app\r\n\r\n")
        .await
        .expect("the connection lives");
    eventually("now something is", async || {
        look(&*balancer, &app1).await.in_flight == Some(1)
    })
    .await;
}

const SLOW: &str = "
frontend front
  bind {dir}/front.sock
  default_backend web
backend web
  cookie SERVER insert
  server app1 127.0.0.1:PORT maxconn 1 cookie one
";

#[tokio::test]
async fn requests_served_and_waiting_are_in_flight_until_answered() {
    let app = App::start().await;
    let Some(haproxy) = Haproxy::start(&SLOW.replace("PORT", &app.port.to_string())) else {
        return;
    };
    let balancer = haproxy.balancer("admin.sock", &["web/app1"]);
    let app1 = Target::new("web/app1");
    let served = request(haproxy.path("front.sock"), "/slow");
    eventually("one is served", async || {
        look(&*balancer, &app1).await.in_flight == Some(1)
    })
    .await;
    // One that may be served elsewhere waits for the backend; one that sticks waits for this server.
    let waiting = sticky_request(haproxy.path("front.sock"), "/slow", "one");
    eventually("one waits", async || {
        look(&*balancer, &app1).await.in_flight == Some(2)
    })
    .await;
    balancer
        .deregister(&app1, Firmness::Drain, None)
        .await
        .expect("drains");
    let view = look(&*balancer, &app1).await;
    assert_eq!((view.rotation, view.in_flight), (Rotation::Out, Some(2)));
    let refused = request(haproxy.path("front.sock"), "/").await.expect("answered");
    assert!(refused.starts_with("HTTP/1.1 503"), "{refused}");

    app.release();
    for response in [served, waiting] {
        let response = response.await.expect("answered");
        assert!(response.starts_with("HTTP/1.1 200"), "{response}");
    }
    eventually("nothing is in flight any more", async || {
        look(&*balancer, &app1).await.in_flight == Some(0)
    })
    .await;
}

#[tokio::test]
async fn cut_ends_what_is_in_flight_there_and_nowhere_else() {
    let app = App::start().await;
    let sections = "
frontend front
  bind {dir}/front.sock
  use_backend web if { path /slow }
  default_backend other
frontend second
  bind {dir}/other.sock
  default_backend other
backend web
  server app1 127.0.0.1:PORT
backend other
  server app1 127.0.0.1:PORT
";
    let Some(haproxy) = Haproxy::start(&sections.replace("PORT", &app.port.to_string())) else {
        return;
    };
    let balancer = haproxy.balancer("admin.sock", &["web/app1", "other/app1"]);
    let (web, other) = (Target::new("web/app1"), Target::new("other/app1"));
    let cut = request(haproxy.path("front.sock"), "/slow");
    let kept = request(haproxy.path("other.sock"), "/slow");
    eventually("both are served", async || {
        look(&*balancer, &web).await.in_flight == Some(1)
            && look(&*balancer, &other).await.in_flight == Some(1)
    })
    .await;
    balancer.cut(&web).await.expect("cuts");
    let response = cut.await.expect("ended");
    assert!(!response.contains("200 OK"), "{response}");
    app.release();
    assert!(kept.await.expect("answered").contains("200 OK"));
}
