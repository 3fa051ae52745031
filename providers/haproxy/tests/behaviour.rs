//! The behaviour that every provider shares, with a fake HAProxy of each kind.

use std::sync::Arc;
use std::time::Duration;

use lb_drain_api::{Host, LoadBalancer, Target, async_trait};
use lb_drain_haproxy::{Settings, connect};
use lb_drain_test_support::behaviour::{Absence, Capabilities, Fixture, Trouble};
use lb_drain_test_support::haproxy::{Dialect, Haproxy, Manner, Server, is_change};

struct Fake {
    haproxy: Haproxy,
}

impl Fake {
    async fn start(dialect: Dialect) -> Self {
        let app1 = Server {
            weight: 7,
            configured_weight: 20,
            ..Server::new("web/app1", "127.0.0.1:8080")
        };
        let servers = vec![Server::new("web/app0", "10.0.0.9:8080"), app1];
        Self {
            haproxy: Haproxy::start(dialect, servers).await,
        }
    }

    fn with_app1<T>(&self, f: impl FnOnce(&mut Server) -> T) -> T {
        let mut model = self.haproxy.model();
        let app1 = model.servers.iter_mut().find(|server| server.name == "app1");
        f(app1.expect("app1"))
    }
}

#[async_trait]
impl Fixture for Fake {
    fn capabilities(&self) -> Capabilities {
        Capabilities {
            shows_state: true,
            counts: true,
            knows_others: true,
            firm: true,
            cuts: true,
            registers_from_configuration: true,
            denies: true,
            absence: Absence::Mistake,
            foresees: &[
                Trouble::Refused,
                Trouble::Denied,
                Trouble::Garbage,
                Trouble::HangsUp,
            ],
        }
    }

    fn balancer(&self) -> Arc<dyn LoadBalancer> {
        let settings = Settings {
            sockets: vec![self.haproxy.socket().to_str().expect("a path").to_owned()],
            servers: vec!["web/app1".to_owned()],
            maint_after: Some(Duration::from_secs(10)),
            shutdown_sessions: true,
            ..Settings::default()
        };
        connect(settings, &Host::default()).expect("settings").remove(0)
    }

    fn target(&self) -> Target {
        Target::new("web/app1")
    }

    fn routes_here(&self) -> bool {
        self.with_app1(|app1| app1.admin == 0)
    }

    fn snapshot(&self) -> String {
        format!("{:?}", self.haproxy.model().servers)
    }

    fn changes(&self) -> usize {
        self.haproxy
            .model()
            .heard
            .iter()
            .filter(|line| is_change(line))
            .count()
    }

    async fn suffer(&self, trouble: Trouble) {
        let manner = match trouble {
            Trouble::Refused => return self.haproxy.refuse().await,
            Trouble::Denied => {
                self.haproxy.model().level = "operator";
                return;
            }
            Trouble::NotAMember => {
                self.haproxy
                    .model()
                    .servers
                    .retain(|server| server.name != "app1");
                return;
            }
            Trouble::Garbage => Manner::Garbage,
            Trouble::Silent => Manner::Silent,
            Trouble::HangsUp => Manner::HangsUp,
            Trouble::AnswerLost => Manner::LosesAnswers,
        };
        self.haproxy.model().manner = manner;
    }

    async fn recover(&self) {
        self.haproxy.model().manner = Manner::Well;
        self.haproxy.model().level = "admin";
        self.haproxy.listen();
    }

    async fn settle(&self) {}

    fn take_others_out(&self) {
        let mut model = self.haproxy.model();
        let app0 = model.servers.iter_mut().find(|server| server.name == "app0");
        app0.expect("app0").running = 0;
    }

    fn put_in_flight(&self, requests: u64) {
        self.with_app1(|app1| app1.current = requests);
    }

    fn secrets(&self) -> Vec<String> {
        Vec::new() // The runtime API knows none.
    }
}

mod worker {
    use super::*;
    lb_drain_test_support::behaviour_suite!(Fake::start(Dialect::Worker).await);
}

mod worker_with_severity_words {
    use super::*;
    lb_drain_test_support::behaviour_suite!(Fake::start(Dialect::Words).await);
}

mod worker_with_severity_numbers {
    use super::*;
    lb_drain_test_support::behaviour_suite!(Fake::start(Dialect::Numbers).await);
}

mod master {
    use super::*;
    lb_drain_test_support::behaviour_suite!(Fake::start(Dialect::Master).await);
}
