//! The recipe for an application that fails its own health check: real nginx as that application, with a file
//! as its switch, behind real HAProxy, which finds out by itself.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use lb_drain_test_support::nginx::config;

use crate::load::{At, Server, Traffic};
use crate::recipes::recipe;
use crate::support::{come_back, connect, is_temporary, leave};

/// nginx as an application that answers with its name.
fn nginx(directory: &Path, name: &str) -> Option<Server> {
    let home = directory.join(name);
    std::fs::create_dir_all(home.join("switch")).unwrap();
    let at = home.display().to_string();
    let config = config(&at, &format!("unix:{at}/socket"), &format!("return 200 {name}"));
    let file = home.join("nginx.conf");
    std::fs::write(&file, config).unwrap();
    let mut command = Command::new("nginx");
    command.arg("-c").arg(&file).arg("-e").arg(home.join("errors"));
    let server = Server::start(&mut command, "apt-get install nginx")?;
    Some(server)
}

fn haproxy(directory: &Path) -> Option<(Server, At)> {
    let socket = |name: &str| format!("unix@{}", directory.join(name).join("socket").display());
    let config = format!(
        "defaults\n  mode http\n  timeout connect 1s\n  timeout client 20s\n  timeout server 20s\n  \
         option httpchk\n  http-check send meth GET uri /health ver HTTP/1.1 hdr Host web\nfrontend in\n  bind unix@{http}\n  default_backend web\nbackend web\n  \
         server ours {ours} check inter 100ms fall 2 rise 1\n  server other {other} check inter 100ms fall 2 rise 1\n",
        http = directory.join("http").display(),
        ours = socket("ours"),
        other = socket("other"),
    );
    let file = directory.join("haproxy.cfg");
    std::fs::write(&file, config).unwrap();
    let mut command = Command::new("haproxy");
    command.args(["-db", "-q", "-f"]).arg(&file);
    let server = Server::start(&mut command, "apt-get install haproxy")?;
    Some((server, At(directory.join("http"))))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_application_fails_its_health_check_and_no_request_fails() {
    let directory = tempfile::tempdir().unwrap();
    let (Some(ours), Some(_other)) = (nginx(directory.path(), "ours"), nginx(directory.path(), "other"))
    else {
        return;
    };
    let Some((_haproxy, at)) = haproxy(directory.path()) else {
        return;
    };
    at.wait_for(&["ours", "other"]);
    let socket = format!("unix:{}:", directory.path().join("ours/socket").display());
    let keys = recipe("app-health-check", &[("http://127.0.0.1:{port}", &socket)]);

    let traffic = Traffic::start(&at);
    tokio::time::sleep(Duration::from_millis(400)).await;
    leave(&connect(&keys)).await.expect("left");
    // The engine waits for `min_wait`: two checks of 100 ms, and a good deal more for a loaded machine.
    tokio::time::sleep(Duration::from_millis(1500)).await;
    let left = traffic.seen();
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert_eq!(
        traffic.seen().by["ours"],
        left.by["ours"],
        "nothing comes here any more"
    );
    drop(ours);
    std::fs::remove_file(directory.path().join("ours/socket")).unwrap();
    tokio::time::sleep(Duration::from_millis(500)).await;

    // It starts with the switch as it was left.
    let _ours = nginx(directory.path(), "ours");
    // The engine asks again while that can help: it has yet to start.
    let mut back = come_back(&connect(&keys), None).await;
    for _ in 0..200 {
        if back.as_ref().is_err_and(is_temporary) {
            tokio::time::sleep(Duration::from_millis(50)).await;
            back = come_back(&connect(&keys), None).await;
        }
    }
    back.expect("back");
    traffic.wait_for("ours", &left);
    come_back(&connect(&keys), None).await.expect("back already");
    assert_eq!(traffic.end().failures, [""; 0]);
}
