//! What goes wrong: whether it can pass, whether it may be repeated, and what is said about it.

use std::time::{Duration, Instant};

use lb_drain_api::{ATTEMPT, Lifetime};
use lb_drain_test_support::http::Reply;

use crate::support::{always, connect, is_temporary, leave, leaves_by};

async fn failure(method: &str, reply: Reply, more: &str) -> lb_drain_api::Error {
    leave(&leaves_by(method, &always(reply).url(), more))
        .await
        .expect_err("refused")
}

#[tokio::test]
async fn what_passes_by_itself_is_temporary_where_the_request_may_be_repeated() {
    for (status, put, post) in [
        (400, false, false),
        (401, false, false),
        (404, false, false),
        (409, false, false),
        (429, true, true),
        (500, false, false),
        (502, true, false),
        (503, true, false),
        (504, true, false),
    ] {
        let reply = || Reply::new(status, "why");
        assert_eq!(
            is_temporary(&failure("PUT", reply(), "").await),
            put,
            "PUT {status}"
        );
        assert_eq!(
            is_temporary(&failure("POST", reply(), "").await),
            post,
            "POST {status}"
        );
        let repeat = failure("POST", reply(), "deregister.repeat = true").await;
        assert_eq!(is_temporary(&repeat), put, "repeatable POST {status}");
        let configured = failure("POST", reply(), &format!("deregister.retry = [{status}]")).await;
        assert!(is_temporary(&configured), "POST {status} that is configured");
    }
}

