//! `check`: everything filled in and connected to, nothing sent.

use std::os::unix::fs::PermissionsExt;

use lb_drain_api::{Finding, Severity};
use lb_drain_test_support::http::Reply;

use crate::support::{always, connect, leaves_by};

fn worst(findings: &[Finding]) -> Option<Severity> {
    findings.iter().map(|finding| finding.severity).max()
}

#[tokio::test]
async fn a_check_connects_and_sends_nothing() {
    let (control, state) = (always(Reply::new(200, "")), always(Reply::new(200, "")));
    let balancer = connect(&format!(
        r#"
        [[deregister]]
        method = "GET"
        url = "{control}/list"
        capture = {{ id = "/id" }}
        [[deregister]]
        method = "PUT"
        url = "{control}/x/{{id}}"
        body = '{{"id": {{id}}}}'
        [register]
        method = "DELETE"
        url = "{control}/x"
        [drained]
        url = "{state}/active"
        "#,
        control = control.url(),
        state = state.url()
    ));
    let findings = balancer.check().await;
    assert_eq!(worst(&findings), Some(Severity::Fine), "{findings:#?}");
    assert_eq!(
        (control.connections_at_least(1), state.connections_at_least(1)),
        (1, 1)
    );
    assert!(control.asked().is_empty() && state.asked().is_empty());
    let text = format!("{findings:?}");
    for line in [
        "deregister sends GET /list to",
        "deregister sends PUT /x/0",
        "drained sends GET /active",
        "register sends DELETE /x",
    ] {
        assert!(text.contains(line), "{line}: {text}");
    }
}

#[tokio::test]
async fn what_would_fail_is_a_problem() {
    let fake = always(Reply::new(200, ""));
    let url = fake.url();
    let unused = std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    for (balancer, says) in [
        (
            leaves_by("PUT", &url, "bearer.file = '/nowhere/token'"),
            "authorization: /nowhere/token cannot be read",
        ),
        (
            leaves_by("PUT", &url, "bearer.env = 'LB_DRAIN_NEVER'"),
            "authorization: the environment has no LB_DRAIN_NEVER",
        ),
        (
            leaves_by("PUT", &format!("{url}/{{env:LB_DRAIN_NEVER}}"), ""),
            "the environment has no LB_DRAIN_NEVER",
        ),
        (
            leaves_by("PUT", &url, "deregister.body = '{\"a\": {hostname}x}'"),
            "body: no JSON at column",
        ),
        (
            leaves_by("PUT", &url, "deregister.body.file = '/nowhere/body'"),
            "body: /nowhere/body cannot be read",
        ),
        (
            leaves_by("PUT", &format!("http://{unused}/"), ""),
            "Connection refused",
        ),
        (
            leaves_by("PUT", "http://lb-drain.invalid/", ""),
            "cannot be reached",
        ),
        (leaves_by("PUT", "unix:/nowhere/x.sock:/", ""), "No such file"),
    ] {
        let findings = balancer.check().await;
        assert_eq!(worst(&findings), Some(Severity::Problem), "{says}");
        assert!(format!("{findings:?}").contains(says), "{says}: {findings:#?}");
    }
    assert!(fake.asked().is_empty());
}

#[tokio::test]
async fn what_works_but_not_well_is_a_warning() {
    let fake = always(Reply::new(200, ""));
    let token = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(token.path(), "t").unwrap();
    std::fs::set_permissions(token.path(), std::fs::Permissions::from_mode(0o644)).unwrap();
    let keys = format!("register = []\nbearer.file = '{}'", token.path().display());
    let findings = leaves_by("PUT", &fake.url(), &keys).check().await;
    assert_eq!(worst(&findings), Some(Severity::Warning), "{findings:#?}");
    assert!(format!("{findings:?}").contains("chmod o-r"), "{findings:#?}");
    std::fs::set_permissions(token.path(), std::fs::Permissions::from_mode(0o640)).unwrap();
    let findings = leaves_by("PUT", &fake.url(), &keys).check().await;
    assert_eq!(worst(&findings), Some(Severity::Fine), "{findings:#?}");

    let findings = leaves_by("PUT", &fake.url(), "").check().await;
    assert!(
        format!("{findings:?}").contains("cannot bring this host back"),
        "{findings:#?}"
    );
    // Reserved for documentation: nobody answers, which takes its time.
    let far = leaves_by(
        "PUT",
        "http://192.0.2.1:1/",
        "register = []\nbearer = 't'\ntimeout = '100ms'",
    );
    assert!(format!("{:?}", far.check().await).contains("is plain http, and is sent a secret"));
}
