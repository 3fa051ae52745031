//! Sockets of each kind, and their unpleasant sides.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use lb_drain_api::{Firmness, Host, Lifetime, LoadBalancer, Rotation, Severity, Target};
use lb_drain_haproxy::{Settings, connect};

use crate::haproxy::{Haproxy, PATIENCE};

const WEB: &str = "
backend web
  server app1 127.0.0.1:8080
  server app2 127.0.0.1:8081 cookie a
";

fn app1() -> Target {
    Target::new("web/app1")
}

/// Out and in again.
async fn leaves_and_comes_back(haproxy: &Haproxy, balancer: &dyn LoadBalancer) {
    let found = balancer.find().await.expect("finds");
    let before = found[0].view.as_ref().expect("a view");
    assert_eq!(before.rotation, Rotation::InService);
    balancer
        .deregister(&app1(), Firmness::Drain, None)
        .await
        .expect("leaves");
    assert_eq!(haproxy.admin("web/app1"), 8);
    assert_eq!(
        balancer.look(&app1()).await.expect("looks").rotation,
        Rotation::Out
    );
    balancer.cut(&app1()).await.expect("cuts");
    balancer
        .register(&app1(), Some(&before.before))
        .await
        .expect("comes back");
    assert_eq!(haproxy.admin("web/app1"), 0);
    let error = balancer
        .deregister(&Target::new("web/nope"), Firmness::Drain, None)
        .await
        .expect_err("no such server");
    assert!(
        error
            .to_string()
            .contains("No such server; the servers of web are app1, app2"),
        "{error}"
    );
}

#[tokio::test]
async fn a_worker_is_spoken_to_with_and_without_severities() {
    let Some(haproxy) = Haproxy::start(WEB) else {
        return;
    };
    for socket in ["admin.sock", "words.sock", "numbers.sock"] {
        let balancer = haproxy.balancer(socket, &["web/app1"]);
        leaves_and_comes_back(&haproxy, &*balancer).await;
        let view = balancer.look(&app1()).await.expect("looks");
        assert!(!view.partial, "it was started to take over from nobody");
    }
}

#[tokio::test]
async fn a_master_is_found_out_and_spoken_to() {
    let Some(haproxy) = Haproxy::start_master(WEB, false) else {
        return;
    };
    let balancer = haproxy.balancer("master.sock", &["web/app1"]);
    leaves_and_comes_back(&haproxy, &*balancer).await;
    for finding in balancer.check().await {
        assert_eq!(finding.severity, Severity::Fine, "{finding:?}");
    }
    // Each verb finds it out for itself.
    haproxy
        .balancer("master.sock", &["web/app1"])
        .cut(&app1())
        .await
        .expect("cuts");
    haproxy
        .balancer("master.sock", &["web/app1"])
        .register(&app1(), None)
        .await
        .expect("comes back");
}

#[tokio::test]
async fn tcp_is_spoken_in_both_families() {
    // Free a moment ago: nothing else is known to HAProxy of a free port.
    let port = |address: &str| {
        let listener = TcpListener::bind((address, 0)).ok()?;
        Some(listener.local_addr().expect("an address").port())
    };
    let (Some(four), Some(six)) = (port("127.0.0.1"), port("::1")) else {
        panic!("no loopback of both families");
    };
    let global = format!(
        "global\n  stats socket ipv4@127.0.0.1:{four} level admin\n  stats socket ipv6@::1:{six} level admin\n"
    );
    let Some(haproxy) = Haproxy::start(&format!("{global}{WEB}")) else {
        return;
    };
    for socket in [
        format!("tcp://127.0.0.1:{four}"),
        format!("tcp://[::1]:{six}"),
        format!("tcp://localhost:{four}"),
    ] {
        let settings = Settings {
            sockets: vec![socket],
            servers: vec!["web/app1".to_owned()],
            ..Settings::default()
        };
        let balancer = connect(settings, &Host::default()).expect("settings").remove(0);
        leaves_and_comes_back(&haproxy, &*balancer).await;
        let view = balancer.look(&app1()).await.expect("looks");
        assert!(
            view.partial,
            "how it was started is not known of one that is far away"
        );
    }
}

