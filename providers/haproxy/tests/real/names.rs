//! Which servers are meant.

use std::net::IpAddr;

use lb_drain_api::{Firmness, Host, LoadBalancer, Rotation, Severity, Target};
use lb_drain_haproxy::{Match, Settings, connect};

use crate::haproxy::{Haproxy, eventually};

const WEB: &str = "
backend web
  server app1 127.0.0.1:8080
  server app2 127.0.0.1:8081
backend 123
  server 7 127.0.0.1:8080
backend domain
  server app1 127.0.0.1:8080
backend we:b.x_y-z
  server a:b.c_d-e 127.0.0.1:8080
backend off
  disabled
  server app1 127.0.0.1:8080
";

#[tokio::test]
async fn names_of_all_kinds_leave_and_come_back() {
    let Some(haproxy) = Haproxy::start(WEB) else {
        return;
    };
    for name in ["web/app1", "123/7", "domain/app1", "we:b.x_y-z/a:b.c_d-e"] {
        let balancer = haproxy.balancer("admin.sock", &[name]);
        let found = balancer.find().await.expect(name);
        let view = found[0].view.as_ref().expect(name);
        assert_eq!(
            (view.rotation, view.in_flight),
            (Rotation::InService, Some(0)),
            "{name}"
        );
        let target = Target::new(name);
        balancer
            .deregister(&target, Firmness::Drain, None)
            .await
            .expect(name);
        assert_eq!(haproxy.admin(name), 8);
        balancer.register(&target, Some(&view.before)).await.expect(name);
        assert_eq!(haproxy.admin(name), 0);
    }
}

#[tokio::test]
async fn several_servers_are_found_at_once_and_one_mistake_is_one_mistake() {
    let Some(haproxy) = Haproxy::start(WEB) else {
        return;
    };
    let names = ["web/app1", "web/app9", "nope/app1", "web/app2", "123/7"];
    let balancer = haproxy.balancer("admin.sock", &names);
    let found = balancer.find().await.expect("finds");
    let targets = found
        .iter()
        .map(|found| found.target.as_str())
        .collect::<Vec<_>>();
    assert_eq!(targets, names);
    let socket = haproxy.socket("admin.sock");
    let errors = found
        .iter()
        .filter_map(|found| found.view.as_ref().err())
        .map(ToString::to_string)
        .collect::<Vec<_>>();
    assert_eq!(
        errors,
        [
            format!(
                "haproxy {socket} does not know web/app9: No such server; the servers of web are app1, app2"
            ),
            format!(
                "haproxy {socket} does not know nope/app1: No such backend; its backends are 123, domain, off, we:b.x_y-z, web"
            ),
        ]
    );
}

#[tokio::test]
async fn more_servers_than_one_command_line_holds_are_found() {
    let mut sections = String::new();
    let mut names = Vec::new();
    for backend in 0..150 {
        let backend = format!("a-backend-with-a-rather-long-name-as-some-generators-make-them-{backend}");
        sections += &format!("backend {backend}\n  server app1 127.0.0.1:8080\n");
        names.push(format!("{backend}/app1"));
    }
    let Some(haproxy) = Haproxy::start_master(&sections, false) else {
        return;
    };
    let names = names.iter().map(String::as_str).collect::<Vec<_>>();
    for socket in ["admin.sock", "master.sock"] {
        let found = haproxy.balancer(socket, &names).find().await.expect("finds");
        assert_eq!(found.len(), names.len());
        for found in found {
            let view = found.view.expect("a view");
            assert_eq!((view.rotation, view.in_flight), (Rotation::InService, Some(0)));
        }
    }
}

#[tokio::test]
async fn a_frontend_of_the_same_name_does_not_hide_the_requests_in_flight() {
    let sections = "
frontend web
  bind {dir}/front.sock
  default_backend web
backend web
  server app1 127.0.0.1:PORT
";
    let app = crate::app::App::start().await;
    let sections = sections.replace("PORT", &app.port.to_string());
    let Some(haproxy) = Haproxy::start_unless(&sections, "same name as frontend") else {
        return;
    };
    let balancer = haproxy.balancer("admin.sock", &["web/app1"]);
    let slow = crate::app::request(haproxy.path("front.sock"), "/slow");
    let app1 = Target::new("web/app1");
    eventually("the request is seen", async || {
        balancer.look(&app1).await.expect("looks").in_flight == Some(1)
    })
    .await;
    app.release();
    slow.await.expect("answered");
}

