//! What is sent, in which order, and what an answer gives to the next request.

use lb_drain_api::Rotation;
use lb_drain_test_support::http::{Asked, Fake, Reply};
use serde_json::json;

use crate::support::{
    again, always, before, come_back, connect, is_child, is_temporary, leave, leaves_by, look, target,
};

#[tokio::test]
async fn a_host_leaves_and_comes_back() {
    let fake = always(Reply::new(200, ""));
    let balancer = connect(&format!(
        r#"
        headers = {{ X-Common = "c", X-Own = "common" }}
        [deregister]
        method = "PUT"
        url = "{url}/hosts/{{hostname}}/{{ip}}:{{port}}?unit={{unit}}&e={{env:CARGO_PKG_NAME}}"
        headers = {{ X-Own = "own {{hostname}}" }}
        body = '{{"state": "drain", "host": "{{hostname}}"}}'
        [register]
        method = "DELETE"
        url = "{url}/drains/{{hostname}}"
        body = "text of {{hostname}}"
        "#,
        url = fake.url()
    ));
    assert_eq!(balancer.identity().endpoint, fake.url());
    assert_eq!(target(&balancer).await.as_str(), "PUT /hosts/web1/10.0.0.7:8080");
    assert!(fake.asked().is_empty(), "finding asks nothing");
    leave(&balancer).await.expect("left");
    assert_eq!(look(&balancer).await.rotation, Rotation::Unknown);
    come_back(&balancer, None).await.expect("back");

    let asked = fake.asked();
    assert_eq!(
        fake.lines(),
        [
            "PUT /hosts/web1/10.0.0.7:8080?unit=web.service&e=lb-drain-http",
            "DELETE /drains/web1"
        ]
    );
    assert_eq!(asked[0].header("x-common"), Some("c"));
    assert_eq!(asked[0].header("x-own"), Some("own web1"));
    assert_eq!(asked[0].header("content-type"), Some("application/json"));
    assert_eq!(asked[0].json(), json!({"state": "drain", "host": "web1"}));
    assert_eq!(asked[1].body, "text of web1");
    assert_eq!(asked[1].header("content-type"), None);
}

/// nginx answers 500 to a PUT without a length, others 411.
#[tokio::test]
async fn the_length_of_no_body_is_said_where_there_could_be_one() {
    for (method, length) in [
        ("PUT", Some("0")),
        ("POST", Some("0")),
        ("PATCH", Some("0")),
        ("GET", None),
        ("DELETE", None),
    ] {
        let fake = always(Reply::new(200, ""));
        leave(&leaves_by(method, &fake.url(), "")).await.expect("left");
        assert_eq!(fake.asked()[0].header("content-length"), length, "{method}");
    }
}

#[tokio::test]
async fn a_body_comes_from_a_file_that_is_read_for_each_use() {
    let fake = always(Reply::new(200, ""));
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), "[]").unwrap();
    let balancer = leaves_by(
        "DELETE",
        &fake.url(),
        &format!("deregister.body.file = '{}'", file.path().display()),
    );
    std::fs::write(file.path(), r#"{"ids": ["{hostname}"]}"#).unwrap();
    leave(&balancer).await.expect("left");
    assert_eq!(fake.asked()[0].json(), json!({"ids": ["web1"]}));
    std::fs::remove_file(file.path()).unwrap();
    let error = leave(&balancer).await.expect_err("no file");
    assert!(
        !is_temporary(&error) && error.to_string().contains("cannot be read"),
        "{error}"
    );
}

/// A configuration store with an ETag, as Caddy and many others have one.
fn store() -> Fake {
    let mut version = 1;
    let mut refusals = 1;
    Fake::start(move |asked: &Asked| match asked.method.as_str() {
        "GET" => Reply::json(200, &json!([{"dial": "other:1"}, {"dial": "10.0.0.7:8080"}]))
            .with("ETag", &format!("\"/config {version}\"")),
        _ if asked.header("if-match") != Some(&format!("\"/config {version}\"")) => {
            Reply::new(412, "changed")
        }
        // Somebody else was quicker, once.
        _ if refusals > 0 => {
            refusals -= 1;
            version += 1;
            Reply::new(412, "changed meanwhile")
        }
        _ => Reply::new(200, ""),
    })
}

