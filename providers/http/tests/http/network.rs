//! Names with several addresses, IPv6, proxies.

use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::time::{Duration, Instant};

use lb_drain_api::Severity;
use lb_drain_test_support::certificates::Authority;
use lb_drain_test_support::http::{Fake, Reply};

use crate::support::{again, always, is_child, is_temporary, leave, leaves_by};

fn block_on(future: impl Future<Output = ()>) {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap()
        .block_on(future);
}

#[tokio::test]
async fn a_server_on_ipv6_alone_is_reached() {
    let fake = Fake::start_v6(|_| Reply::new(200, ""));
    assert!(fake.url().starts_with("http://[::1]:"));
    let balancer = leaves_by("PUT", &fake.url(), "");
    assert_eq!(balancer.identity().endpoint, fake.url());
    leave(&balancer).await.expect("left");
}

/// A socket that is as good as dead: its queue is full, so the kernel drops every further SYN.
fn dead(address: Ipv4Addr, port: u16) -> (TcpListener, Vec<TcpStream>) {
    let socket = rustix::net::socket(
        rustix::net::AddressFamily::INET,
        rustix::net::SocketType::STREAM,
        None,
    )
    .unwrap();
    rustix::net::bind(&socket, &std::net::SocketAddrV4::new(address, port)).unwrap();
    rustix::net::listen(&socket, 0).unwrap();
    let listener = TcpListener::from(socket);
    let to = (address, port).into();
    let full = (0..3)
        .filter_map(|_| TcpStream::connect_timeout(&to, Duration::from_millis(300)).ok())
        .collect();
    (listener, full)
}

/// Nothing was sent, so nothing is in doubt; and the next attempt may get through.
#[tokio::test]
async fn a_connection_that_is_not_there_in_time_leaves_no_post_in_doubt() {
    let spare = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let (listener, full) = dead(Ipv4Addr::LOCALHOST, spare.port());
    let balancer = leaves_by("POST", &format!("http://{spare}/out"), "timeout = '1s'");
    for _ in 0..2 {
        let error = leave(&balancer).await.expect_err("no connection");
        assert!(is_temporary(&error), "{error}");
        assert!(
            error
                .to_string()
                .contains(r#"could not be reached for "POST /out": timed out"#),
            "{error}"
        );
    }
    drop((listener, full));
    let fake = Fake::on(spare, None, |_| Reply::new(200, ""));
    leave(&balancer).await.expect("left");
    assert_eq!(fake.lines(), ["POST /out"]);
}

/// As long as the engine's attempts get: a resolver or a handshake that needs its time is waited for in the end.
#[tokio::test]
async fn the_next_connection_is_waited_for_twice_as_long() {
    let spare = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let _dead = dead(Ipv4Addr::LOCALHOST, spare.port());
    let balancer = leaves_by("PUT", &format!("http://{spare}/"), "timeout = '3s'");
    for at_least in [1.7, 2.3] {
        let start = Instant::now();
        leave(&balancer).await.expect_err("no connection");
        let took = start.elapsed().as_secs_f64();
        assert!(took >= at_least && took < at_least + 1.0, "{took} s");
    }
}

/// The resolver may sort the addresses, so each of the two is the dead one once.
/// In a network of its own: a port that is free on one address may be another test's on the second.
#[test]
fn a_dead_first_address_leaves_time_for_the_second() {
    if is_child() {
        return block_on(async {
            for (alive, other) in
                [(1, 2), (2, 1)].map(|(a, b)| (Ipv4Addr::new(127, 0, 0, a), Ipv4Addr::new(127, 0, 0, b)))
            {
                for refuses in [true, false] {
                    let fake = Fake::on((alive, 0).into(), None, |_| Reply::new(200, ""));
                    let _kept = (!refuses).then(|| dead(other, fake.port()));
                    let start = Instant::now();
                    let url = format!("http://two.test:{}/", fake.port());
                    let balancer = leaves_by("PUT", &url, "register = []");
                    leave(&balancer).await.expect("left through the other address");
                    assert!(
                        start.elapsed() < Duration::from_millis(2500),
                        "{:?}",
                        start.elapsed()
                    );
                    let findings = balancer.check().await;
                    assert!(
                        findings.iter().all(|finding| finding.severity == Severity::Fine),
                        "{findings:?}"
                    );
                }
            }
        });
    }
    if !rustix::process::getuid().is_root() {
        eprintln!("skipped: a hosts file and a network of its own need root");
        return;
    }
    let hosts = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(hosts.path(), "127.0.0.1 two.test\n127.0.0.2 two.test\n").unwrap();
    let script = format!(
        "ip link set lo up && mount --bind {} /etc/hosts && exec \"$0\" \"$@\"",
        hosts.path().display()
    );
    let name = "network::a_dead_first_address_leaves_time_for_the_second";
    again(name, &["unshare", "--mount", "--net", "sh", "-c", &script], &[]);
}

#[test]
fn the_environments_proxy_is_used_but_never_for_loopback() {
    if is_child() {
        return block_on(async {
            let direct = always(Reply::new(200, ""));
            leave(&leaves_by("PUT", &direct.url(), ""))
                .await
                .expect("left past the proxy");
            assert_eq!(direct.asked().len(), 1);
            // Reserved for documentation: nothing but the proxy can answer.
            let far = leaves_by("PUT", "http://192.0.2.1:8500/v1/x", "");
            leave(&far).await.expect("left through the proxy");
            let findings = format!("{:?}", far.check().await);
            assert!(
                findings.contains("is reached through the proxy 127.0.0.1"),
                "{findings}"
            );
            assert!(!findings.contains("s3cret"), "{findings}");
            leave(&leaves_by("PUT", "http://198.51.100.1:1/", "timeout = '300ms'"))
                .await
                .expect_err("no proxy for it");
        });
    }
    let proxy = always(Reply::new(200, ""));
    let with_password = proxy.url().replace("http://", "http://user:s3cret@");
    let environment = [
        ("http_proxy", with_password.as_str()),
        ("no_proxy", "198.51.100.0/24"),
    ];
    again(
        "network::the_environments_proxy_is_used_but_never_for_loopback",
        &[],
        &environment,
    );
    assert_eq!(proxy.lines(), ["PUT http://192.0.2.1:8500/v1/x"]);
    assert_eq!(
        proxy.asked()[0].header("proxy-authorization"),
        Some("Basic dXNlcjpzM2NyZXQ=")
    );
}

/// Whatever the server itself speaks.
#[test]
fn a_proxy_that_speaks_tls_is_trusted_as_servers_are() {
    if is_child() {
        return block_on(async {
            leave(&leaves_by("PUT", "http://192.0.2.1:8500/v1/x", ""))
                .await
                .expect("left through the proxy");
        });
    }
    let (authority, directory) = (Authority::new(), tempfile::tempdir().unwrap());
    let tls = authority.certify(&["127.0.0.1"]).server(None);
    let proxy = Fake::start_tls(tls, |_| Reply::new(200, ""));
    let bundle = authority.file(&directory);
    let environment = [
        ("http_proxy", &*proxy.url()),
        ("SSL_CERT_FILE", bundle.to_str().unwrap()),
    ];
    again(
        "network::a_proxy_that_speaks_tls_is_trusted_as_servers_are",
        &[],
        &environment,
    );
    assert_eq!(proxy.lines(), ["PUT http://192.0.2.1:8500/v1/x"]);
}