#[tokio::test]
async fn an_operators_socket_reads_and_is_told_to_be_an_admins() {
    let Some(haproxy) = Haproxy::start(WEB) else {
        return;
    };
    let balancer = haproxy.balancer("operator.sock", &["web/app1"]);
    balancer.find().await.expect("reads")[0]
        .view
        .as_ref()
        .expect("a view");
    let error = balancer
        .deregister(&app1(), Firmness::Drain, None)
        .await
        .expect_err("is denied");
    assert_eq!(error.lifetime(), Lifetime::Permanent);
    assert_eq!(
        error.to_string(),
        format!(
            r#"haproxy {} refused "set server web/app1 state drain": Permission denied; the socket needs "level admin""#,
            haproxy.socket("operator.sock")
        )
    );
    balancer.cut(&app1()).await.expect_err("is denied");
    assert_eq!(haproxy.admin("web/app1"), 0);
    let findings = balancer.check().await;
    let problem = findings
        .iter()
        .find(|finding| finding.severity == Severity::Problem)
        .expect("a problem");
    assert!(problem.what.ends_with(r#"has level "operator""#), "{problem:?}");
}

#[tokio::test]
async fn a_check_tells_of_servers_that_are_out_and_of_clients_that_stick() {
    let Some(haproxy) = Haproxy::start(WEB) else {
        return;
    };
    haproxy.ask("set server web/app1 state maint");
    let findings = haproxy
        .balancer("admin.sock", &["web/app1", "web/app2", "web/app3"])
        .check()
        .await;
    let told = findings
        .iter()
        .map(|finding| (finding.severity, finding.what.as_str()))
        .collect::<Vec<_>>();
    let name = format!("haproxy {}", haproxy.socket("admin.sock"));
    assert_eq!(
        told,
        [
            (
                Severity::Fine,
                format!("{name} answers and permits changes").as_str()
            ),
            (
                Severity::Warning,
                format!("{name} web/app1: its state is MAINT").as_str()
            ),
            (
                Severity::Warning,
                format!("{name} web/app2: its state is no check, and its clients stick to it by a cookie")
                    .as_str()
            ),
            (
                Severity::Problem,
                format!("{name} does not know web/app3: No such server; the servers of web are app1, app2")
                    .as_str()
            ),
        ]
    );
}

#[tokio::test]
async fn a_socket_whose_connections_are_taken_hangs_and_recovers() {
    let Some(haproxy) = Haproxy::start(WEB) else {
        return;
    };
    let balancer = haproxy.balancer("one.sock", &["web/app1"]);
    let holder = UnixStream::connect(haproxy.path("one.sock")).expect("connects");
    // HAProxy has taken note of it when it answers.
    haproxy.ask("show info");
    tokio::time::sleep(Duration::from_millis(100)).await;
    let hung = tokio::time::timeout(Duration::from_millis(300), balancer.find()).await;
    assert!(hung.is_err(), "connecting succeeds, and nobody answers: {hung:?}");
    drop(holder);
    let found = tokio::time::timeout(PATIENCE, balancer.find())
        .await
        .expect("in time")
        .expect("finds");
    assert_eq!(found.len(), 1);
}

#[tokio::test]
async fn a_dead_haproxy_is_told_and_may_come_back() {
    let Some(haproxy) = Haproxy::start(WEB) else {
        return;
    };
    let balancer = haproxy.balancer("admin.sock", &["web/app1"]);
    let socket = haproxy.socket("admin.sock");
    let gone = haproxy.balancer("nowhere.sock", &["web/app1"]);
    let error = gone.find().await.expect_err("no such file");
    assert!(matches!(error.lifetime(), Lifetime::Temporary { .. }));
    let nowhere = haproxy.socket("nowhere.sock");
    assert_eq!(
        error.to_string(),
        format!(
            r#"haproxy {nowhere} cannot be reached: No such file or directory; is HAProxy running, and is there "stats socket {nowhere} level admin" in its "global" section?"#
        )
    );
    let directory = haproxy.kill();
    let error = balancer.find().await.expect_err("is dead");
    assert!(matches!(error.lifetime(), Lifetime::Temporary { .. }));
    assert_eq!(
        error.to_string(),
        format!("haproxy {socket} cannot be reached: Connection refused; is HAProxy running?")
    );
    drop(directory);
}

/// The reason for `;` and for one connection each: what a second line does depends on the release.
#[tokio::test]
async fn of_two_lines_the_first_is_run_and_of_one_without_an_end_nothing() {
    let Some(haproxy) = Haproxy::start(WEB) else {
        return;
    };
    let say = |text: &str| {
        let mut stream = UnixStream::connect(haproxy.path("admin.sock")).expect("connects");
        stream.set_read_timeout(Some(PATIENCE)).expect("a limit");
        stream.write_all(text.as_bytes()).expect("sent");
        stream.shutdown(Shutdown::Write).expect("closed");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("answered");
        answer
    };
    say("set server web/app1 state drain\nset server web/app2 state drain\n");
    assert_eq!(haproxy.admin("web/app1"), 8);
    say("set server web/app1 state ready");
    assert_eq!(haproxy.admin("web/app1"), 8, "the line had no end");
    say("set server web/app1 state ready;set server web/app2 state maint\n");
    assert_eq!((haproxy.admin("web/app1"), haproxy.admin("web/app2")), (0, 1));
}