#[tokio::test]
async fn a_disabled_backend_routes_nothing() {
    let Some(haproxy) = Haproxy::start(WEB) else {
        return;
    };
    let balancer = haproxy.balancer("admin.sock", &["off/app1"]);
    let found = balancer.find().await.expect("finds");
    let view = found[0].view.as_ref().expect("a view");
    assert_eq!(view.rotation, Rotation::NotAMember, "{view:?}");
    let error = balancer
        .deregister(&Target::new("off/app1"), Firmness::Drain, None)
        .await
        .expect_err("cannot");
    assert!(
        error.to_string().contains("Proxy is disabled; the backend has"),
        "{error}"
    );
}

#[tokio::test]
async fn a_name_never_runs_as_a_command() {
    let Some(haproxy) = Haproxy::start(WEB) else {
        return;
    };
    let balancer = haproxy.balancer("admin.sock", &["web/app1"]);
    for name in [
        "web/app1;set server web/app2 state maint;",
        "web/app1\nset server web/app2 state maint",
        "web/app1 state drain;set server web/app2 state maint #",
        "web/app1\\;set server web/app2 state maint",
    ] {
        let target = Target::new(name);
        balancer
            .deregister(&target, Firmness::Drain, None)
            .await
            .expect_err(name);
        balancer.register(&target, None).await.expect_err(name);
        balancer.cut(&target).await.expect_err(name);
        balancer.look(&target).await.expect_err(name);
        let settings = Settings {
            sockets: vec![haproxy.socket("admin.sock")],
            servers: vec![name.to_owned()],
            ..Settings::default()
        };
        connect(settings, &Host::default()).expect_err(name);
    }
    assert_eq!((haproxy.admin("web/app1"), haproxy.admin("web/app2")), (0, 0));
}

fn by_address(haproxy: &Haproxy, addresses: &[&str], ports: &[u16]) -> std::sync::Arc<dyn LoadBalancer> {
    let settings = Settings {
        sockets: vec![haproxy.socket("admin.sock")],
        match_by: Some(Match::Address),
        ..Settings::default()
    };
    let host = Host {
        addresses: addresses
            .iter()
            .map(|address| address.parse::<IpAddr>().expect("an address"))
            .collect::<Vec<_>>()
            .into(),
        ports: ports.to_vec(),
        ..Host::default()
    };
    connect(settings, &host).expect("settings").remove(0)
}

const ADDRESSES: &str = "
backend web
  server mine 192.0.2.7:8080
  server six [2001:db8::7]:8080
  server near 127.0.0.1:8080
  server other 192.0.2.8:8080
  server admin 192.0.2.7:9090
  server any 192.0.2.7
  server elsewhere 192.0.2.8
backend api
  server mine 192.0.2.7:8081
  server path unix@/nowhere.sock
  server gone app.example.invalid:8080 init-addr none
";

#[tokio::test]
async fn every_entry_with_this_hosts_address_and_port_is_found() {
    let Some(haproxy) = Haproxy::start(ADDRESSES) else {
        return;
    };
    let balancer = by_address(&haproxy, &["192.0.2.7", "2001:db8::7"], &[8080, 8081]);
    let found = balancer.find().await.expect("finds");
    let targets = found
        .iter()
        .map(|found| found.target.as_str())
        .collect::<Vec<_>>();
    assert_eq!(
        targets,
        ["web/mine", "web/six", "web/near", "web/any", "api/mine"]
    );
    let ports = found
        .iter()
        .map(|found| found.view.as_ref().expect("a view").ports.clone());
    assert_eq!(
        ports.collect::<Vec<_>>(),
        [&[8080][..], &[8080], &[8080], &[], &[8081]],
        "one that has no port of its own may get requests for ours"
    );
    for found in &found {
        balancer
            .deregister(&found.target, Firmness::Drain, None)
            .await
            .expect("leaves");
        assert_eq!(haproxy.admin(found.target.as_str()), 8);
    }
    assert_eq!((haproxy.admin("web/other"), haproxy.admin("web/admin")), (0, 0));
}

#[tokio::test]
async fn an_address_that_is_nowhere_is_no_member_and_a_problem_for_check() {
    let Some(haproxy) = Haproxy::start(ADDRESSES) else {
        return;
    };
    let balancer = by_address(&haproxy, &["192.0.2.99"], &[1]);
    assert!(balancer.find().await.expect("finds").is_empty());
    let findings = balancer.check().await;
    let problem = findings
        .iter()
        .find(|finding| finding.severity == Severity::Problem);
    let what = &problem.expect("a problem").what;
    assert!(
        what.ends_with("has no server of this host (addresses 192.0.2.99, ports 1)"),
        "{what}"
    );
}
