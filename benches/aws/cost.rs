//! Wall time and memory of whole processes: the verified flow (describe, deregister, describe) of `lb-drain`
//! against one unverified call by the AWS CLI and by boto3.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use lb_drain_test_support::elbv2::{Elbv2, TargetGroup};
use lb_drain_test_support::imds::INSTANCE_ID;
use lb_drain_test_support::moto::Moto;

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
    let folder = tempfile::tempdir().expect("a folder");
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
    compare("moto, plain http", &place, &|| {
        let status = place.lb_drain("register", &["--aws-port", "8080"]).status();
        assert!(status.is_ok_and(|status| status.success()), "lb-drain register");
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
        ("our fake, https, one root", &one),
        ("our fake, https, the system's roots", &all),
    ] {
        let place = Place {
            moto: &moto,
            url: fake.url(),
            arn: arn.clone(),
            id: INSTANCE_ID.to_owned(),
            roots: Some(roots),
            record: folder.path(),
        };
        compare(title, &place, &|| {
            fake.register(&arn, INSTANCE_ID, 8080, None, "healthy")
        });
    }
}

/// Runs all sides in turn, each after `prepare` has put the host in, and prints a table.
fn compare(title: &str, place: &Place<'_>, prepare: &dyn Fn()) {
    let mut sides = [
        (
            "lb-drain: describe, deregister, describe",
            place.lb_drain("deregister", &["--no-wait"]),
        ),
        ("aws elbv2 deregister-targets", place.aws()),
        ("boto3 deregister_targets", place.boto3()),
    ];
    let mut walls = vec![Vec::new(); sides.len()];
    for _ in 0..RUNS {
        for ((_, command), walls) in sides.iter_mut().zip(&mut walls) {
            prepare();
            let begun = Instant::now();
            let status = command.status().expect("it runs");
            walls.push(begun.elapsed().as_secs_f64());
            assert!(status.success(), "{command:?}");
        }
    }
    let medians: Vec<f64> = walls.into_iter().map(median).collect();
    println!("\n{title}: medians of {RUNS}");
    println!("{:<42} {:>10} {:>9} {:>10}", "", "wall", "ratio", "memory");
    for ((name, command), wall) in sides.iter().zip(&medians) {
        prepare();
        let memory = memory(command).map_or_else(|| "-".to_owned(), |mib| format!("{mib:.1} MiB"));
        let ratio = wall / medians[0];
        println!("{name:<42} {:>7.1} ms {ratio:>7.1} x {memory:>10}", wall * 1000.0);
    }
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

    fn aws(&self) -> Command {
        let mut command = self.moto.program("aws");
        command
            .args(["elbv2", "deregister-targets", "--endpoint-url", &self.url])
            .args(["--target-group-arn", &self.arn])
            .args(["--targets", &format!("Id={},Port=8080", self.id)]);
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
            .env("RUNTIME_DIRECTORY", self.record)
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        if let Some(roots) = self.roots {
            command.env("AWS_CA_BUNDLE", roots);
        }
        command
    }
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// The most memory that a run of this command has had resident, in MiB, by GNU time.
fn memory(command: &Command) -> Option<f64> {
    let mut timed = Command::new("/usr/bin/time");
    timed
        .args(["-f", "%M"])
        .arg(command.get_program())
        .args(command.get_args());
    for (name, value) in command.get_envs() {
        if let Some(value) = value {
            timed.env(name, value);
        }
    }
    let output = timed.stdout(Stdio::null()).output().ok()?;
    let kib: f64 = String::from_utf8(output.stderr)
        .ok()?
        .lines()
        .last()?
        .trim()
        .parse()
        .ok()?;
    Some(kib / 1024.0)
}
