//! A third party's idea of the API: moto's server for wire format, paging, registering and deregistering,
//! and the AWS CLI, which must see what we claim. (moto does not drain: what it forgets is gone at once.)

mod common;

use common::{all, find, leave, one};
use lb_drain_api::{Lifetime, Rotation};
use lb_drain_aws_elbv2::Settings;
use lb_drain_test_support::moto::Moto;
use serde_json::Value;

/// An instance in several target groups.
const SETUP: &str = r"
instance = ec2.run_instances(ImageId='ami-12c6146b', MinCount=1, MaxCount=1)['Instances'][0]
vpc = ec2.describe_vpcs()['Vpcs'][0]['VpcId']
def group(name, protocol, port):
    made = elb.create_target_group(Name=name, Protocol=protocol, Port=port, VpcId=vpc, TargetType='instance')
    arn = made['TargetGroups'][0]['TargetGroupArn']
    elb.register_targets(TargetGroupArn=arn, Targets=[{'Id': instance['InstanceId'], 'Port': 8080}])
    return arn
groups = [group('web', 'HTTP', 80), group('tcp', 'TCP', 80)]
elb.modify_target_group_attributes(TargetGroupArn=groups[0], Attributes=[
    {'Key': 'deregistration_delay.timeout_seconds', 'Value': '42'}])
print(json.dumps({'id': instance['InstanceId'], 'web': groups[0], 'tcp': groups[1]}))
";

fn text<'a>(value: &'a Value, key: &str) -> &'a str {
    value[key].as_str().expect(key)
}

fn settings(moto: &Moto, id: &str, groups: &[&str]) -> Settings {
    Settings {
        target_groups: groups.iter().map(ToString::to_string).collect(),
        target_id: Some(id.to_owned()),
        region: groups
            .iter()
            .all(|group| !group.starts_with("arn:"))
            .then(|| "eu-west-1".to_owned()),
        endpoint_url: Some(moto.url().to_owned()),
        ..Settings::default()
    }
}

/// The states of a target in the eyes of the CLI.
fn states(moto: &Moto, arn: &str, id: &str) -> Vec<(String, String)> {
    let id = format!("Id={id},Port=8080");
    let answer = moto.aws(&[
        "elbv2",
        "describe-target-health",
        "--target-group-arn",
        arn,
        "--targets",
        &id,
    ]);
    let described = answer["TargetHealthDescriptions"].as_array().expect("a list");
    let health = described.iter().map(|one| &one["TargetHealth"]);
    health
        .map(|health| {
            (
                text(health, "State").to_owned(),
                health["Reason"].as_str().unwrap_or_default().to_owned(),
            )
        })
        .collect()
}

#[tokio::test]
async fn the_cli_agrees_that_the_host_has_left_and_has_come_back() {
    let Some(moto) = Moto::start() else { return };
    let setup = moto.python(SETUP);
    let (id, web) = (text(&setup, "id"), text(&setup, "web"));
    assert_eq!(states(&moto, web, id), [("healthy".to_owned(), String::new())]);

    let balancer = one(settings(&moto, id, &[web]));
    let (_, before) = find(&*balancer).await;
    assert_eq!(before.rotation, Rotation::InService);
    let (target, view) = leave(&*balancer).await;
    assert_eq!(view.rotation, Rotation::NotAMember, "moto forgets at once");
    assert_eq!(
        states(&moto, web, id),
        [("unused".to_owned(), "Target.NotRegistered".to_owned())]
    );

    let terms = balancer.terms(&target).await.expect("terms");
    assert_eq!(terms.remark, None);
    assert_eq!(terms.max_wait.map(|delay| delay.as_secs()), Some(42));
    assert_eq!(terms.min_wait.map(|floor| floor.as_secs()), Some(15));

    // A second deregistration is InvalidTarget to moto: gone is out.
    balancer
        .deregister(&target, lb_drain_api::Firmness::Drain, None)
        .await
        .expect("gone already");

    balancer
        .register(&target, Some(&before.before))
        .await
        .expect("accepted");
    assert_eq!(
        balancer.look(&target).await.expect("an answer").rotation,
        Rotation::InService
    );
    assert_eq!(states(&moto, web, id), [("healthy".to_owned(), String::new())]);
}

#[tokio::test]
async fn names_are_looked_up_and_the_kind_is_told_by_the_protocol() {
    let Some(moto) = Moto::start() else { return };
    let setup = moto.python(SETUP);
    let id = text(&setup, "id");
    let balancers = all(settings(&moto, id, &["web", "tcp", "missing"]));
    for (balancer, floor) in balancers.iter().zip([15, 120]) {
        let (target, _) = leave(&**balancer).await;
        let terms = balancer.terms(&target).await.expect("terms");
        assert_eq!(terms.min_wait.map(|floor| floor.as_secs()), Some(floor));
        assert_eq!(terms.remark, None);
    }
    let error = balancers[2].find().await.expect_err("no such group");
    assert_eq!(error.lifetime(), Lifetime::Permanent, "{error}");
    assert_eq!(states(&moto, text(&setup, "tcp"), id)[0].0, "unused");
}

#[tokio::test]
async fn hundreds_of_groups_are_read_page_by_page() {
    let Some(moto) = Moto::start() else { return };
    let setup = moto.python(&format!(
        "{SETUP}
for n in range(430):
    elb.create_target_group(Name=f'page-{{n:03}}', Protocol='HTTP', Port=80, VpcId=vpc)
"
    ));
    // One name is missing, so all groups of the account are listed: two pages of at most 400.
    let balancers = all(settings(
        &moto,
        text(&setup, "id"),
        &["missing", "page-000", "page-429", "web"],
    ));
    for balancer in &balancers[1..3] {
        assert_eq!(find(&**balancer).await.1.rotation, Rotation::NotAMember);
    }
    assert_eq!(leave(&*balancers[3]).await.1.rotation, Rotation::NotAMember);
}

#[tokio::test]
async fn a_group_that_is_not_there_and_a_region_that_is_not_its_own_are_told() {
    let Some(moto) = Moto::start() else { return };
    let setup = moto.python(SETUP);
    let (id, web) = (text(&setup, "id"), text(&setup, "web"));
    let _ = moto.python(&format!(
        "elb.delete_target_group(TargetGroupArn='{web}')\nprint('null')"
    ));
    let error = one(settings(&moto, id, &[web]))
        .find()
        .await
        .expect_err("deleted");
    assert_eq!(error.lifetime(), Lifetime::Permanent);
    assert!(error.to_string().contains("TargetGroupNotFound"), "{error}");

    let elsewhere = Settings {
        region: Some("us-west-2".to_owned()),
        ..settings(&moto, id, &["tcp"])
    };
    let error = one(elsewhere).find().await.expect_err("another region");
    assert!(error.to_string().contains("us-west-2"), "{error}");
}
