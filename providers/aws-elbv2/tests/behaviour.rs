//! The behaviour that every provider shares, with target groups of instances, of addresses, and by name.

mod common;

use std::sync::Arc;

use common::{OTHER, host, settings, sources};
use lb_drain_api::{LoadBalancer, Target, async_trait};
use lb_drain_aws_elbv2::{Settings, connect_with};
use lb_drain_test_support::behaviour::{Absence, Capabilities, Fixture, Trouble};
use lb_drain_test_support::elbv2::{Elbv2, Fault, TargetGroup};
use lb_drain_test_support::imds::INSTANCE_ID;

const ADDRESS: &str = "10.0.0.7";

struct Fake {
    elbv2: Elbv2,
    arn: String,
    id: &'static str,
    settings: Settings,
}

impl Fake {
    /// A target group of instances, by ARN.
    fn of_instances() -> Self {
        Self::new(INSTANCE_ID, None, "instance")
    }

    /// A target group of addresses outside of the VPC, so with a zone.
    fn of_addresses() -> Self {
        Self::new(ADDRESS, Some("all"), "ip")
    }

    /// A target group by name.
    fn by_name() -> Self {
        let fake = Self::of_instances();
        let settings = settings(&fake.elbv2, &["web"]);
        Self { settings, ..fake }
    }

    fn new(id: &'static str, zone: Option<&str>, target_type: &str) -> Self {
        let elbv2 = Elbv2::start();
        let arn = elbv2.add(TargetGroup {
            target_type: target_type.to_owned(),
            port: 8080,
            ..TargetGroup::new("web")
        });
        elbv2.register(&arn, id, 8080, zone, "healthy");
        let other = if id == ADDRESS { "10.0.0.8" } else { OTHER };
        elbv2.register(&arn, other, 8080, None, "healthy");
        let settings = Settings {
            target_id: Some(id.to_owned()),
            ..settings(&elbv2, &[&arn])
        };
        Self {
            elbv2,
            arn,
            id,
            settings,
        }
    }
}

#[async_trait]
impl Fixture for Fake {
    fn capabilities(&self) -> Capabilities {
        Capabilities {
            shows_state: true,
            counts: false,
            knows_others: true,
            firm: false,
            cuts: false,
            registers_from_configuration: true,
            denies: true,
            absence: Absence::NotAMember,
            foresees: &[
                Trouble::Refused,
                Trouble::Denied,
                Trouble::Garbage,
                Trouble::HangsUp,
            ],
        }
    }

    fn balancer(&self) -> Arc<dyn LoadBalancer> {
        connect_with(self.settings.clone(), &host(), &sources())
            .expect("settings")
            .remove(0)
    }

    fn target(&self) -> Target {
        Target::new(format!("{}:8080", self.id))
    }

    fn routes_here(&self) -> bool {
        self.elbv2.truth(&self.arn, self.id, 8080).as_deref() == Some("healthy")
    }

    fn snapshot(&self) -> String {
        self.elbv2.snapshot()
    }

    fn changes(&self) -> usize {
        // A check tries the permission with an id that nobody has.
        self.elbv2.changes(self.id)
    }

    async fn suffer(&self, trouble: Trouble) {
        let fault = match trouble {
            Trouble::Refused => return self.elbv2.refuse(),
            Trouble::NotAMember => return self.elbv2.remove(&self.arn, self.id, 8080),
            Trouble::Denied => {
                self.elbv2.deny("DeregisterTargets");
                self.elbv2.deny("RegisterTargets");
                return;
            }
            Trouble::AnswerLost => {
                for action in ["DeregisterTargets", "RegisterTargets"] {
                    self.elbv2.fail(action, Fault::AnswerLost, usize::MAX);
                }
                return;
            }
            Trouble::Garbage => Fault::Garbage,
            Trouble::Silent => Fault::Silence,
            Trouble::HangsUp => Fault::HangUp,
        };
        self.elbv2.fail("*", fault, usize::MAX);
    }

    async fn recover(&self) {
        self.elbv2.heal();
        self.elbv2.listen();
    }

    async fn settle(&self) {
        self.elbv2.settle();
    }

    fn take_others_out(&self) {
        let other = if self.id == ADDRESS { "10.0.0.8" } else { OTHER };
        self.elbv2
            .set_state(&self.arn, other, 8080, "unhealthy", "Target.Timeout");
    }

    fn put_in_flight(&self, _: u64) {
        unreachable!("a target group does not count requests");
    }

    fn secrets(&self) -> Vec<String> {
        vec!["fake-secret".to_owned()]
    }
}

mod instances {
    use super::*;
    lb_drain_test_support::behaviour_suite!(Fake::of_instances());
}

mod addresses {
    use super::*;
    lb_drain_test_support::behaviour_suite!(Fake::of_addresses());
}

mod by_name {
    use super::*;
    lb_drain_test_support::behaviour_suite!(Fake::by_name());
}
