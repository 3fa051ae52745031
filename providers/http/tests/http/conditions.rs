//! `drained`: when nothing is in flight, as the endpoint tells it.

use lb_drain_api::{LoadBalancer, Rotation, Target};
use lb_drain_test_support::http::{Fake, Reply};
use serde_json::json;
use std::sync::Arc;

use crate::support::{always, before, come_back, leave, leaves_by, look};

/// Answers `PUT` with 200 and polls in turn with these.
fn polled(replies: Vec<Reply>) -> Fake {
    let mut replies = replies.into_iter();
    Fake::start(move |asked| match asked.method.as_str() {
        "PUT" => Reply::new(200, ""),
        _ => replies.next().unwrap_or(Reply::Close),
    })
}

fn balancer(fake: &Fake, drained: &str) -> Arc<dyn LoadBalancer> {
    let url = fake.url();
    leaves_by(
        "PUT",
        &url,
        &format!("register = []\n[drained]\nurl = '{url}/state'\n{drained}"),
    )
}

#[tokio::test]
async fn a_number_is_counted_down_to_zero() {
    let counts = [3, 1, 0].map(|active| Reply::json(200, &json!({"active": active})));
    let fake = polled(counts.into());
    let balancer = balancer(&fake, "pointer = '/active'\nvalue = 0");
    assert_eq!(before(&balancer).await.in_flight, None);
    assert_eq!(look(&balancer).await.rotation, Rotation::Unknown);
    assert!(
        fake.asked().is_empty(),
        "a count of 0 before leaving would say nothing"
    );
    leave(&balancer).await.expect("left");
    for (rotation, in_flight) in [(Rotation::Unknown, 3), (Rotation::Unknown, 1), (Rotation::Out, 0)] {
        let view = look(&balancer).await;
        assert_eq!(
            (view.rotation, view.in_flight),
            (rotation, Some(in_flight)),
            "{}",
            view.state
        );
    }
    come_back(&balancer, None).await.expect("back");
    assert_eq!(look(&balancer).await.rotation, Rotation::Unknown);
}

#[tokio::test]
async fn an_element_of_an_array_is_found_by_this_hosts_address() {
    let list =
        |count| json!([{"address": "10.0.0.8:8080", "num": 9}, {"address": "10.0.0.7:8080", "num": count}]);
    let fake = polled(vec![Reply::json(200, &list(2)), Reply::json(200, &json!([]))]);
    let keys = "where = { address = '{ip}:{port}' }\npointer = '/num'\nvalue = 0\nor_absent = true";
    let balancer = balancer(&fake, keys);
    leave(&balancer).await.expect("left");
    assert_eq!(look(&balancer).await.in_flight, Some(2));
    assert_eq!(look(&balancer).await.in_flight, Some(0));
}

#[tokio::test]
async fn a_status_alone_tells() {
    let fake = polled([200, 503, 404].map(|status| Reply::new(status, "")).into());
    let balancer = balancer(&fake, "expect = [503]\ngone = [404]");
    leave(&balancer).await.expect("left");
    assert_eq!(look(&balancer).await.rotation, Rotation::Unknown);
    assert_eq!(look(&balancer).await.rotation, Rotation::Out);
    assert_eq!(look(&balancer).await.state, "drained: 404 Not Found");
}

#[tokio::test]
async fn a_text_tells() {
    let fake = polled(
        ["active: 3", "active: 0"]
            .map(|text| Reply::new(200, text))
            .into(),
    );
    let balancer = balancer(&fake, "text = 'active: 0'");
    leave(&balancer).await.expect("left");
    assert_eq!(look(&balancer).await.in_flight, None);
    assert_eq!(look(&balancer).await.in_flight, Some(0));
}

#[tokio::test]
async fn a_failed_drain_is_an_error() {
    let fake = polled(vec![Reply::json(200, &json!({"state": "FAILED"}))]);
    let keys = "pointer = '/state'\nvalue = 'DONE'\nfailed = { pointer = '/state', value = 'FAILED' }";
    let balancer = balancer(&fake, keys);
    leave(&balancer).await.expect("left");
    let error = balancer
        .look(&Target::new(""))
        .await
        .expect_err("failed")
        .to_string();
    assert!(
        error.contains(r#"the drain has failed: /state is "FAILED""#),
        "{error}"
    );
}

#[tokio::test]
async fn a_poll_that_tells_nothing_keeps_nobody_from_waiting_otherwise() {
    let endless = Reply::Endless(
        b"HTTP/1.1 200 OK\r\n\r\n".to_vec(),
        vec![b'x'; 4096],
        std::time::Duration::ZERO,
    );
    for (reply, says) in [
        (Reply::new(404, "nope"), "404 Not Found"),
        (Reply::new(401, ""), "check the credentials"),
        (Reply::new(500, ""), "500"),
        (Reply::new(200, "<html>"), "no JSON"),
        (Reply::new(200, ""), "empty"),
        (Reply::json(200, &json!({"active": "many"})), "no number"),
        (endless, "longer than 1 MiB"),
        (Reply::Close, "did not answer"),
    ] {
        let fake = polled(vec![reply]);
        let balancer = balancer(&fake, "pointer = '/active'\nop = '<='\nvalue = 0");
        leave(&balancer).await.expect("left");
        let view = look(&balancer).await;
        assert_eq!(
            (view.rotation, view.in_flight),
            (Rotation::Unknown, None),
            "{says}"
        );
        assert!(view.state.contains(says), "{says}: {}", view.state);
    }
}

#[tokio::test]
async fn without_a_poll_nothing_is_known() {
    let fake = always(Reply::new(202, ""));
    let balancer = leaves_by("PUT", &fake.url(), "");
    leave(&balancer).await.expect("left");
    let view = look(&balancer).await;
    assert_eq!((view.rotation, view.in_flight), (Rotation::Unknown, None));
    assert_eq!(view.state, "accepted: 202 Accepted");
}
