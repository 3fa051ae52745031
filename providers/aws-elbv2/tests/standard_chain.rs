//! Credentials, region, endpoint and roots come from where every AWS tool takes them. The variables are
//! those of a process, so each case runs in a process of its own.

mod common;

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::process::Command;

use common::{host, web};
use lb_drain_aws_elbv2::{Settings, connect};
use lb_drain_test_support::elbv2::{Elbv2, TargetGroup};
use lb_drain_test_support::imds::{INSTANCE_ID, Imds, Mode};
use lb_drain_test_support::sts::Sts;

/// Carries the settings to the process that plays the tool.
const SETTINGS: &str = "LB_DRAIN_TEST_SETTINGS";

/// A file that the process removes before it plays the tool once more.
const REMOVED: &str = "LB_DRAIN_TEST_REMOVED";

/// Not a test by itself: what the processes of the others run.
#[tokio::test]
async fn the_tool() {
    let Ok(settings) = std::env::var(SETTINGS) else {
        return;
    };
    let settings: Settings = serde_json::from_str(&settings).expect("settings");
    run(settings.clone()).await;
    if let Ok(file) = std::env::var(REMOVED) {
        fs::remove_file(file).expect("it is there");
        run(settings).await;
    }
}

async fn run(settings: Settings) {
    for balancer in connect(settings, &host()).expect("settings that can be meant") {
        match balancer.find().await {
            Ok(found) => {
                for found in found {
                    let view = found.view.expect("a state");
                    println!("found {} {:?}", found.target, view.rotation);
                }
            }
            Err(error) => println!("error {error}"),
        }
    }
}

/// The first thing that the tool says with these settings and these variables, and no others.
fn said(settings: &str, variables: &[(&str, &str)]) -> String {
    all_said(settings, variables).remove(0)
}

/// All that the tool says.
fn all_said(settings: &str, variables: &[(&str, &str)]) -> Vec<String> {
    let mut command = Command::new(std::env::current_exe().expect("this test"));
    command
        .args(["--exact", "the_tool", "--nocapture"])
        .env_clear()
        .env(SETTINGS, settings)
        // Nothing of the host that runs the tests.
        .env("AWS_CONFIG_FILE", "/nonexistent")
        .env("AWS_SHARED_CREDENTIALS_FILE", "/nonexistent")
        .env("AWS_EC2_METADATA_SERVICE_ENDPOINT", "http://127.0.0.1:9")
        .envs(variables.iter().copied().collect::<BTreeMap<_, _>>());
    let output = command.output().expect("it runs");
    let output = String::from_utf8(output.stdout).expect("text");
    let lines = output.lines().filter_map(|line| {
        line.find("found ")
            .or(line.find("error "))
            .map(|at| line[at..].to_owned())
    });
    let lines: Vec<String> = lines.collect();
    if lines.is_empty() { vec![output] } else { lines }
}

const FOUND: &str = "found i-0123456789abcdef0:8080 InService";
const KEYS: [(&str, &str); 2] = [
    ("AWS_ACCESS_KEY_ID", "AKIAFAKE"),
    ("AWS_SECRET_ACCESS_KEY", "fake-secret"),
];

