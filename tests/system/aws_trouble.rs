//! AWS, the way to it, or what this host knows of itself is not as it should be: the exit code is true, the budget
//! is kept, and the last lines tell the operator what to do.

use std::time::Duration;

use lb_drain_test_support::elbv2::{Elbv2, Fault, Limits, TargetGroup};
use lb_drain_test_support::imds::{INSTANCE_ID, Imds, Mode};
use tempfile::tempdir;

use crate::rig::{Ended, Network, lb_drain_with};

/// The budget of each run.
const BUDGET: Duration = Duration::from_secs(4);
/// That of a run with two hundred target groups, which asks a lot of a debug build.
const LONG_BUDGET: Duration = Duration::from_secs(8);
/// How soon a run ends where asking again does not help.
const SOON: Duration = Duration::from_millis(1500);

const KEYS: [(&str, &str); 2] = [
    ("AWS_ACCESS_KEY_ID", "AKIAFAKE"),
    ("AWS_SECRET_ACCESS_KEY", "fake-secret"),
];

/// A host in a target group `web`.
struct Scene {
    network: Network,
    api: Elbv2,
    arn: String,
}

impl Scene {
    fn new() -> Self {
        let network = Network::new();
        let api = network.inside(Elbv2::start);
        let arn = api.add(TargetGroup::new("web"));
        api.register(&arn, INSTANCE_ID, 8080, None, "healthy");
        Self { network, api, arn }
    }

    /// Leaves with these variables and options.
    fn leave(&self, variables: &[(&str, &str)], options: &[&str]) -> Ended {
        let url = self.api.url();
        let mut arguments = vec!["deregister", "--budget", "4s", "--aws-endpoint-url", &url];
        arguments.extend(options);
        let ended = lb_drain_with(&self.network, variables, &arguments).wait();
        println!(
            "exit {:?} after {:.1?}\n{}",
            ended.code, ended.elapsed, ended.stderr
        );
        assert!(ended.elapsed < BUDGET, "{ended:#?}");
        ended
    }

    /// Leaves as an instance that gets everything from its metadata.
    fn leave_with(&self, metadata: &str) -> Ended {
        let variables = [("AWS_EC2_METADATA_SERVICE_ENDPOINT", metadata)];
        self.leave(&variables, &["--aws-target-group", &self.arn])
    }

    /// Leaves with credentials and id given.
    fn leave_knowing(&self, group: &str, more: &[&str]) -> Ended {
        let id = ["--aws-target-group", group, "--aws-target-id", INSTANCE_ID];
        self.leave(&KEYS, &[&id, more].concat())
    }
}

/// Asserts that it failed, and said so with all these words in one line; and that the verdict comes last.
fn failed(ended: &Ended, words: &[&str]) {
    ended.assert_code(1);
    let lines = &ended.stderr;
    let mut failures = lines
        .lines()
        .filter(|line| line.starts_with("aws-elbv2: still in rotation: "));
    assert!(
        failures.any(|line| words.iter().all(|word| line.contains(word))),
        "{words:?} in:\n{lines}"
    );
    let verdict = lines.lines().last().expect("a verdict");
    assert!(
        verdict.starts_with("out of 0 of 1 load balancer; may still route here: aws-elbv2; "),
        "{verdict}"
    );
}

#[test]
fn metadata_that_refuse_connections() {
    let scene = Scene::new();
    failed(
        &scene.leave_with(&scene.network.inside(Imds::absent)),
        &[
            "has no AWS credentials",
            "refused",
            "where this is no EC2 instance",
        ],
    );
}

#[test]
fn metadata_that_cannot_be_reached() {
    // The link-local address, from a network without a route.
    let scene = Scene::new();
    failed(
        &scene.leave(&[], &["--aws-target-group", &scene.arn]),
        &[
            "has no AWS credentials",
            "unreachable",
            "where this is no EC2 instance",
        ],
    );
}

#[test]
fn metadata_that_never_answer() {
    let scene = Scene::new();
    let metadata = scene.network.inside(|| Imds::start(Mode::Silent));
    failed(
        &scene.leave_with(&metadata.url()),
        &["has no AWS credentials", "hop limit"],
    );
}

#[test]
fn metadata_that_are_slow_cost_time_and_no_more() {
    let scene = Scene::new();
    let metadata = scene
        .network
        .inside(|| Imds::start(Mode::Slow(Duration::from_millis(200))));
    let variables = [("AWS_EC2_METADATA_SERVICE_ENDPOINT", &*metadata.url())];
    let ended = scene.leave(
        &variables,
        &[
            "--aws-target-group",
            &scene.arn,
            "--min-wait",
            "0s",
            "--port",
            "8080",
        ],
    );
    ended.assert_code(0);
}

