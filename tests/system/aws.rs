//! A host leaves an AWS target group and comes back: what its clients see, what the journal says, what it costs.

use std::os::unix::net::UnixStream;
use std::thread;
use std::time::{Duration, Instant};

use lb_drain_test_support::http1::Connection;
use lb_drain_test_support::imds::{Imds, Mode};
use lb_drain_test_support::moto::Moto;
use serde_json::Value;
use tempfile::tempdir;

use crate::rig::{Alb, App, Load, Machine, Network, assert_story, lb_drain_with, unit};

/// New requests may come for so long after a deregistration (an application load balancer's default `min_wait`).
const FLOOR: Duration = Duration::from_secs(15);
/// So many calls may leaving one target group cost its account.
const CALLS: usize = 5;

/// Stops under load, beside a request that goes on past the floor, and starts again. The target group's delay is
/// 300 s, the budget 30 s.
#[test]
fn a_service_stops_in_time_and_nobody_loses_a_request() {
    let network = Network::new();
    let machine = Machine::boot(&network);
    let alb = Alb::start(&network, &machine.share().join("alb"));
    let metadata = network.inside(|| Imds::start(Mode::Strict));
    machine.start_unit("app2.service", &unit("app2", "127.0.0.1:8082", ""));
    let registered = alb.api.snapshot();
    machine.start_unit(
        "app1.service",
        &unit("app1", "127.0.0.1:8081", &hooks(&alb, &metadata)),
    );
    assert_eq!(
        alb.api.snapshot(),
        registered,
        "a start of what is registered registers nothing else"
    );
    let load = Load::start(&[&alb.data_plane], 60, Duration::from_secs(3), &[]);
    load.wait_for(100);

    let journal_before = machine.journal("app1.service");
    let last = one_request(&alb, FLOOR + Duration::from_secs(2));
    let before = alb.api.all_calls();
    let begun = Instant::now();
    let stopped = machine.systemctl(&["stop", "app1.service"]);
    assert!(stopped.status.success(), "{stopped:?}");
    let dead = machine.moment("app1.service", "InactiveEnterTimestampMonotonic");
    let calls = alb.api.all_calls() - before;
    assert_eq!(machine.standing("app1.service"), "inactive (dead) success");
    assert_eq!(alb.state().as_deref(), Some("draining"));
    let last = last.join().expect("the last request is answered");
    let journal = machine.journal("app1.service");
    assert_story(
        journal
            .strip_prefix(&journal_before)
            .expect("a journal only grows"),
        &[
            &["leaving 1 load balancer; budget 29 s (TimeoutStopSec=30s of app1.service); stop"],
            &[
                "aws-elbv2: aws-elbv2 web i-0123456789abcdef0:8081 out of rotation after ",
                " requests in flight",
            ],
            &[
                "aws-elbv2: its deregistration delay of 300 s is longer than the budget; requests of more than 28 s \
                 would be cut (raise TimeoutStopSec= of app1.service or lower the delay)",
            ],
            &[
                "aws-elbv2: drained after ",
                "(nothing in flight on port 8081 for 1 s)",
            ],
            &["out of 1 of 1 load balancer and drained; ", " of 29 s used"],
        ],
    );
    thread::sleep(Duration::from_millis(500)); // some requests that app2 alone answers

    let started = machine.systemctl(&["start", "app1.service"]);
    assert!(started.status.success(), "{started:?}");
    let back = Instant::now();
    assert_eq!(alb.state().as_deref(), Some("healthy"), "--wait has waited");
    assert_eq!(alb.api.snapshot(), registered);
    load.wait_for_more(100);

    let report = load.finish();
    report.assert_nothing_lost(300);
    assert!(report.answered_by("app1", back) > 0, "app1 has requests again");
    let late = report.answered_by("app1", begun + Duration::from_secs(5));
    assert!(late > 0, "new requests came long after the deregistration");
    let overtime = dead.saturating_duration_since((begun + FLOOR).max(last));
    println!(
        "stopped {:.1?} after the command, {overtime:.1?} after floor and last request; {late} late requests; {calls} calls",
        dead - begun
    );
    // Of which 1 s is `quiet`, and the rest systemd's and the machine's.
    assert!(overtime <= Duration::from_millis(1500), "{overtime:?}");
    assert!(calls <= CALLS, "{calls} calls");
}

/// The lines of README.md, with this scene's variables.
fn hooks(alb: &Alb, metadata: &Imds) -> String {
    let (arn, url) = (&alb.arn, alb.api.url());
    let target = format!("--aws-target-group {arn} --aws-endpoint-url {url}");
    format!(
        "Environment=AWS_EC2_METADATA_SERVICE_ENDPOINT={}\n\
         ExecStartPost=/share/bin/lb-drain register --wait {target}\n\
         ExecStop=/share/bin/lb-drain deregister {target} --port 8081\n\
         TimeoutStopSec=30s",
        metadata.url()
    )
}

