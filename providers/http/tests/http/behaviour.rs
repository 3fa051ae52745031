//! What every provider does, shown for this one with an endpoint that keeps a weight for each host.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard};

use lb_drain_api::{LoadBalancer, Target, async_trait};
use lb_drain_test_support::behaviour::{Absence, Capabilities, Fixture, Trouble};
use lb_drain_test_support::http::{Asked, Fake, Reply};
use serde_json::{Value, json};

use crate::support::connect;

const TOKEN: &str = "t0ken-of-the-endpoint";

/// The endpoint: this host's weight, by `GET` and `PUT`.
struct Endpoint {
    state: Arc<Mutex<State>>,
    address: SocketAddr,
    /// `None` while connections are refused.
    fake: Mutex<Option<Fake>>,
}

#[derive(Default)]
struct State {
    weight: Option<u64>,
    changes: usize,
    trouble: Option<Trouble>,
}

impl State {
    fn answer(&mut self, asked: &Asked) -> Reply {
        let change = asked.method == "PUT";
        self.changes += usize::from(change);
        match self.trouble {
            Some(Trouble::Garbage) => return Reply::Raw(b"\x00\x01 noise, noise\r\n\r\n".repeat(100)),
            Some(Trouble::Silent) => return Reply::Silence,
            Some(Trouble::HangsUp) => return Reply::Close,
            Some(Trouble::Denied) if change => {
                return Reply::new(403, format!("{:?} may not", asked.headers));
            }
            _ => {}
        }
        if asked.header("authorization") != Some(&format!("Bearer {TOKEN}")) {
            return Reply::new(401, "");
        }
        let Some(weight) = &mut self.weight else {
            return Reply::new(404, "no such host");
        };
        if change && asked.path == "/hosts/web1" {
            *weight = asked
                .json()
                .get("weight")
                .and_then(Value::as_u64)
                .expect("a weight");
        }
        match self.trouble {
            Some(Trouble::AnswerLost) if change => Reply::Close,
            _ => Reply::json(200, &json!({"weight": weight})),
        }
    }
}

impl Endpoint {
    fn start() -> Self {
        let state = Arc::new(Mutex::new(State {
            weight: Some(70),
            ..State::default()
        }));
        let fake = listen(&state, ([127, 0, 0, 1], 0).into());
        Self {
            address: ([127, 0, 0, 1], fake.port()).into(),
            state,
            fake: Mutex::new(Some(fake)),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }
}

fn listen(state: &Arc<Mutex<State>>, address: SocketAddr) -> Fake {
    let state = Arc::clone(state);
    Fake::on(address, None, move |asked| state.lock().unwrap().answer(asked))
}

#[async_trait]
impl Fixture for Endpoint {
    fn capabilities(&self) -> Capabilities {
        Capabilities {
            shows_state: false,
            counts: false,
            knows_others: false,
            firm: false,
            cuts: false,
            registers_from_configuration: true,
            denies: true,
            absence: Absence::Hidden,
            foresees: &[Trouble::Refused],
        }
    }

    fn balancer(&self) -> Arc<dyn LoadBalancer> {
        connect(&format!(
            r#"
            bearer = "{TOKEN}"
            variables.weight = 100
            [[deregister]]
            method = "GET"
            url = "http://{address}/hosts/web1"
            capture = {{ weight = "/weight" }}
            gone = [404]
            [[deregister]]
            method = "PUT"
            url = "http://{address}/hosts/web1"
            body = '{{"weight": 0}}'
            [register]
            method = "PUT"
            url = "http://{address}/hosts/web1"
            body = '{{"weight": {{weight}}}}'
            "#,
            address = self.address
        ))
    }

    fn target(&self) -> Target {
        Target::new("PUT /hosts/web1")
    }

    fn routes_here(&self) -> bool {
        self.state().weight.is_some_and(|weight| weight > 0)
    }

    fn snapshot(&self) -> String {
        format!("{:?}", self.state().weight)
    }

    fn changes(&self) -> usize {
        self.state().changes
    }

    async fn suffer(&self, trouble: Trouble) {
        match trouble {
            Trouble::Refused => drop(self.fake.lock().unwrap().take()),
            Trouble::NotAMember => self.state().weight = None,
            other => self.state().trouble = Some(other),
        }
    }

    async fn recover(&self) {
        self.state().trouble = None;
        let mut fake = self.fake.lock().unwrap();
        if fake.is_none() {
            *fake = Some(listen(&self.state, self.address));
        }
    }

    async fn settle(&self) {}

    fn take_others_out(&self) {
        unreachable!("it does not tell of them");
    }

    fn put_in_flight(&self, _requests: u64) {
        unreachable!("it does not count");
    }

    fn secrets(&self) -> Vec<String> {
        vec![TOKEN.to_owned()]
    }
}

lb_drain_test_support::behaviour_suite!(Endpoint::start());