#[test]
fn metadata_of_version_one() {
    let scene = Scene::new();
    let metadata = scene.network.inside(|| Imds::start(Mode::Version1));
    let ended = scene.leave_with(&metadata.url());
    failed(
        &ended,
        &["they give no IMDSv2 token", "let `PUT /latest/api/token` through"],
    );
    assert!(ended.elapsed < SOON, "{ended:#?}");
}

#[test]
fn an_instance_without_a_role() {
    let scene = Scene::new();
    let metadata = scene.network.inside(|| Imds::start(Mode::NoRole));
    let ended = scene.leave_with(&metadata.url());
    failed(&ended, &["attach an IAM role"]);
    assert!(ended.elapsed < SOON, "{ended:#?}");
}

#[test]
fn expired_credentials() {
    let scene = Scene::new();
    scene.api.expire_credentials();
    let ended = scene.leave_knowing(&scene.arn, &[]);
    failed(&ended, &["ExpiredToken", "renew the credentials"]);
    assert!(ended.elapsed < SOON, "{ended:#?}");
}

#[test]
fn a_name_in_the_wrong_region() {
    let scene = Scene::new();
    let ended = scene.leave_knowing("web", &["--aws-region", "us-east-1"]);
    failed(&ended, &["TargetGroupNotFound", "us-east-1 is its region"]);
    assert!(ended.elapsed < SOON, "{ended:#?}");
}

#[test]
fn an_arn_of_another_region_is_an_error_of_usage() {
    let scene = Scene::new();
    let ended = scene.leave_knowing(&scene.arn, &["--aws-region", "us-east-1"]);
    ended.assert_code(2);
    assert!(ended.stderr.contains("region: it is \"us-east-1\""), "{ended:#?}");
    assert_eq!(scene.api.all_calls(), 0);
}

#[test]
fn a_deleted_target_group() {
    let scene = Scene::new();
    scene.api.delete(&scene.arn);
    let ended = scene.leave_knowing(&scene.arn, &[]);
    failed(&ended, &["TargetGroupNotFound", "check its name"]);
    assert!(ended.elapsed < SOON, "{ended:#?}");
}

#[test]
fn a_network_load_balancer_whose_floor_does_not_fit() {
    let scene = Scene::new();
    let arn = scene.api.add(TargetGroup {
        protocol: "TCP".to_owned(),
        ..TargetGroup::new("tcp")
    });
    scene.api.register(&arn, INSTANCE_ID, 8080, None, "healthy");
    let ended = scene.leave_knowing(&arn, &["--strict"]);
    ended.assert_code(75);
    let told = "its changes need 120 s to take effect and 3 s are left; requests may still arrive when the service stops \
                (give a larger --budget)";
    assert!(ended.stderr.contains(told), "{}", ended.stderr);
    let verdict = ended.stderr.lines().last().expect("a verdict");
    assert!(
        verdict.starts_with("out of 1 of 1 load balancer, not drained: aws-elbv2"),
        "{verdict}"
    );
}

/// The role may do no more than deregister: the host leaves on trust, and what was not verified is said.
#[test]
fn without_permission_to_describe() {
    let scene = Scene::new();
    for action in [
        "DescribeTargetHealth",
        "DescribeTargetGroups",
        "DescribeTargetGroupAttributes",
    ] {
        scene.api.deny(action);
    }
    let ended = scene.leave_knowing(
        &scene.arn,
        &["--aws-port", "8080", "--min-wait", "0s", "--max-wait", "1s"],
    );
    ended.assert_code(0);
    assert_eq!(
        scene.api.truth(&scene.arn, INSTANCE_ID, 8080).as_deref(),
        Some("draining")
    );
    assert!(ended.stderr.contains("told to leave after "), "{}", ended.stderr);

    let scene = Scene::new();
    scene.api.deny("DescribeTargetHealth");
    let ended = scene.leave_knowing(&scene.arn, &[]);
    failed(
        &ended,
        &[
            "AccessDenied",
            "allow elasticloadbalancing:DescribeTargetHealth",
            "or set `port`",
        ],
    );
    assert!(ended.elapsed < SOON, "{ended:#?}");
}