fn by_name(more: &str) -> String {
    format!(r#"{{"target_groups": ["web"], "target_id": "{INSTANCE_ID}"{more}}}"#)
}

#[test]
fn variables_suffice() {
    let (fake, _) = web();
    let url = fake.url();
    let [id, secret] = KEYS;
    for endpoint in ["AWS_ENDPOINT_URL_ELASTIC_LOAD_BALANCING_V2", "AWS_ENDPOINT_URL"] {
        for region in ["AWS_REGION", "AWS_DEFAULT_REGION"] {
            let said = said(
                &by_name(""),
                &[id, secret, (endpoint, &url), (region, "eu-west-1")],
            );
            assert_eq!(said, FOUND, "{endpoint} {region}");
        }
    }
}

#[test]
fn a_profile_suffices() {
    let (fake, _) = web();
    let folder = tempfile::tempdir().expect("a folder");
    let (config, credentials) = (folder.path().join("config"), folder.path().join("credentials"));
    let url = fake.url();
    fs::write(
        &config,
        format!("[profile drain]\nregion = eu-west-1\nendpoint_url = {url}\n"),
    )
    .expect("written");
    let keys = "[drain]\naws_access_key_id = AKIAFAKE\naws_secret_access_key = fake-secret\n";
    fs::write(&credentials, keys).expect("written");
    let files = [
        ("AWS_CONFIG_FILE", config.to_str().expect("text")),
        ("AWS_SHARED_CREDENTIALS_FILE", credentials.to_str().expect("text")),
    ];
    assert_eq!(said(&by_name(r#", "profile": "drain""#), &files), FOUND);
    let [a, b] = files;
    assert_eq!(said(&by_name(""), &[a, b, ("AWS_PROFILE", "drain")]), FOUND);
}

#[test]
fn an_instance_needs_nothing_at_all() {
    let (fake, _) = web();
    let imds = Imds::start(Mode::Strict);
    let (url, metadata) = (fake.url(), imds.url());
    let variables = [
        ("AWS_ENDPOINT_URL", url.as_str()),
        ("AWS_EC2_METADATA_SERVICE_ENDPOINT", metadata.as_str()),
    ];
    assert_eq!(said(r#"{"target_groups": ["web"]}"#, &variables), FOUND);
}

#[test]
fn a_container_brings_its_own_credentials() {
    let (fake, _) = web();
    // The container's service answers without a token; so does this one, with the same JSON.
    let service = Imds::start(Mode::Version1);
    let url = fake.url();
    let credentials = format!("{}/latest/meta-data/iam/security-credentials/web", service.url());
    let variables = [
        ("AWS_ENDPOINT_URL", url.as_str()),
        ("AWS_REGION", "eu-west-1"),
        ("AWS_CONTAINER_CREDENTIALS_FULL_URI", credentials.as_str()),
    ];
    assert_eq!(said(&by_name(""), &variables), FOUND);
}

/// What a service account in Kubernetes or an OIDC provider brings: a token in a file, and a role.
#[test]
fn a_web_identity_assumes_its_role_and_a_refusal_is_final() {
    let (fake, _) = web();
    let url = fake.url();
    let token = tempfile::NamedTempFile::new().expect("a file");
    fs::write(token.path(), "fake-web-token").expect("written");
    let with = |sts: &Sts| {
        let service = sts.url();
        let variables = [
            ("AWS_ENDPOINT_URL", url.as_str()),
            ("AWS_ENDPOINT_URL_STS", &service),
            ("AWS_REGION", "eu-west-1"),
            ("AWS_ROLE_ARN", "arn:aws:iam::123456789012:role/web"),
            (
                "AWS_WEB_IDENTITY_TOKEN_FILE",
                token.path().to_str().expect("text"),
            ),
        ];
        said(&by_name(""), &variables)
    };
    assert_eq!(with(&Sts::start()), FOUND);
    for (status, code, is_final) in [
        (403, "AccessDenied", true),
        (400, "ExpiredTokenException", true),
        (400, "InvalidIdentityToken", true),
        (403, "IDPRejectedClaim", true),
        (400, "Throttling", false),
        (503, "ServiceUnavailable", false),
    ] {
        let text = with(&Sts::refusing(status, code));
        assert!(
            text.starts_with("error aws-elbv2 web has no AWS credentials: "),
            "{text}"
        );
        assert_eq!(text.contains("trust policy"), is_final, "{code}: {text}");
    }
}

#[test]
fn a_profile_assumes_a_role() {
    let (fake, _) = web();
    let folder = tempfile::tempdir().expect("a folder");
    let config = folder.path().join("config");
    let text = "[profile base]\naws_access_key_id = AKIAFAKE\naws_secret_access_key = fake-secret\n\
                [profile drain]\nregion = eu-west-1\nsource_profile = base\n\
                role_arn = arn:aws:iam::123456789012:role/web\n";
    fs::write(&config, text).expect("written");
    let (url, sts) = (fake.url(), Sts::start());
    let service = sts.url();
    let variables = [
        ("AWS_CONFIG_FILE", config.to_str().expect("text")),
        ("AWS_ENDPOINT_URL", url.as_str()),
        ("AWS_ENDPOINT_URL_STS", &service),
    ];
    assert_eq!(said(&by_name(r#", "profile": "drain""#), &variables), FOUND);
}

#[test]
fn disabled_metadata_is_not_asked_and_that_is_said() {
    let (fake, _) = web();
    let imds = Imds::start(Mode::Strict);
    let (url, metadata) = (fake.url(), imds.url());
    let [id, secret] = KEYS;
    let variables = [
        id,
        secret,
        ("AWS_ENDPOINT_URL", url.as_str()),
        ("AWS_REGION", "eu-west-1"),
        ("AWS_EC2_METADATA_SERVICE_ENDPOINT", metadata.as_str()),
        ("AWS_EC2_METADATA_DISABLED", "true"),
    ];
    assert_eq!(
        said(r#"{"target_groups": ["web"]}"#, &variables),
        "error aws-elbv2 web could not learn the instance's id from the instance metadata: \
         AWS_EC2_METADATA_DISABLED is set; set `target_id`"
    );
    assert_eq!(imds.requests(), 0);
}

#[test]
fn a_credential_process_is_told_to_be_left_out() {
    let (fake, _) = web();
    let folder = tempfile::tempdir().expect("a folder");
    let config = folder.path().join("config");
    fs::write(&config, "[default]\ncredential_process = /bin/true\n").expect("written");
    let url = fake.url();
    let variables = [
        ("AWS_CONFIG_FILE", config.to_str().expect("text")),
        ("AWS_ENDPOINT_URL", url.as_str()),
        ("AWS_REGION", "eu-west-1"),
    ];
    let said = said(&by_name(""), &variables);
    assert!(
        said.contains("has no AWS credentials: the profile wants a program"),
        "{said}"
    );
}

/// A fake that speaks https, with this host in it, and a file with its certificate.
fn secure() -> (Elbv2, tempfile::NamedTempFile) {
    let fake = Elbv2::start_tls();
    let arn = fake.add(TargetGroup::new("web"));
    fake.register(&arn, INSTANCE_ID, 8080, None, "healthy");
    let file = tempfile::NamedTempFile::new().expect("a file");
    fs::write(file.path(), fake.authority().expect("it speaks https")).expect("written");
    (fake, file)
}

#[test]
fn a_private_authority_is_trusted_where_the_variables_say_so() {
    let (fake, certificate) = secure();
    let (url, path) = (fake.url(), certificate.path().to_str().expect("text").to_owned());
    let [id, secret] = KEYS;
    let base = [
        id,
        secret,
        ("AWS_ENDPOINT_URL", url.as_str()),
        ("AWS_REGION", "eu-west-1"),
    ];
    for variable in ["AWS_CA_BUNDLE", "SSL_CERT_FILE"] {
        let mut variables = base.to_vec();
        variables.push((variable, &path));
        assert_eq!(said(&by_name(""), &variables), FOUND, "{variable}");
    }
    let untrusted = said(&by_name(""), &base);
    assert!(
        untrusted.contains("certificate") && untrusted.contains("AWS_CA_BUNDLE"),
        "{untrusted}"
    );
}

/// A hundred sections would read and parse a hundred and fifty certificates a hundred times over.
#[test]
fn the_bundle_is_read_once_for_all_sections() {
    let (fake, certificate) = secure();
    let (url, path) = (fake.url(), certificate.path().to_str().expect("text").to_owned());
    let [id, secret] = KEYS;
    let variables = [
        id,
        secret,
        ("AWS_ENDPOINT_URL", url.as_str()),
        ("AWS_REGION", "eu-west-1"),
        ("AWS_CA_BUNDLE", &path),
        (REMOVED, &path),
    ];
    assert_eq!(all_said(&by_name(""), &variables), [FOUND, FOUND]);
}

#[test]
fn a_bundle_that_is_missing_or_empty_is_named() {
    let (fake, _certificate) = secure();
    let url = fake.url();
    let empty = tempfile::NamedTempFile::new().expect("a file");
    let [id, secret] = KEYS;
    for (path, why) in [
        ("/nonexistent.pem", "cannot be read"),
        (empty.path().to_str().expect("text"), "no usable certificate"),
    ] {
        let variables = [
            id,
            secret,
            ("AWS_ENDPOINT_URL", url.as_str()),
            ("AWS_REGION", "eu-west-1"),
            ("AWS_CA_BUNDLE", path),
        ];
        let said = said(&by_name(""), &variables);
        assert!(
            said.contains(&format!("AWS_CA_BUNDLE names {path}")) && said.contains(why),
            "{said}"
        );
    }
}

#[test]
fn over_plain_http_no_bundle_is_read() {
    let (fake, _) = web();
    let url = fake.url();
    let [id, secret] = KEYS;
    let variables = [
        id,
        secret,
        ("AWS_ENDPOINT_URL", url.as_str()),
        ("AWS_REGION", "eu-west-1"),
        ("AWS_CA_BUNDLE", "/nonexistent.pem"),
    ];
    assert_eq!(said(&by_name(""), &variables), FOUND);
}

/// The host that the tool wants to reach through a proxy, with these variables.
fn reached(variables: &[(&str, &str)]) -> String {
    let proxy = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let url = format!("http://{}", proxy.local_addr().expect("bound"));
    let first = std::thread::spawn(move || {
        let (stream, _) = proxy.accept().expect("a connection");
        let mut line = String::new();
        BufReader::new(stream).read_line(&mut line).expect("a line");
        line.trim().to_owned()
    });
    let [id, secret] = KEYS;
    let mut all = vec![id, secret, ("HTTPS_PROXY", url.as_str())];
    all.extend(variables);
    let said = said(&by_name(""), &all);
    assert!(said.starts_with("error "), "{said}");
    first.join().expect("a request for a tunnel")
}

#[test]
fn region_fips_and_dual_stack_choose_the_endpoint_and_a_proxy_is_used() {
    let region = ("AWS_REGION", "us-east-1");
    for (variables, host) in [
        (vec![region], "elasticloadbalancing.us-east-1.amazonaws.com:443"),
        (
            vec![region, ("AWS_USE_FIPS_ENDPOINT", "true")],
            "elasticloadbalancing-fips.us-east-1.amazonaws.com:443",
        ),
        (
            vec![region, ("AWS_USE_DUALSTACK_ENDPOINT", "true")],
            "elasticloadbalancing.us-east-1.api.aws:443",
        ),
        (
            vec![("AWS_REGION", "cn-north-1")],
            "elasticloadbalancing.cn-north-1.amazonaws.com.cn:443",
        ),
    ] {
        assert_eq!(reached(&variables), format!("CONNECT {host} HTTP/1.1"));
    }
}
