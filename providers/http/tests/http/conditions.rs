//! `drained`: when nothing is in flight, as the endpoint tells it.

use lb_drain_api::{LoadBalancer, Rotation};
use lb_drain_test_support::http::{Fake, Reply};
use serde_json::json;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::support::{Log, always, before, come_back, leave, leaves_by, look};

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

/// A count says how many; anything else that was read and does not hold says that this host's quiet connections are
/// no evidence. What is not there says nothing, as where a load balancer has forgotten an entry that has left it.
#[tokio::test]
async fn what_does_not_hold_yet_says_so_unless_it_counts_or_is_not_there() {
    let state = |state: serde_json::Value| Reply::json(200, &state);
    for (keys, reply, undrained) in [
        (
            "pointer = '/state'\nvalue = 'out'",
            state(json!({"state": "draining"})),
            true,
        ),
        ("pointer = '/state'\nvalue = 'out'", state(json!({})), false),
        ("pointer = '/left'\nop = 'exists'", state(json!({})), true),
        (
            "pointer = '/active'\nop = 'absent'",
            state(json!({"active": []})),
            true,
        ),
        (
            "pointer = '/active'\nop = '<'\nvalue = 5",
            state(json!({"active": 9})),
            true,
        ),
        (
            "pointer = '/active'\nvalue = 0",
            state(json!({"active": 9})),
            false,
        ),
        (
            "where = { ip = '{ip}' }\npointer = '/n'\nvalue = 0",
            state(json!([])),
            false,
        ),
        ("expect = [503]", Reply::new(200, ""), true),
        ("text = 'idle'", Reply::new(200, "busy"), true),
        ("text = 'idle'", Reply::new(500, "idle"), false),
    ] {
        let fake = polled(vec![reply]);
        let balancer = balancer(&fake, keys);
        assert!(!before(&balancer).await.undrained, "{keys}");
        leave(&balancer).await.expect("left");
        let view = look(&balancer).await;
        assert_eq!(
            (view.rotation, view.undrained),
            (Rotation::Unknown, undrained),
            "{keys}: {}",
            view.state
        );
    }
}

/// Then this host is not out, and the engine takes it out again.
#[tokio::test]
async fn a_drain_that_has_failed_is_a_host_that_has_not_left() {
    let fake = polled(vec![Reply::json(200, &json!({"state": "FAILED"}))]);
    let keys = "pointer = '/state'\nvalue = 'DONE'\nfailed = { pointer = '/state', value = 'FAILED' }";
    let balancer = balancer(&fake, keys);
    leave(&balancer).await.expect("left");
    let view = look(&balancer).await;
    assert_eq!(view.rotation, Rotation::InService);
    assert_eq!(view.state, r#"the drain has failed: /state is "FAILED""#);
}

#[tokio::test]
async fn silence_is_no_answer_soon_and_keeps_nobody_from_waiting_otherwise() {
    let fake = polled(vec![Reply::Silence]);
    let balancer = balancer(&fake, "pointer = '/active'\nvalue = 0");
    leave(&balancer).await.expect("left");
    let start = Instant::now();
    let view = look(&balancer).await;
    assert!(start.elapsed() < Duration::from_secs(2), "{:?}", start.elapsed());
    assert_eq!((view.rotation, view.in_flight), (Rotation::Unknown, None));
    assert!(view.state.contains("nothing within 1.5 s"), "{}", view.state);
}

#[tokio::test]
async fn the_same_trouble_is_told_once_however_it_is_worded() {
    let (log, _logging) = Log::listen();
    let replies = (1..=4).map(|number| Reply::new(500 + number / 4, format!("request {number}")));
    let fake = polled(replies.collect());
    let balancer = balancer(&fake, "pointer = '/active'\nvalue = 0");
    leave(&balancer).await.expect("left");
    for _ in 0..5 {
        look(&balancer).await;
    }
    let log = log.text();
    let told = log.matches("going by what this host sees").count();
    assert_eq!(told, 3, "500, 501, and no answer: {log}");
}

#[tokio::test]
async fn a_poll_that_tells_nothing_keeps_nobody_from_waiting_otherwise() {
    let endless = Reply::Endless(
        b"HTTP/1.1 200 OK\r\n\r\n".to_vec(),
        vec![b'x'; 4096],
        Duration::ZERO,
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
