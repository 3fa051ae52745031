//! What cannot be rehearsed is not begun.

use lb_drain_test_support::balancer::Manner;

use crate::scene::Scene;

#[test]
fn a_url_that_does_not_lead_here_ends_it_before_anything_is_touched() {
    let (scene, other) = (Scene::new(Manner::default()), Scene::new(Manner::default()));
    let url = other.url(1);
    let ended = scene.rehearse(&["--url", &url, "--duration", "2s"]).wait();
    ended.assert_code(1);
    assert_eq!(scene.balancer.told(), [""; 0], "{ended:#?}");
    let troubles = ended.report["troubles"].to_string();
    assert!(troubles.contains(&format!("port {}", scene.port())), "{ended:#?}");
}

#[test]
fn requests_that_fail_anyway_end_it_before_anything_is_touched() {
    let scene = Scene::new(Manner::default());
    let url = format!("http://{}/elsewhere", scene.balancer.front());
    let ended = scene.rehearse(&["--url", &url, "--duration", "2s"]).wait();
    ended.assert_code(1);
    assert_eq!(scene.balancer.told(), [""; 0], "{ended:#?}");
    assert!(ended.report["failures"]["404 Not Found"].is_u64(), "{ended:#?}");
}

#[test]
fn a_load_balancer_that_cannot_tell_of_others_is_a_warning() {
    let scene = Scene::new(Manner::default());
    let url = scene.url(1);
    let ended = scene.rehearse(&["--url", &url, "--duration", "2s"]).wait();
    ended.assert_code(0);
    assert!(
        ended
            .lines
            .iter()
            .any(|line| line.contains("does not tell whether any other host is in service")),
        "{ended:#?}"
    );
}

#[test]
fn a_page_that_cannot_be_written_is_told_before_anything_is_sent() {
    let scene = Scene::new(Manner::default());
    let url = scene.url(1);
    let ended = scene
        .rehearse(&["--url", &url, "--report", "/nonexistent/drain.html"])
        .wait();
    ended.assert_code(2);
    assert_eq!(scene.balancer.told(), [""; 0], "{ended:#?}");
    assert!(
        ended.report["troubles"]
            .to_string()
            .contains("/nonexistent/drain.html"),
        "{ended:#?}"
    );
}
