//! Names with several addresses, IPv6, proxies.

use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::time::{Duration, Instant};

use lb_drain_test_support::http::{Fake, Reply};

use crate::support::{again, always, is_child, leave, leaves_by};

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

/// The resolver may sort the addresses, so each of the two is the dead one once.
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
                    leave(&leaves_by("PUT", &url, ""))
                        .await
                        .expect("left through the other address");
                    assert!(
                        start.elapsed() < Duration::from_millis(2500),
                        "{:?}",
                        start.elapsed()
                    );
                }
            }
        });
    }
    if !rustix::process::getuid().is_root() {
        eprintln!("skipped: a hosts file of its own needs root");
        return;
    }
    let hosts = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(hosts.path(), "127.0.0.1 two.test\n127.0.0.2 two.test\n").unwrap();
    let script = format!(
        "mount --bind {} /etc/hosts && exec \"$0\" \"$@\"",
        hosts.path().display()
    );
    let name = "network::a_dead_first_address_leaves_time_for_the_second";
    again(name, &["unshare", "--mount", "sh", "-c", &script], &[]);
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
            assert!(!findings.contains("t0psecret"), "{findings}");
            leave(&leaves_by("PUT", "http://198.51.100.1:1/", "timeout = '300ms'"))
                .await
                .expect_err("no proxy for it");
        });
    }
    let proxy = always(Reply::new(200, ""));
    let with_password = proxy.url().replace("http://", "http://user:t0psecret@");
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
        Some("Basic dXNlcjp0MHBzZWNyZXQ=")
    );
}
