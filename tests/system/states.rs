//! States that a server is found in, and left in: nothing is raised that others took down.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use tempfile::{TempDir, tempdir};

use crate::rig::{App, DRAIN, Ended, Haproxy, MAINT, Network, Setup, lb_drain};

/// One HAProxy with a running app1.
struct Scene {
    haproxy: Haproxy,
    _app: App,
    network: Network,
    _folder: TempDir,
}

impl Scene {
    fn new() -> Self {
        let network = Network::new();
        let folder = tempdir().expect("a folder");
        Self {
            haproxy: Haproxy::start(&network, &folder.path().join("edge"), Setup::default()),
            _app: App::start(&network, "app1", "127.0.0.1:8081"),
            network,
            _folder: folder,
        }
    }

    fn run(&self, verb: &str) -> Ended {
        let socket = self.haproxy.socket();
        let arguments = [
            verb,
            "--haproxy",
            &socket,
            "--haproxy-server",
            "web/app1",
            "--budget",
            "10s",
            "--output",
            "json",
        ];
        lb_drain(&self.network, &arguments).wait()
    }
}

#[test]
fn what_is_drained_already_is_done_at_once_and_stays_so() {
    let scene = Scene::new();
    scene.haproxy.tell("set server web/app1 state drain");
    let ended = scene.run("deregister");
    ended.assert_code(0);
    assert_eq!(ended.json()["outcome"], "drained", "{ended:#?}");
    assert!(ended.elapsed < Duration::from_secs(2), "{ended:#?}");
    scene.run("register").assert_code(0);
    assert_eq!(
        scene.haproxy.admin_state("app1"),
        DRAIN,
        "drained by somebody else before: register does not raise it"
    );
}

#[test]
fn what_is_in_maint_is_never_raised() {
    let scene = Scene::new();
    scene.haproxy.tell("set server web/app1 state maint");
    let over = AtomicBool::new(false);
    thread::scope(|scope| {
        let looks = scope.spawn(|| {
            let mut looks = 0;
            while !over.load(Ordering::Relaxed) {
                assert_eq!(scene.haproxy.admin_state("app1"), MAINT, "it was raised");
                looks += 1;
            }
            looks
        });
        let deregistered = scene.run("deregister");
        let registered = scene.run("register");
        over.store(true, Ordering::Relaxed);
        deregistered.assert_code(0);
        registered.assert_code(0);
        assert_eq!(deregistered.json()["outcome"], "drained", "{deregistered:#?}");
        assert!(looks.join().expect("in maint at every look") > 0);
    });
    assert_eq!(scene.haproxy.admin_state("app1"), MAINT);
}

#[test]
fn what_was_in_rotation_comes_back_with_its_weight() {
    let scene = Scene::new();
    scene.haproxy.tell("set server web/app1 weight 42");
    scene.run("deregister").assert_code(0);
    assert_eq!(scene.haproxy.admin_state("app1"), DRAIN);
    scene.run("deregister").assert_code(0); // once more: what counts is how it stood before the first
    scene.run("register").assert_code(0);
    assert_eq!(scene.haproxy.admin_state("app1"), 0);
    assert_eq!(scene.haproxy.ask("get weight web/app1"), "42 (initial 1)");
}
