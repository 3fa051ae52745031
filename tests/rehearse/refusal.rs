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
fn where_the_load_balancer_cannot_tell_of_others_the_requests_do() {
    let scene = Scene::alone();
    let url = scene.url(20);
    let options = ["--url", &url, "--duration", "2s"];
    let refused = scene.rehearse(&options).wait();
    refused.assert_code(1);
    assert_eq!(scene.balancer.told(), [""; 0], "{refused:#?}");
    for says in [
        "this may be the last one",
        "--even-if-last",
        "nothing was touched",
    ] {
        assert!(refused.troubles().contains(says), "{says}: {refused:#?}");
    }
    let all_the_same = ["--even-if-last", "--budget", "1s"];
    let told = scene.rehearse(&[&options[..], &all_the_same].concat()).wait();
    assert_eq!(scene.balancer.told(), ["PUT /out", "PUT /in"], "{told:#?}");
}

#[test]
fn a_load_balancer_that_knows_no_way_back_is_not_left() {
    let scene = Scene::new(Manner::default());
    let text = format!(
        "ports = [{}]\n[[load_balancer]]\nname = \"edge\"\nprovider = \"http\"\n\
         deregister = {{ method = \"PUT\", url = \"{}/out\" }}\n",
        scene.port(),
        scene.balancer.control()
    );
    let scene = scene.configured(&text);
    let url = scene.url(1);
    let ended = scene.rehearse(&["--url", &url, "--duration", "2s"]).wait();
    ended.assert_code(2);
    assert_eq!(scene.balancer.told(), [""; 0], "{ended:#?}");
    assert!(ended.troubles().contains("no register request"), "{ended:#?}");
}

#[test]
fn a_load_balancer_that_a_stop_could_not_leave_is_told_before_anything_is_touched() {
    let scene = Scene::new(Manner::default()).with_configuration(
        "[[load_balancer]]\nname = \"silent\"\nprovider = \"http\"\n\
         deregister = { method = \"PUT\", url = \"http://127.0.0.1:9/out\" }\nregister = []\n",
    );
    let url = scene.url(1);
    let ended = scene.rehearse(&["--url", &url, "--duration", "2s"]).wait();
    ended.assert_code(2);
    assert_eq!(scene.balancer.told(), [""; 0], "{ended:#?}");
    assert!(
        ended
            .troubles()
            .contains("silent: http://127.0.0.1:9 cannot be reached"),
        "{ended:#?}"
    );
}

#[test]
fn a_host_that_somebody_keeps_out_by_hand_is_not_rehearsed_with() {
    let scene = Scene::new(Manner::default());
    let kept = scene
        .command("deregister")
        .args(["--keep-out", "--no-wait"])
        .output();
    assert!(kept.as_ref().expect("it starts").status.success(), "{kept:?}");
    // Somebody brings it back behind our back, and the record stays.
    scene.balancer.mean(true);
    let url = scene.url(1);
    let ended = scene.rehearse(&["--url", &url, "--duration", "2s"]).wait();
    ended.assert_code(2);
    assert_eq!(scene.balancer.told(), ["PUT /out"], "{ended:#?}");
    assert!(ended.troubles().contains("kept out by hand"), "{ended:#?}");
}

#[test]
fn one_that_is_taken_out_by_hand_meanwhile_is_not_called_back() {
    let scene = Scene::new(Manner::default());
    let url = scene.url(20);
    let running = scene.rehearse(&["--url", &url, "--duration", "4s"]);
    running.until_it_says("now: out");
    let kept = scene
        .command("deregister")
        .args(["--keep-out", "--no-wait"])
        .output();
    assert!(kept.as_ref().expect("it starts").status.success(), "{kept:?}");
    let ended = running.wait();
    ended.assert_code(1);
    assert!(!scene.balancer.is_meant_in(), "{ended:#?}");
    for says in ["not back in every load balancer", "somebody keeps it out by hand"] {
        assert!(ended.troubles().contains(says), "{says}: {ended:#?}");
    }
}

#[test]
fn without_a_record_nothing_could_undo_a_rehearsal_that_is_killed() {
    let scene = Scene::new(Manner::default());
    // A file is no folder.
    std::fs::write(scene.path("state"), "").expect("writes");
    let url = scene.url(1);
    let ended = scene.rehearse(&["--url", &url, "--duration", "2s"]).wait();
    ended.assert_code(2);
    assert_eq!(scene.balancer.told(), [""; 0], "{ended:#?}");
    for says in ["cannot be recorded", "--state-dir"] {
        assert!(ended.troubles().contains(says), "{says}: {ended:#?}");
    }
}

#[test]
fn a_port_on_which_nothing_listens_would_keep_this_host_out() {
    let scene = Scene::new(Manner::default());
    let url = scene.url(1);
    let (open, closed) = (scene.port().to_string(), "9");
    let options = ["--url", &url, "--duration", "2s", "--port", &open, closed];
    let ended = scene.rehearse(&options).wait();
    ended.assert_code(1);
    assert_eq!(scene.balancer.told(), [""; 0], "{ended:#?}");
    assert!(
        ended.troubles().contains("nothing listens on port 9"),
        "{ended:#?}"
    );
}

#[test]
fn requests_that_nobody_answers_end_it_before_anything_is_touched() {
    let scene = Scene::new(Manner::default());
    let url = scene.url(3000);
    let ended = scene.rehearse(&["--url", &url, "--duration", "2s"]).wait();
    ended.assert_code(1);
    assert_eq!(scene.balancer.told(), [""; 0], "{ended:#?}");
    assert!(ended.troubles().contains("was answered within"), "{ended:#?}");
}

#[test]
fn a_refusal_leaves_the_last_report_as_it_was() {
    let scene = Scene::alone();
    let page = scene.path("drain.html");
    std::fs::write(&page, "the last one").expect("writes");
    let (url, path) = (scene.url(1), page.to_str().expect("a path"));
    let options = ["--url", &url, "--report", path, "--port", "9", "--budget", "1min"];
    // Its floor is longer than the budget.
    let scene = scene.with_configuration("min_wait = \"2min\"\n");
    let ended = scene.rehearse(&options).wait();
    ended.assert_code(2);
    assert!(ended.troubles().contains("write --budget 150s"), "{ended:#?}");
    assert_eq!(
        std::fs::read_to_string(&page).expect("it is there"),
        "the last one"
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
