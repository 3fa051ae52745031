//! Redirects: followed within a server, never to another.

use lb_drain_test_support::http::{Fake, Reply};

use crate::support::{is_temporary, leave, leaves_by};

fn redirecting(status: u16, to: &'static str) -> Fake {
    Fake::start(move |asked| match asked.path.as_str() {
        "/old" => Reply::new(status, "").with("Location", to),
        _ => Reply::new(200, ""),
    })
}

#[tokio::test]
async fn within_a_server_a_redirect_that_keeps_the_method_is_followed() {
    for status in [307, 308] {
        let fake = redirecting(status, "/new");
        let balancer = leaves_by(
            "POST",
            &format!("{}/old", fake.url()),
            "deregister.body = '[1]'\nbearer = 't'",
        );
        leave(&balancer).await.expect("left");
        assert_eq!(fake.lines(), ["POST /old", "POST /new"]);
        assert_eq!(
            (
                fake.asked()[1].body.as_str(),
                fake.asked()[1].header("authorization")
            ),
            ("[1]", Some("Bearer t"))
        );
    }
}

/// A login page answers 200 to anything: following there would look like success.
#[tokio::test]
async fn a_redirect_that_changes_the_method_is_an_error_for_a_request_that_changes_something() {
    for status in [301, 302, 303] {
        let fake = redirecting(status, "/login");
        let error = leave(&leaves_by("PUT", &format!("{}/old", fake.url()), ""))
            .await
            .expect_err("redirected");
        assert!(
            !is_temporary(&error) && error.to_string().contains("/login, which would be asked"),
            "{error}"
        );
        assert_eq!(fake.lines(), ["PUT /old"]);
        let fake = redirecting(status, "/new");
        leave(&leaves_by("GET", &format!("{}/old", fake.url()), ""))
            .await
            .expect("followed");
        assert_eq!(fake.lines(), ["GET /old", "GET /new"]);
    }
}

#[tokio::test]
async fn another_server_is_sent_nothing() {
    let other = Fake::start(|_| Reply::new(200, ""));
    let to = format!("{}/steal?token=t0ken", other.url());
    let fake = Fake::start(move |_| Reply::new(307, "").with("Location", &to));
    let error = leave(&leaves_by("GET", &fake.url(), "bearer = 't0ken'"))
        .await
        .expect_err("redirected")
        .to_string();
    assert!(
        error.contains(&format!("to {}/steal, another server", other.url())),
        "{error}"
    );
    assert!(!error.contains("t0ken"), "{error}");
    assert!(other.asked().is_empty());
}

#[tokio::test]
async fn a_loop_of_redirects_ends() {
    let fake = redirecting(307, "/old");
    let error = leave(&leaves_by("GET", &format!("{}/old", fake.url()), ""))
        .await
        .expect_err("a loop");
    assert!(
        !is_temporary(&error) && error.to_string().contains("in circles: more than 5 times"),
        "{error}"
    );
    assert_eq!(fake.asked().len(), 6);
}

#[tokio::test]
async fn a_redirect_that_is_expected_is_an_answer() {
    let fake = redirecting(303, "/login");
    leave(&leaves_by(
        "POST",
        &format!("{}/old", fake.url()),
        "deregister.expect = [303]",
    ))
    .await
    .expect("left");
}

#[tokio::test]
async fn a_redirect_to_nowhere_is_an_error() {
    let fake = Fake::start(|_| Reply::new(307, ""));
    let error = leave(&leaves_by("GET", &fake.url(), ""))
        .await
        .expect_err("nowhere")
        .to_string();
    assert!(error.contains("its Location cannot be read"), "{error}");
}