/// It cannot look, and AWS says that it knows no such target: the host may be in under another id.
#[test]
fn a_refusal_without_permission_to_describe() {
    let scene = Scene::new();
    scene.api.deny("DescribeTargetHealth");
    scene.api.terminate(INSTANCE_ID);
    let ended = scene.leave_knowing(&scene.arn, &["--aws-port", "8080"]);
    failed(
        &ended,
        &["refused DeregisterTargets: InvalidTarget", "check `target_id`"],
    );
    assert!(ended.elapsed < SOON, "{ended:#?}");
}

/// The account's limit is met at first: the host leaves as soon as AWS lets it, and what it did not ask for the
/// sake of others is said.
#[test]
fn throttled_at_first() {
    let scene = Scene::new();
    for action in ["DescribeTargetHealth", "DeregisterTargets"] {
        let throttled = Fault::Refuse {
            status: 400,
            code: "ThrottlingException".to_owned(),
        };
        scene.api.fail(action, throttled, 2);
    }
    let ended = scene.leave_knowing(&scene.arn, &["--min-wait", "0s", "--port", "8080"]);
    ended.assert_code(0);
    assert_eq!(
        scene.api.truth(&scene.arn, INSTANCE_ID, 8080).as_deref(),
        Some("draining")
    );
    let told = "AWS throttles this account's calls, so only what is essential was asked; assumed: where `min_wait` \
                does not say, new requests may arrive for 120 s";
    assert!(ended.stderr.contains(told), "{}", ended.stderr);
    let verdict = ended.stderr.lines().last().expect("a verdict");
    assert!(
        verdict.starts_with("out of 1 of 1 load balancer and drained; "),
        "{verdict}"
    );
    assert_eq!(
        scene.api.all_calls(),
        7,
        "three essential ones and four that were refused"
    );
}

/// A host in two hundred target groups, with these limits of its account.
fn two_hundred(limits: Option<Limits>) -> (Scene, Ended) {
    let scene = Scene::new();
    let groups: Vec<String> = (0..200)
        .map(|n| {
            let arn = scene.api.add(TargetGroup::new(&format!("web-{n}")));
            scene.api.register(&arn, INSTANCE_ID, 8080, None, "healthy");
            arn
        })
        .collect();
    if let Some(limits) = limits {
        scene.api.limit(limits);
    }
    let folder = tempdir().expect("a folder");
    let file = folder.path().join("lb-drain.toml");
    let text = format!(
        "ports = [8080]\n[[load_balancer]]\nname = \"public\"\nprovider = \"aws-elbv2\"\nmin_wait = \"0s\"\n\
         target_id = {INSTANCE_ID:?}\nendpoint_url = {:?}\ntarget_groups = {groups:?}\n",
        scene.api.url()
    );
    std::fs::write(&file, text).expect("writes the configuration");
    let config = file.to_str().expect("UTF-8");
    let arguments = ["deregister", "-c", config, "--budget", "8s"];
    let ended = lb_drain_with(&scene.network, &KEYS, &arguments).wait();
    let (calls, verdict) = (scene.api.all_calls(), ended.stderr.lines().last());
    println!(
        "exit {:?} after {:.1?}, {calls} calls: {verdict:?}",
        ended.code, ended.elapsed
    );
    assert!(ended.elapsed < LONG_BUDGET, "{:?}", ended.elapsed);
    (scene, ended)
}

#[test]
fn two_hundred_target_groups() {
    let (scene, ended) = two_hundred(None);
    assert_eq!(ended.code, Some(0));
    let verdict = ended.stderr.lines().last().expect("a verdict");
    assert!(
        verdict.starts_with("out of 200 of 200 load balancers and drained; "),
        "{verdict}"
    );
    let calls = scene.api.all_calls();
    assert!(calls <= 4 * 200 + 10, "{calls}");
}

#[test]
fn two_hundred_target_groups_and_an_account_with_limits() {
    let (_, ended) = two_hundred(Some(Limits::default()));
    assert_eq!(ended.code, Some(1));
    let mut lines = ended.stderr.lines().rev();
    let verdict = lines.next().expect("a verdict");
    assert!(
        verdict.contains(" of 200 load balancers") && verdict.contains("; may still route here: public ("),
        "{verdict}"
    );
    assert!(verdict.len() < 600, "a sentence can be read: {verdict}");
    let told: Vec<&str> = lines
        .take_while(|line| line.starts_with("public: still in rotation: "))
        .collect();
    assert!(told.len() > 50, "each of them has its line: {told:?}");
    let remedy = "Rate exceeded; AWS limits the calls of an account in a region: raise TimeoutStopSec=";
    assert!(told.iter().any(|line| line.contains(remedy)), "{told:?}");
}
