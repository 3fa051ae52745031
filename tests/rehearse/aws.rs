//! A target group whose health checks take longer than the budget, and which refuses an address that still drains.

use std::thread;
use std::time::Duration;

use lb_drain_test_support::balancer::Manner;
use lb_drain_test_support::elbv2::{Elbv2, TargetGroup};
use rustix::process::Signal;

use crate::scene::{Ended, Running, Scene};

const ADDRESS: &str = "127.0.0.1";

const CREDENTIALS: [(&str, &str); 3] = [
    ("AWS_ACCESS_KEY_ID", "AKIAFAKE"),
    ("AWS_SECRET_ACCESS_KEY", "secret"),
    ("AWS_EC2_METADATA_DISABLED", "true"),
];

struct Group {
    api: Elbv2,
    arn: String,
    scene: Scene,
}

impl Group {
    /// A group of addresses, of which this host's drains for 3 s, and is healthy so long after it was registered.
    fn new(warm_up: Duration) -> Self {
        let api = Elbv2::start();
        let drains = Duration::from_secs(3);
        let arn = api.add(TargetGroup {
            target_type: "ip".to_owned(),
            delay: drains,
            drains_for: drains,
            warm_up,
            ..TargetGroup::new("web")
        });
        let scene = Scene::new(Manner::default());
        let port = scene.port();
        api.register(&arn, ADDRESS, port, None, "healthy");
        api.register(&arn, "10.0.0.9", port, None, "healthy");
        let scene = scene.configured(&format!(
            "ports = [{port}]\nquiet = \"300ms\"\nbudget = \"2s\"\n[[load_balancer]]\nname = \"public\"\n\
             provider = \"aws-elbv2\"\nmin_wait = \"0s\"\ntarget_groups = [\"{arn}\"]\ntarget_id = \"{ADDRESS}\"\n\
             port = {port}\nendpoint_url = \"{}\"\n",
            api.url()
        ));
        Self { api, arn, scene }
    }

    fn state(&self) -> Option<String> {
        self.api.truth(&self.arn, ADDRESS, self.scene.port())
    }

    fn rehearse(&self) -> Running {
        let url = self.scene.url(20);
        self.scene
            .rehearse_with(&CREDENTIALS, &["--url", &url, "--duration", "3s"])
    }

    /// Lets requests follow the target group until the rehearsal has ended.
    fn follow(&self, mut running: Running) -> Ended {
        while !running.has_ended() {
            self.scene
                .balancer
                .mean(self.state().as_deref() == Some("healthy"));
            thread::sleep(Duration::from_millis(20));
        }
        running.wait()
    }
}

#[test]
fn health_checks_and_a_draining_address_may_take_longer_than_the_budget() {
    let group = Group::new(Duration::from_secs(3));
    let ended = group.follow(group.rehearse());
    ended.assert_code(0);
    assert_eq!(group.state().as_deref(), Some("healthy"), "{ended:#?}");
    assert_eq!(ended.number("failed"), 0, "{ended:#?}");
    assert!(ended.number("back_ms") > 3000, "{ended:#?}");
    assert!(
        ended.lines.iter().any(|line| line.contains("is still draining")),
        "{ended:#?}"
    );
}

#[test]
fn what_waits_for_its_health_checks_is_called_registered_when_it_is_given_up() {
    let group = Group::new(Duration::from_secs(60));
    let running = group.rehearse();
    running.until_it_says("now: returning");
    for _ in 0..1000 {
        if group.state().as_deref() == Some("initial") {
            break;
        }
        thread::sleep(Duration::from_millis(20));
    }
    running.signal(Signal::INT);
    running.until_it_says("once more gives that up");
    running.signal(Signal::INT);
    let ended = running.wait();
    ended.assert_code(1);
    for says in [
        "this host is registered, not in service yet: public (",
        "lb-drain status",
    ] {
        assert!(ended.troubles().contains(says), "{says}: {ended:#?}");
    }
    assert!(!ended.troubles().contains("this host is out"), "{ended:#?}");
}