#[tokio::test]
async fn an_etag_is_matched_and_asked_for_again_when_somebody_was_quicker() {
    let fake = store();
    let balancer = connect(&format!(
        r#"
        [[deregister]]
        method = "GET"
        url = "{url}/config/upstreams"
        [deregister.capture]
        etag = "header:ETag"
        place = {{ where = {{ dial = "{{ip}}:{{port}}" }}, index = true }}
        [[deregister]]
        method = "DELETE"
        url = "{url}/config/upstreams/{{place}}"
        headers = {{ If-Match = "{{etag}}" }}
        retry = [412]
        "#,
        url = fake.url()
    ));
    assert_eq!(
        target(&balancer).await.as_str(),
        "DELETE /config/upstreams/{place}"
    );
    let error = leave(&balancer).await.expect_err("refused");
    assert!(is_temporary(&error), "{error}");
    assert!(
        error.to_string().contains(r#""DELETE /config/upstreams/1": 412"#),
        "{error}"
    );
    leave(&balancer).await.expect("left");
    assert_eq!(fake.asked().len(), 4);
    assert_eq!(fake.asked()[3].header("if-match"), Some("\"/config 2\""));
}

#[tokio::test]
async fn a_post_that_was_carried_out_is_not_sent_again_when_a_later_request_fails() {
    let mut failures = 1;
    let fake = Fake::start(move |asked| match asked.method.as_str() {
        "POST" => Reply::json(202, &json!({"operation": "op/7"})),
        _ if failures > 0 => {
            failures -= 1;
            Reply::new(503, "")
        }
        _ => Reply::json(200, &json!({"state": "DONE"})),
    });
    let balancer = connect(&format!(
        r#"
        [[deregister]]
        method = "POST"
        url = "{url}/drain"
        capture = {{ op = "/operation" }}
        [[deregister]]
        method = "GET"
        url = "{url}/operations/{{op}}"
        until = {{ pointer = "/state", value = "DONE" }}
        "#,
        url = fake.url()
    ));
    assert!(is_temporary(&leave(&balancer).await.expect_err("503")));
    leave(&balancer).await.expect("left");
    assert_eq!(
        fake.lines(),
        ["POST /drain", "GET /operations/op%2F7", "GET /operations/op%2F7"]
    );
}

#[tokio::test]
async fn an_operation_is_asked_for_until_it_is_done() {
    let mut states = ["PENDING", "PENDING", "DONE"].into_iter();
    let fake = Fake::start(move |_| Reply::json(200, &json!({"state": states.next()})));
    let balancer = leaves_by(
        "PUT",
        &fake.url(),
        r#"deregister.until = { pointer = "/state", value = "DONE" }"#,
    );
    for _ in 0..2 {
        let error = leave(&balancer).await.expect_err("pending");
        assert!(
            is_temporary(&error) && error.to_string().contains(r#"/state is "PENDING""#),
            "{error}"
        );
    }
    leave(&balancer).await.expect("done");
}

#[tokio::test]
async fn a_post_that_was_given_up_half_way_is_not_sent_again() {
    let fake = always(Reply::Silence);
    let balancer = leaves_by("POST", &fake.url(), "");
    let limit = std::time::Duration::from_millis(200);
    assert!(
        tokio::time::timeout(limit, leave(&balancer)).await.is_err(),
        "given up as the engine would"
    );
    let error = leave(&balancer).await.expect_err("in doubt");
    assert!(
        !is_temporary(&error) && error.to_string().contains("repeat = true"),
        "{error}"
    );
    assert_eq!(fake.asked().len(), 1);
}

#[tokio::test]
async fn what_is_gone_ends_the_list() {
    let fake = always(Reply::new(404, "no such server"));
    let keys = r#"
        [[deregister]]
        method = "DELETE"
        url = "URL/first"
        gone = [404]
        [[deregister]]
        method = "DELETE"
        url = "URL/second"
    "#;
    let balancer = connect(&keys.replace("URL", &fake.url()));
    leave(&balancer).await.expect("gone already");
    assert_eq!(fake.lines(), ["DELETE /first"]);
    assert_eq!(look(&balancer).await.state, "gone already: 404 Not Found");
}

#[tokio::test]
async fn an_element_that_is_not_there_is_gone_or_an_error() {
    let keys = r#"
        [[deregister]]
        method = "GET"
        url = "URL/servers"
        GONE
        capture = { id = { where = { server = "{ip}:{port}" }, pointer = "/id" } }
        [[deregister]]
        method = "PATCH"
        url = "URL/servers/{id}"
    "#;
    let fake = always(Reply::json(200, &json!([{"id": 1, "server": "10.0.0.8:8080"}])));
    let keys = keys.replace("URL", &fake.url());
    let gone = r#"gone = { where = { server = "{ip}:{port}" }, op = "absent" }"#;
    leave(&connect(&keys.replace("GONE", gone)))
        .await
        .expect("gone already");
    let error = leave(&connect(&keys.replace("GONE", "")))
        .await
        .expect_err("not there");
    assert!(!is_temporary(&error), "{error}");
    let says = "without /id of the element with this server, which id is captured from; check capture";
    assert!(error.to_string().contains(says), "{error}");
    assert_eq!(fake.lines(), ["GET /servers", "GET /servers"]);
}

#[tokio::test]
async fn what_register_needs_is_read_before_anything_is_changed_and_put_on_record() {
    let fake = Fake::start(|asked| match asked.method.as_str() {
        "GET" => Reply::json(200, &json!({"weight": 50, "secret": "not kept"})),
        _ => Reply::new(200, ""),
    });
    let keys = r#"
        [[deregister]]
        method = "GET"
        url = "URL/target"
        capture = { weight = "/weight", other = "/secret" }
        [[deregister]]
        method = "PUT"
        url = "URL/target"
        body = '{"weight": 0, "was": "{other}"}'
        [register]
        method = "PUT"
        url = "URL/target"
        body = '{"weight": {weight}}'
    "#
    .replace("URL", &fake.url());
    let balancer = connect(&keys);
    let kept = before(&balancer).await.before;
    assert_eq!(kept, json!({"weight": 50}));
    assert_eq!(fake.lines(), ["GET /target"]);
    leave(&balancer).await.expect("left");
    // Another process, which knows no more than the record.
    come_back(&connect(&keys), Some(&kept)).await.expect("back");
    assert_eq!(fake.asked()[3].json(), json!({"weight": 50}));
    let error = come_back(&connect(&keys), None).await.expect_err("no record");
    assert!(
        !is_temporary(&error) && error.to_string().contains("give weight a value in variables"),
        "{error}"
    );
    come_back(&connect(&format!("variables.weight = 100\n{keys}")), None)
        .await
        .expect("back");
    assert_eq!(fake.asked()[4].json(), json!({"weight": 100}));
}

#[tokio::test]
async fn an_entry_that_is_gone_before_we_come_is_out_already() {
    let fake = always(Reply::new(404, ""));
    let keys = r#"
        [[deregister]]
        method = "GET"
        url = "URL/target"
        capture = { weight = "/weight" }
        gone = [404]
        [[deregister]]
        method = "DELETE"
        url = "URL/target"
        [register]
        method = "PUT"
        url = "URL/target?weight={weight}"
    "#;
    assert_eq!(
        before(&connect(&keys.replace("URL", &fake.url()))).await.rotation,
        Rotation::Out
    );
}

#[tokio::test]
async fn a_variable_stands_for_a_server_a_name_or_a_document() {
    let fake = always(Reply::new(200, ""));
    let balancer = connect(&format!(
        r#"
        deregister = {{ method = "PUT", url = "http://{{server}}/{{dial}}", body = "{{entry}}" }}
        [variables]
        server = "127.0.0.1:{port}"
        dial = "{{ip}}:{{port}}"
        entry = '{{"dial": "{{ip}}:{{port}}"}}'
        "#,
        port = fake.port()
    ));
    assert_eq!(target(&balancer).await.as_str(), "PUT /10.0.0.7%3A8080");
    assert_eq!(balancer.identity().endpoint, fake.url());
    leave(&balancer).await.expect("left");
    assert_eq!(fake.asked()[0].json(), json!({"dial": "10.0.0.7:8080"}));
}

#[tokio::test]
async fn without_a_register_request_coming_back_is_an_error_and_with_an_empty_one_nothing() {
    let balancer = leaves_by("PUT", "http://127.0.0.1:1/", "");
    let error = come_back(&balancer, None).await.expect_err("no request");
    assert!(error.to_string().contains("register = []"), "{error}");
    come_back(&leaves_by("PUT", "http://127.0.0.1:1/", "register = []"), None)
        .await
        .expect("by itself");
}

#[tokio::test]
async fn a_unix_socket_is_a_server_like_any_other() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("web.service.sock");
    let fake = Fake::start_unix(&path, |_| Reply::new(200, ""));
    let url = format!(
        "unix:{}/{{unit}}.sock:/drain/{{hostname}}?a=b",
        directory.path().display()
    );
    let balancer = leaves_by("PUT", &url, "");
    assert_eq!(balancer.identity().endpoint, format!("unix:{}", path.display()));
    leave(&balancer).await.expect("left");
    assert_eq!(fake.lines(), ["PUT /drain/web1?a=b"]);
    assert_eq!(fake.asked()[0].header("host"), Some("localhost"));
}

#[tokio::test]
async fn one_connection_serves_all_requests_of_a_run() {
    let fake = always(Reply::json(200, &json!({"active": 1})));
    let url = fake.url();
    let balancer = leaves_by(
        "PUT",
        &url,
        &format!("drained = {{ url = '{url}', pointer = '/active', value = 0 }}"),
    );
    leave(&balancer).await.expect("left");
    for _ in 0..5 {
        look(&balancer).await;
    }
    assert_eq!((fake.asked().len(), fake.connections()), (6, 1));
}

#[test]
fn the_instance_id_is_asked_of_the_metadata_service_with_a_token() {
    let run = || async {
        let fake = always(Reply::new(200, ""));
        leave(&leaves_by(
            "DELETE",
            &format!("{}/{{instance_id}}", fake.url()),
            "",
        ))
        .await
        .expect("left");
        assert_eq!(fake.lines(), ["DELETE /i-0ab12cd34"]);
    };
    if is_child() {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        return runtime.block_on(run());
    }
    if std::path::Path::new("/var/lib/cloud/data/instance-id").exists() {
        eprintln!("skipped: cloud-init has told this machine its instance's id");
        return;
    }
    let metadata = Fake::start(|asked| match asked.line().as_str() {
        "PUT /latest/api/token" if asked.header("x-aws-ec2-metadata-token-ttl-seconds").is_some() => {
            Reply::new(200, "t0ken")
        }
        "GET /latest/meta-data/instance-id" if asked.header("x-aws-ec2-metadata-token") == Some("t0ken") => {
            Reply::new(200, "i-0ab12cd34")
        }
        _ => Reply::new(401, ""),
    });
    let name = "requests::the_instance_id_is_asked_of_the_metadata_service_with_a_token";
    again(
        name,
        &[],
        &[("AWS_EC2_METADATA_SERVICE_ENDPOINT", &metadata.url())],
    );
}
