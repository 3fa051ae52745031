//! No secret of a rehearsal is shown: by a report, by an error, by `--help`.

use lb_drain_test_support::balancer::Manner;

use crate::scene::Scene;

#[test]
fn no_output_shows_a_header_or_a_query() {
    let scene = Scene::new(Manner::default());
    let url = format!("{}?key=s3cret-query", scene.url(1));
    let page = scene.path("report.html");
    let ended = scene
        .rehearse(&[
            "--url",
            &url,
            "--header",
            "Authorization: Bearer s3cret-header",
            "--duration",
            "2s",
            "--report",
            page.to_str().expect("a path"),
        ])
        .wait();
    ended.assert_code(0);
    let html = std::fs::read_to_string(page).expect("the page");
    for output in [&ended.stdout, &ended.lines.join("\n"), &html] {
        assert!(!output.contains("s3cret"), "{output}");
        assert!(!output.is_empty());
    }
}

#[test]
fn no_error_shows_a_header_or_a_url_that_was_mistyped() {
    let scene = Scene::new(Manner::default());
    let url = scene.url(1);
    for options in [
        &["--url", &url, "--header", "s3cret"][..],
        &["--url", &url, "--header", "s3cret token: Bearer"],
        &["--url", "http://me:s3cret@127.0.0.1/"],
        &["--url", "127.0.0.1/?key=s3cret"],
        &["--url", "http://127.0.0.1/a b?key=s3cret"],
        &["--url", &url, "--url", "http://127.0.0.2/?key=s3cret"],
    ] {
        let ended = scene.rehearse(options).wait();
        ended.assert_code(2);
        assert!(!format!("{ended:?}").contains("s3cret"), "{ended:#?}");
    }
    assert_eq!(scene.balancer.told(), [""; 0]);
}

#[test]
fn help_shows_no_secret_of_the_environment() {
    let scene = Scene::new(Manner::default());
    let output = scene
        .command("rehearse")
        .env("LB_DRAIN_URL", "http://127.0.0.1/?key=s3cret")
        .env("LB_DRAIN_HEADER", "Authorization: s3cret")
        .arg("--help")
        .output()
        .expect("it starts");
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(
        said.contains("LB_DRAIN_URL") && !said.contains("s3cret"),
        "{said}"
    );
}

#[test]
fn what_restarts_the_service_is_given_no_secret() {
    let scene = Scene::new(Manner::default()).with_systemctl("env >\"${0%systemctl}environment\"");
    let url = scene.url(20);
    let ended = scene
        .rehearse_with(
            &[("LB_DRAIN_HEADER", "Authorization: s3cret")],
            &["--url", &url, "--duration", "2s", "--restart", "app1.service"],
        )
        .wait();
    let given = std::fs::read_to_string(scene.path("environment")).expect("it ran");
    assert!(
        given.contains("PATH=") && !given.contains("s3cret"),
        "{given} {ended:#?}"
    );
}
