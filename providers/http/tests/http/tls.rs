//! TLS: whom to trust, and who we are.

use std::sync::Arc;

use lb_drain_api::{LoadBalancer, Severity};
use lb_drain_test_support::certificates::{Authority, Certified};
use lb_drain_test_support::http::{Fake, Reply};
use tempfile::TempDir;

use crate::support::{again, always, is_child, is_temporary, leave, leaves_by};

struct Site {
    authority: Authority,
    directory: TempDir,
}

impl Site {
    fn new() -> Self {
        Self {
            authority: Authority::new(),
            directory: tempfile::tempdir().unwrap(),
        }
    }

    fn serve(&self, shown: &Certified, clients: Option<&Authority>) -> Fake {
        Fake::start_tls(shown.server(clients), |_| Reply::new(200, ""))
    }

    /// Trusts the site's authority.
    fn balancer(&self, fake: &Fake, more: &str) -> Arc<dyn LoadBalancer> {
        let ca = self.authority.file(&self.directory);
        leaves_by(
            "PUT",
            &fake.url(),
            &format!("ca_file = '{}'\n{more}", ca.display()),
        )
    }
}

async fn refusal(balancer: &Arc<dyn LoadBalancer>) -> String {
    let error = leave(balancer).await.expect_err("refused");
    assert!(!is_temporary(&error), "it does not pass by itself: {error}");
    let findings = balancer.check().await;
    let problem = findings
        .iter()
        .find(|finding| finding.severity == Severity::Problem);
    let problem = problem.unwrap_or_else(|| panic!("check finds it too: {findings:?}"));
    let remedy = problem.remedy.clone().expect("what to do");
    assert!(
        error.to_string().ends_with(&remedy),
        "both say the same: {error}
{remedy}"
    );
    error.to_string()
}

#[tokio::test]
async fn an_authority_of_ones_own_is_trusted() {
    let site = Site::new();
    let fake = site.serve(&site.authority.certify(&["127.0.0.1"]), None);
    leave(&site.balancer(&fake, "")).await.expect("left");
    assert_eq!(fake.lines(), ["PUT /"]);
}

#[tokio::test]
async fn a_certificate_by_somebody_else_is_not() {
    let site = Site::new();
    let fake = site.serve(&Authority::new().certify(&["127.0.0.1"]), None);
    let error = refusal(&site.balancer(&fake, "")).await;
    assert!(
        error.contains("signed by nobody whom this host trusts; name the authority's certificate in ca_file"),
        "{error}"
    );
}

#[tokio::test]
async fn an_expired_certificate_is_not() {
    let site = Site::new();
    let fake = site.serve(&site.authority.certify_expired(&["127.0.0.1"]), None);
    let error = refusal(&site.balancer(&fake, "")).await;
    assert!(error.contains("its certificate has expired"), "{error}");
}

#[tokio::test]
async fn a_certificate_for_another_name_is_not() {
    let site = Site::new();
    let fake = site.serve(&site.authority.certify(&["lb.example.org"]), None);
    let error = refusal(&site.balancer(&fake, "")).await;
    assert!(
        error.contains("for another name") && error.contains("lb.example.org"),
        "{error}"
    );
}

#[tokio::test]
async fn a_server_that_demands_a_certificate_gets_it() {
    let site = Site::new();
    let fake = site.serve(&site.authority.certify(&["127.0.0.1"]), Some(&site.authority));
    let error = refusal(&site.balancer(&fake, "")).await;
    assert!(
        error.contains("name a certificate that it accepts in client_cert and client_key"),
        "{error}"
    );
    let (cert, key) = site.authority.certify(&["web1"]).files(&site.directory);
    let keys = format!(
        "client_cert = '{}'\nclient_key = '{}'",
        cert.display(),
        key.display()
    );
    leave(&site.balancer(&fake, &keys)).await.expect("left");
    let (cert, key) = Authority::new().certify(&["web1"]).files(&site.directory);
    let keys = format!(
        "client_cert = '{}'\nclient_key = '{}'",
        cert.display(),
        key.display()
    );
    let error = refusal(&site.balancer(&fake, &keys)).await;
    assert!(error.contains("refused this host's certificate"), "{error}");
}

#[tokio::test]
async fn the_wrong_scheme_is_told() {
    let site = Site::new();
    let plain = always(Reply::new(400, "what?"));
    let error = refusal(&leaves_by("PUT", &plain.url().replace("http:", "https:"), "")).await;
    assert!(
        error.contains("does not speak TLS; check the port, and whether it wants http"),
        "{error}"
    );
    let fake = site.serve(&site.authority.certify(&["127.0.0.1"]), None);
    let error = leave(&leaves_by("PUT", &fake.url().replace("https:", "http:"), ""))
        .await
        .expect_err("not http");
    assert!(
        !is_temporary(&error) && error.to_string().contains("whether it wants https"),
        "{error}"
    );
}

#[tokio::test]
async fn a_file_that_is_missing_or_wrong_is_named() {
    let directory = tempfile::tempdir().unwrap();
    let empty = directory.path().join("empty.pem");
    std::fs::write(&empty, "").unwrap();
    for (path, says) in [
        ("/nowhere/ca.pem", "cannot be read"),
        (empty.to_str().unwrap(), "holds no certificate"),
    ] {
        let balancer = leaves_by("PUT", "https://127.0.0.1:1/", &format!("ca_file = '{path}'"));
        let error = leave(&balancer).await.expect_err("no authority");
        assert!(!is_temporary(&error), "{error}");
        assert!(
            error.to_string().contains(path) && error.to_string().contains(says),
            "{error}"
        );
    }
}

/// The bundle that the environment names does not exist, so whoever reads it fails.
#[test]
fn the_systems_authorities_are_read_only_when_they_are_needed() {
    if !is_child() {
        let name = "tls::the_systems_authorities_are_read_only_when_they_are_needed";
        return again(name, &[], &[("SSL_CERT_FILE", "/nowhere/bundle.pem")]);
    }
    let run = async {
        leave(&leaves_by("PUT", &always(Reply::new(200, "")).url(), ""))
            .await
            .expect("http needs none");
        let site = Site::new();
        let fake = site.serve(&site.authority.certify(&["127.0.0.1"]), None);
        leave(&site.balancer(&fake, ""))
            .await
            .expect("ca_file replaces them");
        let error = leave(&leaves_by("PUT", &fake.url(), ""))
            .await
            .expect_err("needed")
            .to_string();
        assert!(error.contains("/nowhere/bundle.pem cannot be read"), "{error}");
    };
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap()
        .block_on(run);
}

#[test]
fn the_systems_authorities_are_trusted() {
    let run = async {
        // The child's bundle holds the authority that the parent made.
        let url = std::env::var("LB_DRAIN_TEST_URL").unwrap();
        leave(&leaves_by("PUT", &url, "")).await.expect("left");
    };
    if is_child() {
        return tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap()
            .block_on(run);
    }
    let site = Site::new();
    let fake = site.serve(&site.authority.certify(&["127.0.0.1"]), None);
    let bundle = site.authority.file(&site.directory);
    let environment = [
        ("SSL_CERT_FILE", bundle.to_str().unwrap()),
        ("LB_DRAIN_TEST_URL", &fake.url()),
    ];
    again("tls::the_systems_authorities_are_trusted", &[], &environment);
}