#[tokio::test]
async fn a_refusal_says_who_what_why_and_what_to_do() {
    let error = failure("PUT", Reply::new(403, "  ACL not\nfound "), "")
        .await
        .to_string();
    let (before, after) = error.split_once(r#" refused "PUT /": "#).expect(&error);
    assert!(before.starts_with("http http://127.0.0.1:"), "{error}");
    assert_eq!(
        after,
        r#"403 Forbidden: "ACL not found"; check the credentials: headers, bearer, basic or client_cert, and what they permit"#
    );
    let long = failure("PUT", Reply::new(500, "x".repeat(5000)), "")
        .await
        .to_string();
    assert!(long.chars().count() < 350, "{long}");
}

#[tokio::test]
async fn the_wait_that_a_server_asks_for_is_passed_on() {
    let wished = |error: &lb_drain_api::Error| match error.lifetime() {
        Lifetime::Temporary { retry_after } => retry_after,
        Lifetime::Permanent => None,
    };
    let seconds = failure("PUT", Reply::new(429, "").with("Retry-After", "7"), "").await;
    assert_eq!(wished(&seconds), Some(Duration::from_secs(7)));
    let date = Reply::new(429, "")
        .with("Date", "Sun, 06 Nov 1994 08:49:37 GMT")
        .with("Retry-After", "Sun, 06 Nov 1994 08:49:49 GMT");
    assert_eq!(
        wished(&failure("PUT", date, "").await),
        Some(Duration::from_secs(12))
    );
    let unavailable = failure("POST", Reply::new(503, "").with("Retry-After", "1"), "").await;
    assert_eq!(
        wished(&unavailable),
        Some(Duration::from_secs(1)),
        "not carried out, so POST may be repeated"
    );
    let forbidden = failure("PUT", Reply::new(403, "").with("Retry-After", "1"), "").await;
    assert!(!is_temporary(&forbidden));
}

#[tokio::test]
async fn an_unreachable_server_is_temporary_for_every_method() {
    let unused = std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    for method in ["PUT", "POST"] {
        let error = leave(&leaves_by(method, &format!("http://{unused}/x"), ""))
            .await
            .expect_err("refused");
        assert!(is_temporary(&error), "{error}");
        assert_eq!(
            error.to_string(),
            format!(
                r#"http http://{unused} could not be reached for "{method} /x": Connection refused; is it up, and do url, route and firewall lead there?"#
            )
        );
    }
    let error = leave(&leaves_by("PUT", "http://lb-drain.invalid/", ""))
        .await
        .expect_err("no such name");
    assert!(
        is_temporary(&error) && error.to_string().contains("failed to lookup"),
        "{error}"
    );
    let error = leave(&leaves_by("PUT", "unix:/run/lb-drain-never.sock:/", ""))
        .await
        .expect_err("no socket");
    assert!(
        is_temporary(&error) && error.to_string().contains("there is no such socket"),
        "{error}"
    );
}

#[tokio::test]
async fn silence_ends_after_the_time_configured() {
    for (method, temporary) in [("PUT", true), ("POST", false)] {
        let fake = always(Reply::Silence);
        let start = Instant::now();
        let error = leave(&leaves_by(method, &fake.url(), "timeout = '200ms'"))
            .await
            .expect_err("silence");
        assert!(start.elapsed() < Duration::from_secs(5), "{:?}", start.elapsed());
        assert_eq!(is_temporary(&error), temporary, "{error}");
        assert!(
            error.to_string().contains(r#"did not answer ""#)
                && error.to_string().contains("nothing within 200 ms"),
            "{error}"
        );
    }
}

#[tokio::test]
async fn a_connection_that_breaks_leaves_a_post_in_doubt() {
    let put = failure("PUT", Reply::Close, "").await;
    assert!(is_temporary(&put), "{put}");
    let post = failure("POST", Reply::Close, "").await;
    assert!(
        !is_temporary(&post) && post.to_string().contains("may have been carried out"),
        "{post}"
    );
}

#[tokio::test]
async fn what_is_not_http_is_told_so() {
    let error = failure("PUT", Reply::Raw(b"SSH-2.0-OpenSSH_9.2\r\n".to_vec()), "").await;
    assert!(
        !is_temporary(&error) && error.to_string().contains(r#"did not answer "PUT /" in HTTP"#),
        "{error}"
    );
}

/// The status has said all that a request without captures wants to know.
#[tokio::test]
async fn an_answer_without_end_is_an_answer() {
    let head = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n\r\n".to_vec();
    let endless = Reply::Endless(head.clone(), vec![b'x'; 64 << 10], Duration::ZERO);
    let start = Instant::now();
    leave(&leaves_by("PUT", &always(endless).url(), ""))
        .await
        .expect("accepted");
    let slow = Reply::Endless(head.clone(), b"x".to_vec(), Duration::from_millis(50));
    for more in [
        "",
        "deregister.gone = [204]",
        "deregister.until = { status = [200] }",
    ] {
        leave(&leaves_by("PUT", &always(slow.clone()).url(), more))
            .await
            .expect("accepted");
    }
    assert!(start.elapsed() < Duration::from_secs(1), "{:?}", start.elapsed());
    let more = "timeout = '300ms'\nderegister.capture = { id = '/id' }";
    let error = leave(&leaves_by("PUT", &always(slow).url(), more))
        .await
        .expect_err("no id");
    assert!(error.to_string().contains("broke off"), "{error}");
    let endless = Reply::Endless(head, vec![b'x'; 64 << 10], Duration::ZERO);
    let more = "deregister.until = { text = 'done' }";
    let error = leave(&leaves_by("PUT", &always(endless).url(), more))
        .await
        .expect_err("nobody has read it to its end");
    assert!(error.to_string().contains("longer than 1 MiB"), "{error}");
}

/// The engine gives a verb up after this time: what must not be repeated is given all that its own limit grants.
#[test]
fn what_must_not_be_repeated_and_what_has_a_time_of_its_own_is_given_that_time() {
    let (put, post) = (
        "method = 'PUT'\nurl = 'http://h'",
        "method = 'POST'\nurl = 'http://h'",
    );
    let seconds = Duration::from_secs;
    for (keys, wanted) in [
        (format!("[deregister]\n{put}"), ATTEMPT),
        (format!("[deregister]\n{post}\nrepeat = true"), ATTEMPT),
        (format!("[deregister]\n{post}"), ATTEMPT + seconds(10)),
        (
            format!("timeout = '20s'\n[deregister]\n{put}"),
            ATTEMPT + seconds(20),
        ),
        (
            format!("[deregister]\n{put}\n[[register]]\n{put}\n[[register]]\n{post}"),
            ATTEMPT + seconds(20),
        ),
    ] {
        assert_eq!(connect(&keys).schedule().attempt, wanted, "{keys}");
    }
}

#[tokio::test]
async fn http_1_0_without_a_length_is_read_to_the_end_of_the_connection() {
    let reply = Reply::Raw(b"HTTP/1.0 200 OK\r\n\r\n{\"id\": 7}".to_vec());
    let more = "deregister.capture = { id = '/id' }";
    leave(&leaves_by("PUT", &always(reply).url(), more))
        .await
        .expect("accepted");
}

/// Caddy sends its ETag behind the body.
#[tokio::test]
async fn a_header_behind_the_body_is_a_header() {
    let reply = b"HTTP/1.1 200 OK\r\nTrailer: ETag\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n[]\r\n0\r\nETag: \"1\"\r\n\r\n";
    let more = "deregister.capture = { etag = 'header:etag' }";
    leave(&leaves_by("PUT", &always(Reply::Raw(reply.to_vec())).url(), more))
        .await
        .expect("accepted");
}
