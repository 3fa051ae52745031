//! The recipes of the HTTP provider with the real binary, real servers and traffic.

use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use lb_drain_test_support::{caddy, nginx};
use tempfile::tempdir;

use crate::rig::{
    App, Front, Haproxy, Load, Machine, Network, Setup, assert_story, eventually, lb_drain, unit,
};

/// A recipe as it is installed.
fn recipe(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("providers/http/recipes")
        .join(name);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// An application (nginx, in front of what makes its answers slow) with these lines in its unit.
fn application(machine: &Machine, name: &str, port: u16, lines: &str) {
    fs::create_dir_all(machine.share().join(name).join("switch")).expect("makes the folder");
    let answers = format!("127.0.0.1:9{}", port % 1000);
    machine.start_unit(&format!("{name}-answers.service"), &unit(name, &answers, ""));
    let home = format!("/share/{name}");
    let config = nginx::config(
        &home,
        &format!("127.0.0.1:{port}"),
        &format!("proxy_pass http://{answers}"),
    );
    fs::write(machine.share().join(name).join("nginx.conf"), config).expect("writes nginx.conf");
    let text =
        format!("[Service]\nExecStart=/usr/sbin/nginx -c {home}/nginx.conf -e {home}/errors\n{lines}\n");
    machine.start_unit(&format!("{name}.service"), &text);
}

/// HAProxy looks every two seconds, and three failures count, as is its default.
#[test]
fn an_application_fails_its_health_check_when_it_stops_and_nobody_loses_a_request() {
    const FLOOR: Duration = Duration::from_secs(15); // the recipe's `min_wait`
    let network = Network::new();
    let machine = Machine::boot(&network);
    machine.write(
        "/etc/lb-drain/app-health-check.toml",
        &recipe("app-health-check.toml"),
    );
    application(&machine, "app2", 8082, "");
    let hooks = "ExecStartPost=/share/bin/lb-drain register -c app-health-check\n\
                 ExecStop=/share/bin/lb-drain deregister -c app-health-check\n\
                 TimeoutStopSec=30s";
    application(&machine, "app1", 8080, hooks);
    let setup = Setup {
        backend: "option httpchk GET /health\n    default-server check",
        app1: "127.0.0.1:8080",
        ..Setup::default()
    };
    let haproxy = Haproxy::start(&network, &machine.share().join("edge"), setup);
    let load = Load::start(&[&haproxy], 60, Duration::from_secs(3), &[]);
    load.wait_for(100);

    let journal_before = machine.journal("app1.service");
    let begun = Instant::now();
    let stopped = machine.systemctl(&["stop", "app1.service"]);
    assert!(stopped.status.success(), "{stopped:?}");
    let dead = machine.moment("app1.service", "InactiveEnterTimestampMonotonic");
    assert_eq!(machine.standing("app1.service"), "inactive (dead) success");
    assert!(
        haproxy.stat("app1", "status").starts_with("DOWN"),
        "{}",
        haproxy.stat("app1", "status")
    );
    let journal = machine.journal("app1.service");
    let journal = journal
        .strip_prefix(&journal_before)
        .expect("a journal only grows");
    assert_story(
        journal,
        &[
            &["leaving 1 load balancer; budget 29 s (TimeoutStopSec=30s of app1.service); stop"],
            &[
                "health-check: http http://127.0.0.1:8080 PUT /-/drain told to leave after ",
                " in flight",
            ],
            &[
                "health-check: drained after ",
                "(nothing in flight on port 8080 for 1 s)",
            ],
            &["out of 1 of 1 load balancer and drained; ", " of 29 s used"],
        ],
    );
    load.wait_for_more(30); // app2 alone answers

    let started = machine.systemctl(&["start", "app1.service"]);
    assert!(started.status.success(), "{started:?}");
    let back = Instant::now();
    eventually("HAProxy finds app1 well", || {
        haproxy.stat("app1", "status") == "UP"
    });
    load.wait_for_more(100);
    let report = load.finish();
    report.assert_nothing_lost(300);
    assert!(report.answered_by("app1", back) > 0, "app1 has requests again");
    let late = report.answered_by("app1", begun + Duration::from_secs(3));
    assert!(late > 0, "new requests came until HAProxy had found out");
    let took = dead - begun;
    println!("stopped {took:.1?} after the command; {late} late requests\n{journal}");
    assert!(
        took >= FLOOR && took <= FLOOR + Duration::from_secs(2),
        "{took:?}"
    );
}

fn address(text: &str) -> SocketAddr {
    text.parse().expect("an address")
}

/// Caddy in a network; ends with the test.
struct Caddy(Child);

impl Caddy {
    fn start(network: &Network, folder: &Path, upstreams: &[SocketAddr]) -> Self {
        let file = folder.join("config.json");
        fs::write(&file, caddy::config(folder, upstreams).to_string()).expect("writes the configuration");
        let home = ["HOME", "XDG_DATA_HOME", "XDG_CONFIG_HOME"].map(|name| (name, folder));
        let mut command = network.command("caddy");
        command
            .args(["run", "--config"])
            .arg(&file)
            .envs(home)
            .stdin(Stdio::null());
        let caddy = Self(command.spawn().expect("caddy starts"));
        eventually("Caddy listens", || {
            ["admin", "http"]
                .iter()
                .all(|socket| folder.join(socket).exists())
        });
        caddy
    }
}

impl Drop for Caddy {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn a_host_leaves_caddy_and_comes_back_and_nobody_loses_a_request() {
    let network = Network::new();
    let folder = tempdir().expect("a folder");
    let [ours, other] = ["127.0.0.1:8081", "127.0.0.1:8082"];
    let app1 = App::start(&network, "app1", ours);
    let _app2 = App::start(&network, "app2", other);
    let _caddy = Caddy::start(&network, folder.path(), &[ours, other].map(address));
    let mut text = recipe("caddy.toml");
    for (from, to) in caddy::yours(folder.path(), address(ours)) {
        assert!(text.contains(from), "the recipe has {from}");
        text = text.replace(from, &to);
    }
    let file = folder.path().join("caddy.toml");
    fs::write(&file, text).expect("writes the recipe");
    let config = file.to_str().expect("UTF-8");
    let front = Front {
        socket: folder.path().join("http"),
        may_close_idle: true,
    };
    let load = Load::on(vec![front], 40, Duration::from_secs(2), &[]);
    load.wait_for(100);

    let left = lb_drain(&network, &["deregister", "-c", config, "--budget", "20s"]).wait();
    left.assert_code(0);
    println!("{}", left.stderr);
    drop(app1); // at once, and with whatever it may still have in flight
    let gone = Instant::now();
    load.wait_for_more(50);
    let _app1 = App::start(&network, "app1", ours);
    let back = lb_drain(&network, &["register", "-c", config]).wait();
    back.assert_code(0);
    println!("{}", back.stderr);
    load.wait_for_more(100);

    let report = load.finish();
    report.assert_nothing_lost(300);
    assert!(report.answered_by("app1", gone) > 0, "app1 has requests again");
    assert_story(
        &left.stderr,
        &[
            &["leaving 1 load balancer; budget 20 s"],
            &["caddy: http ", "told to leave after ", "requests in flight"],
            &["caddy: drained after ", "reports nothing in flight"],
            &["out of 1 of 1 load balancer and drained; "],
        ],
    );
}