/// One request to app1 that takes so long; its thread tells when it was answered.
fn one_request(alb: &Alb, takes: Duration) -> thread::JoinHandle<Instant> {
    let front = alb.data_plane.front();
    thread::spawn(move || {
        let mut connection = Connection::new(UnixStream::connect(front).expect("connects"));
        let path = format!("/sleep/{}", takes.as_millis());
        let answer = connection
            .get(&path, &["X-Server: app1".to_owned()])
            .expect("an answer");
        assert_eq!((answer.status, &answer.body[..]), (200, &b"app1"[..]));
        Instant::now()
    })
}

/// What a person does by hand, with nothing in flight: AWS would show `draining` for 300 s.
#[test]
fn an_idle_host_has_left_after_the_floor_for_five_calls() {
    let network = Network::new();
    let folder = tempdir().expect("a folder");
    let alb = Alb::start(&network, folder.path());
    let metadata = network.inside(|| Imds::start(Mode::Strict));
    let _app = App::start(&network, "app1", "127.0.0.1:8081");
    one_request(&alb, Duration::ZERO).join().expect("an answer"); // HAProxy keeps its connection to app1
    let (metadata, url) = (metadata.url(), alb.api.url());
    let run = |verb: &[&str]| {
        let target = [
            "--aws-target-group",
            &alb.arn,
            "--aws-endpoint-url",
            &url,
            "--output",
            "json",
        ];
        let variables = [("AWS_EC2_METADATA_SERVICE_ENDPOINT", metadata.as_str())];
        let before = alb.api.all_calls();
        let ended = lb_drain_with(&network, &variables, &[verb, &target].concat()).wait();
        ended.assert_code(0);
        (alb.api.all_calls() - before, ended)
    };

    let (calls, left) = run(&["deregister", "--budget", "25s"]);
    println!("{calls} calls in {:?}", left.elapsed);
    assert!(calls <= CALLS, "{calls} calls");
    assert!(
        left.elapsed >= FLOOR && left.elapsed <= FLOOR + Duration::from_secs(1),
        "{left:#?}"
    );
    let report = &left.json()["load_balancers"][0];
    assert_eq!(report["outcome"], "drained", "{report}");
    assert_eq!(report["evidence"], "connections", "{report}");
    assert_eq!(report["error"], Value::Null, "{report}");
    assert_eq!(alb.state().as_deref(), Some("draining"));

    let (calls, _) = run(&["register", "--wait"]);
    println!("{calls} calls to come back");
    assert_eq!(alb.state().as_deref(), Some("healthy"));
}

/// A third party sees what we claim: moto holds the target group, and the AWS CLI looks at it.
#[test]
fn the_aws_cli_agrees_after_the_real_binary() {
    let network = Network::new();
    let Some(moto) = network.inside(Moto::start) else {
        return;
    };
    let setup = network.inside(|| moto.python(MOTO));
    let [id, arn] = ["id", "arn"].map(|key| setup[key].as_str().expect(key));
    let health = || {
        let target = format!("Id={id},Port=8080");
        let arguments = [
            "elbv2",
            "describe-target-health",
            "--target-group-arn",
            arn,
            "--targets",
            &target,
        ];
        let answer = network.inside(|| moto.aws(&arguments));
        let health = &answer["TargetHealthDescriptions"][0]["TargetHealth"];
        format!("{} {}", health["State"], health["Reason"])
    };
    let run = |verb: &[&str]| {
        let target = [
            "--aws-target-group",
            arn,
            "--aws-target-id",
            id,
            "--aws-endpoint-url",
            moto.url(),
        ];
        let variables = [
            ("AWS_ACCESS_KEY_ID", "AKIAFAKE"),
            ("AWS_SECRET_ACCESS_KEY", "fake-secret"),
        ];
        let ended = lb_drain_with(&network, &variables, &[verb, &target].concat()).wait();
        ended.assert_code(0).stderr.clone()
    };
    assert_eq!(health(), r#""healthy" null"#);

    let told = run(&["deregister", "--min-wait", "100ms"]);
    assert!(
        told.contains("drained after ") && told.contains("(AWS has no such entry any more)"),
        "{told}"
    );
    assert_eq!(health(), r#""unused" "Target.NotRegistered""#);

    let told = run(&["register", "--wait"]);
    assert!(told.contains("back in rotation (healthy)"), "{told}");
    assert_eq!(health(), r#""healthy" null"#);
}

/// An instance in a target group, on a port that is not the group's.
const MOTO: &str = r"
instance = ec2.run_instances(ImageId='ami-12c6146b', MinCount=1, MaxCount=1)['Instances'][0]
vpc = ec2.describe_vpcs()['Vpcs'][0]['VpcId']
made = elb.create_target_group(Name='web', Protocol='HTTP', Port=80, VpcId=vpc, TargetType='instance')
arn = made['TargetGroups'][0]['TargetGroupArn']
elb.register_targets(TargetGroupArn=arn, Targets=[{'Id': instance['InstanceId'], 'Port': 8080}])
print(json.dumps({'id': instance['InstanceId'], 'arn': arn}))
";
