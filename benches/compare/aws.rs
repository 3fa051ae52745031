//! Wall time and memory of whole processes: the verified flow (describe, deregister, describe) of `lb-drain`
//! against one unverified call by the AWS CLI and by boto3, and against the same flow by the CLI.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use lb_drain_test_support::elbv2::{Elbv2, TargetGroup};
use lb_drain_test_support::imds::INSTANCE_ID;
use lb_drain_test_support::moto::Moto;

use crate::side::{Side, compare, memory_folder};

/// Runs of each side, in turn, so that all see the same machine.
const RUNS: usize = 21;

/// Where the host is registered, and how to get there.
struct Place<'a> {
    moto: &'a Moto,
    url: String,
    arn: String,
    id: String,
    /// A file with the roots, where it is https.
    roots: Option<&'a Path>,
    /// Where the record of what was taken out goes.
    record: &'a Path,
}

/// Prints the tables.
pub(crate) fn run() {
    let Some(moto) = Moto::start() else { return };
    let folder = memory_folder();
    let setup = moto.python(
        "
instance = ec2.run_instances(ImageId='ami-12c6146b', MinCount=1, MaxCount=1)['Instances'][0]['InstanceId']
vpc = ec2.describe_vpcs()['Vpcs'][0]['VpcId']
group = elb.create_target_group(Name='web', Protocol='HTTP', Port=80, VpcId=vpc)['TargetGroups'][0]
print(json.dumps({'id': instance, 'arn': group['TargetGroupArn']}))
",
    );
    let text = |key: &str| setup[key].as_str().expect("text").to_owned();
    let place = Place {
        moto: &moto,
        url: moto.url().to_owned(),
        arn: text("arn"),
        id: text("id"),
        roots: None,
        record: folder.path(),
    };
    measure("ELBv2 by moto, plain http", &place, &|| {
        let registered = place.lb_drain("register", &["--aws-port", "8080"]).output();
        assert!(
            registered.as_ref().is_ok_and(|output| output.status.success()),
            "{registered:?}"
        );
    });

    let fake = Elbv2::start_tls();
    let arn = fake.add(TargetGroup {
        drains_for: Duration::ZERO,
        ..TargetGroup::new("web")
    });
    let authority = fake.authority().expect("it speaks https");
    let one = folder.path().join("one.pem");
    std::fs::write(&one, authority).expect("written");
    let all = folder.path().join("all.pem");
    let bundle = std::fs::read_to_string("/etc/ssl/certs/ca-certificates.crt").unwrap_or_default();
    std::fs::write(&all, format!("{bundle}{authority}")).expect("written");
    for (title, roots) in [
        ("ELBv2 by our fake, https, one root", &one),
        ("ELBv2 by our fake, https, the system's roots", &all),
    ] {
        let place = Place {
            moto: &moto,
            url: fake.url(),
            arn: arn.clone(),
            id: INSTANCE_ID.to_owned(),
            roots: Some(roots),
            record: folder.path(),
        };
        measure(title, &place, &|| {
            fake.register(&arn, INSTANCE_ID, 8080, None, "healthy")
        });
    }
}

/// All sides, each after `prepare` has put the host in.
fn measure(title: &str, place: &Place<'_>, prepare: &dyn Fn()) {
    let sides = [
        Side::new("lb-drain: describe, deregister, describe", || {
            place.lb_drain("deregister", &["--no-wait"])
        }),
        Side::new("aws elbv2 deregister-targets", || place.aws("deregister-targets")),
        Side::new("aws: describe, deregister, describe", || place.aws_verified()),
        Side::new("boto3 deregister_targets", || place.boto3()),
    ];
    compare(title, RUNS, prepare, &sides);
}

impl Place<'_> {
    fn lb_drain(&self, verb: &str, more: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_lb-drain"));
        command
            .args([verb, "--budget", "30s", "--aws-target-group", &self.arn])
            .args(["--aws-target-id", &self.id, "--aws-endpoint-url", &self.url])
            .args(more);
        self.quietly(command)
    }

    fn aws(&self, verb: &str) -> Command {
        let mut command = self.moto.program("aws");
        command
            .args(["elbv2", verb, "--endpoint-url", &self.url])
            .args(["--target-group-arn", &self.arn])
            .args(["--targets", &format!("Id={},Port=8080", self.id)]);
        self.quietly(command)
    }

    /// The whole flow as a script runs it.
    fn aws_verified(&self) -> Command {
        let surroundings = self.moto.program("aws");
        let aws = surroundings.get_program().display();
        let Self { url, arn, id, .. } = self;
        let group = format!("--endpoint-url {url} --target-group-arn {arn}");
        let mut command = Command::new("sh");
        for (name, value) in surroundings.get_envs() {
            command.env(name, value.unwrap_or_default());
        }
        command.arg("-c").arg(format!(
            "{aws} elbv2 describe-target-health {group} && \
             {aws} elbv2 deregister-targets {group} --targets Id={id},Port=8080 && \
             {aws} elbv2 describe-target-health {group}"
        ));
        self.quietly(command)
    }

    fn boto3(&self) -> Command {
        let Self { url, arn, id, .. } = self;
        let mut command = self.moto.program("python");
        command.arg("-c").arg(format!(
            "import boto3\nboto3.client('elbv2', endpoint_url='{url}').deregister_targets(TargetGroupArn='{arn}', \
             Targets=[{{'Id': '{id}', 'Port': 8080}}])"
        ));
        self.quietly(command)
    }

    /// The same surroundings for all sides.
    fn quietly(&self, mut command: Command) -> Command {
        command
            .env("AWS_ACCESS_KEY_ID", "AKIAFAKE")
            .env("AWS_SECRET_ACCESS_KEY", "fake-secret")
            .env("AWS_EC2_METADATA_DISABLED", "true")
            .env("LB_DRAIN_STATE_DIR", self.record);
        if let Some(roots) = self.roots {
            command.env("AWS_CA_BUNDLE", roots);
        }
        command
    }
}
