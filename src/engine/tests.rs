//! The engine on paused time, against load balancers that do as they are told.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::io;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use lb_drain_api::{
    ATTEMPT, Error, Finding, Firmness, Found, Identity, LoadBalancer, Pace, Result, Rotation, Schedule,
    Target, Terms, View, async_trait,
};
use serde_json::{Value, json};
use tokio::sync::watch;
use tokio::time::{Instant, sleep};

use super::*;
use crate::budget::Deadline;
use crate::evidence::{Evidence as LocalEvidence, Traffic as PortTraffic};
use crate::record::Record;

const SECOND: Duration = Duration::from_secs(1);
const PORT: u16 = 8080;
const IN_SERVICE: Return = Return {
    until_in_service: true,
    even_if_kept_out: false,
};

fn millis(n: u64) -> Duration {
    Duration::from_millis(n)
}

/// What a load balancer does from a moment on, counted from its making.
#[derive(Debug, Clone)]
enum Act {
    InFlight(Option<u64>),
    PutBack,
    /// No longer has the entry.
    Gone,
    Refuse,
    Deny,
    Hang,
    Answer,
    Panic,
    /// Says that it has not drained, or that it has.
    Undrained(bool),
    /// Answers everything but a request to leave, which it denies.
    KeepIn,
}

#[derive(Debug)]
struct State {
    rotation: Rotation,
    in_flight: Option<u64>,
    undrained: bool,
    partial: bool,
    mood: Act,
    script: VecDeque<(Instant, Act)>,
    calls: Vec<&'static str>,
    firm: bool,
    /// What each request to leave was told of the state before.
    seen: Vec<Option<Rotation>>,
}

#[derive(Debug)]
struct Fake {
    identity: Identity,
    schedule: Schedule,
    terms: Terms,
    ignores_first: Mutex<u32>,
    /// What it is right after a `register`.
    registers_as: Rotation,
    entries: usize,
    /// What an answer takes.
    takes: Duration,
    /// Answers a request to leave with the state after it.
    reads_back: bool,
    state: Mutex<State>,
}

impl Fake {
    fn new(endpoint: &str) -> Self {
        Self {
            identity: Identity {
                provider: "fake",
                endpoint: endpoint.to_owned(),
            },
            schedule: Schedule {
                firm_after: None,
                cut: false,
                attempt: ATTEMPT,
                floor: Duration::ZERO,
                pace: Pace {
                    first: Duration::ZERO,
                    near: millis(10),
                    far: SECOND,
                    share: 100,
                },
            },
            terms: Terms::default(),
            ignores_first: Mutex::new(0),
            registers_as: Rotation::InService,
            entries: 1,
            takes: millis(1),
            reads_back: false,
            state: Mutex::new(State {
                rotation: Rotation::InService,
                in_flight: Some(0),
                undrained: false,
                partial: false,
                mood: Act::Answer,
                script: VecDeque::new(),
                calls: Vec::new(),
                firm: false,
                seen: Vec::new(),
            }),
        }
    }

    fn at(self, after: Duration, act: Act) -> Self {
        self.state
            .lock()
            .expect("a state")
            .script
            .push_back((Instant::now() + after, act));
        self
    }

    fn calls(&self, verb: &str) -> usize {
        self.state
            .lock()
            .expect("a state")
            .calls
            .iter()
            .filter(|call| **call == verb)
            .count()
    }

    async fn answer(&self, verb: &'static str) -> Result<()> {
        sleep(self.takes).await;
        let mood = {
            let mut state = self.state.lock().expect("a state");
            state.calls.push(verb);
            while state.script.front().is_some_and(|(at, _)| *at <= Instant::now()) {
                let (_, act) = state.script.pop_front().expect("there is one");
                match act {
                    Act::InFlight(number) => state.in_flight = number,
                    Act::PutBack => state.rotation = Rotation::InService,
                    Act::Gone => state.rotation = Rotation::NotAMember,
                    Act::Undrained(undrained) => state.undrained = undrained,
                    mood => state.mood = mood,
                }
            }
            state.mood.clone()
        };
        let what = format!("fake {} refused {verb}", self.identity.endpoint);
        match mood {
            Act::Refuse => Err(Error::temporary(what, "connection refused")),
            Act::Deny => Err(Error::permanent(what, "permission denied")),
            Act::KeepIn if verb == "deregister" => Err(Error::permanent(what, "permission denied")),
            Act::Hang => std::future::pending().await,
            Act::Panic => panic!("a provider's mistake"),
            _ => Ok(()),
        }
    }

    fn view(&self) -> View {
        let state = self.state.lock().expect("a state");
        View {
            rotation: state.rotation,
            in_flight: state.in_flight,
            undrained: state.undrained,
            partial: state.partial,
            state: format!("{:?}", state.rotation),
            ports: Vec::new(),
            before: json!({ "weight": 7 }),
        }
    }
}

#[async_trait]
impl LoadBalancer for Fake {
    fn identity(&self) -> &Identity {
        &self.identity
    }

    fn schedule(&self) -> Schedule {
        self.schedule
    }

    async fn find(&self) -> Result<Vec<Found>> {
        self.answer("find").await?;
        Ok((0..self.entries)
            .map(|n| Found {
                target: Target::new(format!("web/app{n}")),
                view: Ok(self.view()),
            })
            .collect())
    }

    async fn look(&self, _: &Target) -> Result<View> {
        self.answer("look").await?;
        Ok(self.view())
    }

    async fn terms(&self, _: &Target) -> Result<Terms> {
        self.answer("terms").await?;
        Ok(self.terms.clone())
    }

    async fn deregister(&self, _: &Target, firmness: Firmness, seen: Option<&View>) -> Result<Option<View>> {
        self.answer("deregister").await?;
        let mut ignores = self.ignores_first.lock().expect("a number");
        if *ignores > 0 {
            *ignores -= 1;
            return Ok(self.reads_back.then(|| self.view()));
        }
        let mut state = self.state.lock().expect("a state");
        state.rotation = Rotation::Out;
        state.firm = firmness == Firmness::Firm;
        state.seen.push(seen.map(|view| view.rotation));
        drop(state);
        Ok(self.reads_back.then(|| self.view()))
    }

    async fn cut(&self, _: &Target) -> Result<()> {
        self.answer("cut").await?;
        self.state.lock().expect("a state").in_flight = Some(0);
        Ok(())
    }

    async fn register(&self, _: &Target, before: Option<&Value>) -> Result<()> {
        self.answer("register").await?;
        self.state
            .lock()
            .expect("a state")
            .calls
            .push(if before.is_some() {
                "as it was"
            } else {
                "as configured"
            });
        self.state.lock().expect("a state").rotation = self.registers_as;
        Ok(())
    }

    async fn others_in_service(&self, _: &Target, _: &[Target]) -> Result<Option<u64>> {
        Ok(None)
    }

    async fn check(&self) -> Vec<Finding> {
        Vec::new()
    }
}

/// Local evidence by a script: in flight until a moment, then not.
struct Ports {
    busy_until: Instant,
    flicker: Option<Instant>,
    listening_from: Instant,
}

/// Nothing in flight, ever, on whatever port.
fn quiet_ports() -> Ports {
    Ports {
        busy_until: Instant::now(),
        flicker: None,
        listening_from: Instant::now(),
    }
}

impl LocalEvidence for Ports {
    fn look(&mut self, ports: &BTreeSet<u16>) -> io::Result<BTreeMap<u16, PortTraffic>> {
        let now = Instant::now();
        let flicker = self.flicker.is_some_and(|at| now >= at && now < at + millis(50));
        let in_flight = u64::from(now < self.busy_until || flicker) * 3;
        Ok(ports
            .iter()
            .map(|port| {
                (
                    *port,
                    PortTraffic {
                        in_flight,
                        listening: now >= self.listening_from,
                        ..PortTraffic::default()
                    },
                )
            })
            .collect())
    }
}

#[derive(Default)]
struct Listener(Mutex<Vec<Event>>);

impl Audience for Listener {
    fn tell(&self, _: &Member, event: &Event) {
        self.0.lock().expect("a list").push(event.clone());
    }
}

impl Listener {
    fn heard(&self, wanted: impl Fn(&Event) -> bool) -> usize {
        self.0
            .lock()
            .expect("a list")
            .iter()
            .filter(|event| wanted(event))
            .count()
    }
}

struct Stage {
    run: Run,
    listener: Arc<Listener>,
    gone: watch::Sender<bool>,
    _directory: tempfile::TempDir,
}

impl Stage {
    fn new(budget: Duration) -> Self {
        Self::with_ports(budget, BTreeSet::new(), quiet_ports())
    }

    fn with_ports(budget: Duration, ports: BTreeSet<u16>, evidence: Ports) -> Self {
        let (traffic, looking) = Traffic::new(ports.clone(), Box::new(evidence));
        tokio::spawn(looking);
        let (gone, main_process_gone) = watch::channel(false);
        let listener = Arc::new(Listener::default());
        let directory = tempfile::tempdir().expect("a directory");
        Self {
            run: Run {
                deadline: Deadline::new(budget, Duration::ZERO),
                waiting: Waiting {
                    no_wait: false,
                    quiet: SECOND,
                    ports,
                    keep_out: false,
                },
                ledger: Ledger::default(),
                audience: Arc::<Listener>::clone(&listener),
                record: Arc::new(Record::open(Some(directory.path().to_owned()), "test")),
                traffic,
                main_process_gone,
            },
            listener,
            gone,
            _directory: directory,
        }
    }

    async fn deregister(&self, balancers: &[&Arc<Fake>]) -> Vec<Member> {
        deregister(&self.run, balancers.iter().map(|fake| plan(fake)).collect()).await;
        self.run.ledger.members()
    }

    fn elapsed(&self) -> Duration {
        self.run.deadline.used()
    }
}

fn plan(fake: &Arc<Fake>) -> Plan {
    Plan {
        name: fake.identity.endpoint.clone(),
        section: fake.identity.endpoint.clone(),
        balancer: Arc::<Fake>::clone(fake),
        optional: false,
        min_wait: None,
        max_wait: None,
    }
}

fn on_port() -> BTreeSet<u16> {
    BTreeSet::from([PORT])
}

#[tokio::test(start_paused = true)]
async fn an_idle_host_is_out_at_once() {
    let stage = Stage::new(30 * SECOND);
    let fake = Arc::new(Fake::new("a"));
    let members = stage.deregister(&[&fake]).await;
    assert_eq!(members[0].standing, Standing::Drained);
    assert_eq!(members[0].evidence, Some(Evidence::LoadBalancer));
    assert_eq!((members[0].attempts, fake.calls("look")), (1, 1));
    assert!(stage.elapsed() < millis(10), "{:?}", stage.elapsed());
}

#[tokio::test(start_paused = true)]
async fn waits_for_the_last_answer_and_not_longer() {
    let stage = Stage::new(30 * SECOND);
    let fake = Arc::new(
        Fake::new("a")
            .at(Duration::ZERO, Act::InFlight(Some(40)))
            .at(5 * SECOND, Act::InFlight(Some(1)))
            .at(7 * SECOND, Act::InFlight(Some(0))),
    );
    let members = stage.deregister(&[&fake]).await;
    assert_eq!(members[0].standing, Standing::Drained);
    let late = stage
        .elapsed()
        .checked_sub(7 * SECOND)
        .expect("not before the last answer");
    assert!(late < millis(150), "{late:?}");
}

#[tokio::test(start_paused = true)]
async fn all_are_told_at_once_and_one_failure_delays_no_other() {
    let stage = Stage::new(30 * SECOND);
    let dead = Arc::new(Fake::new("dead").at(Duration::ZERO, Act::Hang));
    let denied = Arc::new(Fake::new("denied").at(Duration::ZERO, Act::Deny));
    let broken = Arc::new(Fake::new("broken").at(Duration::ZERO, Act::Panic));
    let well = Arc::new(Fake::new("well"));
    let members = stage.deregister(&[&dead, &denied, &broken, &well]).await;
    let standings: Vec<Standing> = members.iter().map(|member| member.standing).collect();
    assert_eq!(
        standings,
        [
            Standing::Failed,
            Standing::Failed,
            Standing::Failed,
            Standing::Drained
        ]
    );
    assert!(members[3].drained.expect("a time") < millis(10));
    assert!(
        members[0]
            .error
            .as_deref()
            .is_some_and(|error| error.contains("did not answer"))
    );
    assert!(!stage.run.ledger.all_out());
    assert!(
        stage.elapsed() <= 30 * SECOND - millis(450),
        "{:?}",
        stage.elapsed()
    );
}

#[tokio::test(start_paused = true)]
async fn a_permanent_failure_ends_at_once() {
    let stage = Stage::new(30 * SECOND);
    let fake = Arc::new(Fake::new("a").at(Duration::ZERO, Act::Deny));
    let members = stage.deregister(&[&fake]).await;
    assert_eq!(members[0].standing, Standing::Failed);
    assert_eq!(
        members[0].error.as_deref(),
        Some("fake a refused find: permission denied")
    );
    assert!(stage.elapsed() < millis(10));
}

#[tokio::test(start_paused = true)]
async fn one_whose_first_answer_never_comes_is_told_of_with_what_to_do() {
    let run = Stage::new(SECOND);
    let silent = Arc::new(Fake::new("a").at(Duration::ZERO, Act::Hang));
    let members = run.deregister(&[&silent]).await;
    assert_eq!(members[0].standing, Standing::Failed);
    let error = members[0].error.as_deref().expect("an error");
    assert!(
        error.starts_with("fake a did not answer (find): nothing within the budget; "),
        "{error}"
    );
}

#[tokio::test(start_paused = true)]
async fn one_that_recovers_is_done_soon_after() {
    let stage = Stage::new(30 * SECOND);
    let fake = Arc::new(
        Fake::new("a")
            .at(Duration::ZERO, Act::Refuse)
            .at(12 * SECOND, Act::Answer),
    );
    let members = stage.deregister(&[&fake]).await;
    assert_eq!(members[0].standing, Standing::Drained);
    assert_eq!(members[0].error, None);
    assert!(stage.elapsed() < 15 * SECOND, "{:?}", stage.elapsed());
}

#[tokio::test(start_paused = true)]
async fn an_accepted_request_that_changes_nothing_is_no_success() {
    // Whether the state comes with the answer, or is looked at.
    for reads_back in [false, true] {
        let stage = Stage::new(5 * SECOND);
        let fake = Arc::new(Fake {
            ignores_first: Mutex::new(u32::MAX),
            reads_back,
            ..Fake::new("a")
        });
        let members = stage.deregister(&[&fake]).await;
        assert_eq!(members[0].standing, Standing::Failed);
        assert!(
            members[0]
                .error
                .as_deref()
                .is_some_and(|error| error.contains("still is InService")),
            "{:?}",
            members[0].error
        );
        let fake = Arc::new(Fake {
            ignores_first: Mutex::new(2),
            reads_back,
            ..Fake::new("b")
        });
        let members = Stage::new(5 * SECOND).deregister(&[&fake]).await;
        assert_eq!((members[0].standing, members[0].attempts), (Standing::Drained, 3));
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_undone_while_draining_is_done_again() {
    let stage = Stage::new(30 * SECOND);
    let fake = Arc::new(
        Fake::new("a")
            .at(Duration::ZERO, Act::InFlight(Some(1)))
            .at(3 * SECOND, Act::PutBack)
            .at(6 * SECOND, Act::InFlight(Some(0))),
    );
    let members = stage.deregister(&[&fake]).await;
    assert_eq!((members[0].standing, members[0].attempts), (Standing::Drained, 2));
    assert_eq!(stage.listener.heard(|event| *event == Event::PutBack), 1);
}

#[tokio::test(start_paused = true)]
async fn one_that_is_out_already_is_waited_for_and_not_touched() {
    let stage = Stage::new(30 * SECOND);
    let fake = Arc::new(
        Fake::new("a")
            .at(Duration::ZERO, Act::InFlight(Some(2)))
            .at(2 * SECOND, Act::InFlight(Some(0))),
    );
    fake.state.lock().expect("a state").rotation = Rotation::Out;
    let members = stage.deregister(&[&fake]).await;
    assert_eq!((members[0].standing, members[0].attempts), (Standing::Drained, 0));
    assert_eq!(stage.listener.heard(|event| *event == Event::AlreadyOut), 1);
    assert!(stage.elapsed() >= 2 * SECOND);
}

#[tokio::test(start_paused = true)]
async fn a_host_that_is_no_member_is_done() {
    let stage = Stage::new(30 * SECOND);
    let fake = Arc::new(Fake {
        entries: 0,
        ..Fake::new("a")
    });
    let members = stage.deregister(&[&fake]).await;
    assert_eq!(members[0].evidence, Some(Evidence::NotAMember));
    assert!(stage.run.ledger.all_drained());
}

#[tokio::test(start_paused = true)]
async fn the_budget_ends_the_wait_and_the_truth_is_kept() {
    let stage = Stage::new(10 * SECOND);
    let fake = Arc::new(Fake::new("a").at(Duration::ZERO, Act::InFlight(Some(3))));
    let members = stage.deregister(&[&fake]).await;
    assert_eq!(
        (members[0].standing, members[0].in_flight),
        (Standing::Out, Some(3))
    );
    assert!(stage.run.ledger.all_out() && !stage.run.ledger.all_drained());
    assert_eq!(stage.elapsed(), millis(9_500));
}

#[tokio::test(start_paused = true)]
async fn a_state_that_comes_with_the_answer_is_not_asked_for_again() {
    let stage = Stage::new(30 * SECOND);
    let fake = Arc::new(Fake {
        reads_back: true,
        ..Fake::new("a")
    });
    let members = stage.deregister(&[&fake]).await;
    assert_eq!(members[0].standing, Standing::Drained);
    assert_eq!(
        fake.state.lock().expect("a state").calls,
        ["find", "deregister", "terms"]
    );
}

#[tokio::test(start_paused = true)]
async fn firm_leaving_is_told_by_the_state_that_comes_with_the_answer() {
    let stage = Stage::new(30 * SECOND);
    let mut fake = Fake::new("a")
        .at(Duration::ZERO, Act::InFlight(Some(1)))
        .at(6 * SECOND, Act::InFlight(Some(0)));
    fake.schedule.firm_after = Some(4 * SECOND);
    fake.reads_back = true;
    let fake = Arc::new(fake);
    let members = stage.deregister(&[&fake]).await;
    assert_eq!((members[0].standing, members[0].attempts), (Standing::Drained, 2));
    assert_eq!(stage.listener.heard(|event| *event == Event::Firm), 1);
    let seen = &fake.state.lock().expect("a state").seen;
    assert_eq!(seen[1], None, "it was seen seconds ago");
}

/// Who waits longer must ask anew: meanwhile somebody may have taken it further out.
#[tokio::test(start_paused = true)]
async fn what_was_seen_is_handed_to_the_first_request_to_leave_and_only_at_once() {
    let told = async |fake: Fake| {
        let fake = Arc::new(fake);
        Stage::new(30 * SECOND).deregister(&[&fake]).await;
        let state = fake.state.lock().expect("a state");
        state.seen.clone()
    };
    assert_eq!(told(Fake::new("a")).await, [Some(Rotation::InService)]);
    let refused = Fake::new("b").at(millis(2), Act::Refuse).at(SECOND, Act::Answer);
    assert_eq!(told(refused).await, [None], "the first one failed");
}

/// A target group of UDP that is gone at once: what it is comes with its terms.
#[tokio::test(start_paused = true)]
async fn a_look_that_is_due_with_the_terms_comes_before_quiet_connections() {
    let evidence = quiet_ports();
    let mut stage = Stage::with_ports(30 * SECOND, on_port(), evidence);
    stage.run.waiting.quiet = Duration::ZERO;
    let fake = Arc::new(Fake {
        // Long enough for a look at this host's connections between leaving and the answer to `terms`, the fourth.
        takes: millis(50),
        ..Fake::new("a")
            .at(Duration::ZERO, Act::InFlight(None))
            .at(millis(200), Act::Undrained(true))
            .at(5 * SECOND, Act::Undrained(false))
    });
    stage.deregister(&[&fake]).await;
    assert!(stage.elapsed() >= 5 * SECOND, "{:?}", stage.elapsed());
}

#[tokio::test(start_paused = true)]
async fn sticky_requests_are_sent_away_after_a_while() {
    let stage = Stage::new(30 * SECOND);
    let mut fake = Fake::new("a")
        .at(Duration::ZERO, Act::InFlight(Some(1)))
        .at(6 * SECOND, Act::InFlight(Some(0)));
    fake.schedule.firm_after = Some(4 * SECOND);
    let fake = Arc::new(fake);
    let members = stage.deregister(&[&fake]).await;
    assert_eq!((members[0].standing, members[0].attempts), (Standing::Drained, 2));
    assert!(fake.state.lock().expect("a state").firm);
    assert_eq!(stage.listener.heard(|event| *event == Event::Firm), 1);
}

#[tokio::test(start_paused = true)]
async fn what_is_left_is_cut_just_before_the_end_and_not_called_drained() {
    let stage = Stage::new(10 * SECOND);
    let mut fake = Fake::new("a").at(Duration::ZERO, Act::InFlight(Some(2)));
    fake.schedule.cut = true;
    let fake = Arc::new(fake);
    let members = stage.deregister(&[&fake]).await;
    assert_eq!((members[0].standing, members[0].cut), (Standing::Out, Some(2)));
    assert_eq!(fake.calls("cut"), 1);
    assert!(
        stage.elapsed() > 8 * SECOND && stage.elapsed() <= millis(9_500),
        "{:?}",
        stage.elapsed()
    );
}

#[tokio::test(start_paused = true)]
async fn without_the_balancers_count_the_hosts_connections_decide_after_the_floor() {
    let evidence = Ports {
        busy_until: Instant::now() + 3 * SECOND,
        flicker: None,
        listening_from: Instant::now(),
    };
    let stage = Stage::with_ports(30 * SECOND, on_port(), evidence);
    let fake = Arc::new(Fake {
        terms: Terms {
            min_wait: Some(15 * SECOND),
            max_wait: Some(300 * SECOND),
            ..Terms::default()
        },
        ..Fake::new("a").at(Duration::ZERO, Act::InFlight(None))
    });
    let members = stage.deregister(&[&fake]).await;
    assert_eq!(members[0].evidence, Some(Evidence::Connections));
    assert!(
        stage.elapsed() >= 15 * SECOND && stage.elapsed() < millis(15_200),
        "{:?}",
        stage.elapsed()
    );
}

#[tokio::test(start_paused = true)]
async fn quiet_starts_again_with_each_request_that_is_seen() {
    let evidence = Ports {
        busy_until: Instant::now() + SECOND,
        flicker: Some(Instant::now() + millis(1_500)),
        listening_from: Instant::now(),
    };
    let stage = Stage::with_ports(30 * SECOND, on_port(), evidence);
    let fake = Arc::new(Fake::new("a").at(Duration::ZERO, Act::InFlight(None)));
    let members = stage.deregister(&[&fake]).await;
    assert_eq!(members[0].evidence, Some(Evidence::Connections));
    assert!(
        stage.elapsed() >= millis(2_500) && stage.elapsed() < millis(2_700),
        "{:?}",
        stage.elapsed()
    );
}

#[tokio::test(start_paused = true)]
async fn a_balancers_own_count_outweighs_quiet_connections() {
    let evidence = quiet_ports();
    let stage = Stage::with_ports(30 * SECOND, on_port(), evidence);
    let fake = Arc::new(
        Fake::new("a")
            .at(Duration::ZERO, Act::InFlight(Some(1)))
            .at(9 * SECOND, Act::InFlight(Some(0))),
    );
    let members = stage.deregister(&[&fake]).await;
    assert_eq!(members[0].evidence, Some(Evidence::LoadBalancer));
    assert!(stage.elapsed() >= 9 * SECOND);
}

#[tokio::test(start_paused = true)]
async fn a_balancer_that_dies_while_draining_leaves_it_to_the_hosts_connections() {
    let evidence = Ports {
        busy_until: Instant::now() + 5 * SECOND,
        flicker: None,
        listening_from: Instant::now(),
    };
    let stage = Stage::with_ports(30 * SECOND, on_port(), evidence);
    let fake = Arc::new(
        Fake::new("a")
            .at(Duration::ZERO, Act::InFlight(Some(1)))
            .at(2 * SECOND, Act::Refuse),
    );
    let members = stage.deregister(&[&fake]).await;
    assert_eq!(
        (members[0].standing, members[0].evidence),
        (Standing::Drained, Some(Evidence::Connections))
    );
    assert_eq!(
        stage
            .listener
            .heard(|event| matches!(event, Event::LostSight { .. })),
        1
    );
}

#[tokio::test(start_paused = true)]
async fn the_delay_ends_the_wait_and_requests_left_over_are_not_called_drained() {
    let stage = Stage::new(30 * SECOND);
    let terms = Terms {
        max_wait: Some(5 * SECOND),
        ..Terms::default()
    };
    let silent = Arc::new(Fake {
        terms: terms.clone(),
        ..Fake::new("silent").at(Duration::ZERO, Act::InFlight(None))
    });
    let busy = Arc::new(Fake {
        terms,
        ..Fake::new("busy").at(Duration::ZERO, Act::InFlight(Some(1)))
    });
    let members = stage.deregister(&[&silent, &busy]).await;
    assert_eq!(
        (members[0].standing, members[0].evidence),
        (Standing::Drained, Some(Evidence::Delay))
    );
    assert_eq!(
        (members[1].standing, members[1].evidence),
        (Standing::Out, Some(Evidence::Delay))
    );
    assert!(stage.elapsed() < millis(5_100), "{:?}", stage.elapsed());
}

#[tokio::test(start_paused = true)]
async fn an_entry_that_is_gone_ends_the_wait_unless_its_connections_outlive_it() {
    let stage = Stage::new(30 * SECOND);
    let gone = |name: &str, outlived| {
        Arc::new(Fake {
            terms: Terms {
                outlived,
                ..Terms::default()
            },
            ..Fake::new(name)
                .at(Duration::ZERO, Act::InFlight(None))
                .at(SECOND, Act::Gone)
        })
    };
    let members = stage
        .deregister(&[&gone("closes", false), &gone("leaves open", true)])
        .await;
    assert_eq!(
        (members[0].standing, members[0].evidence),
        (Standing::Drained, Some(Evidence::Gone))
    );
    assert_eq!(
        members[1].standing,
        Standing::Out,
        "not drained: {:?}",
        members[1]
    );
    assert!(stage.elapsed() > 25 * SECOND, "{:?}", stage.elapsed());
}

#[tokio::test(start_paused = true)]
async fn a_delay_or_floor_beyond_the_budget_is_said() {
    let stage = Stage::new(10 * SECOND);
    let with = |name: &str, min: Option<Duration>, max| {
        Arc::new(Fake {
            terms: Terms {
                min_wait: min,
                max_wait: max,
                ..Terms::default()
            },
            ..Fake::new(name).at(Duration::ZERO, Act::InFlight(None))
        })
    };
    stage
        .deregister(&[
            &with("delay", None, Some(300 * SECOND)),
            &with("floor", Some(120 * SECOND), None),
        ])
        .await;
    assert_eq!(
        stage
            .listener
            .heard(|event| matches!(event, Event::DelayBeyondBudget { .. })),
        1
    );
    assert_eq!(
        stage
            .listener
            .heard(|event| matches!(event, Event::FloorBeyondBudget { .. })),
        1
    );
}

#[tokio::test(start_paused = true)]
async fn a_gone_main_process_ends_the_wait_but_not_the_leaving() {
    let stage = Stage::new(30 * SECOND);
    stage.gone.send(true).expect("heard");
    let fake = Arc::new(Fake::new("a").at(Duration::ZERO, Act::InFlight(Some(9))));
    let members = stage.deregister(&[&fake]).await;
    assert_eq!(
        (members[0].standing, members[0].evidence),
        (Standing::Drained, Some(Evidence::MainProcessGone))
    );
    assert_eq!(fake.calls("deregister"), 1);
    assert!(stage.elapsed() < millis(50));
}

#[tokio::test(start_paused = true)]
async fn without_waiting_out_is_enough() {
    let mut stage = Stage::new(30 * SECOND);
    stage.run.waiting.no_wait = true;
    let fake = Arc::new(Fake::new("a").at(Duration::ZERO, Act::InFlight(Some(9))));
    let members = stage.deregister(&[&fake]).await;
    assert_eq!(
        (members[0].standing, members[0].in_flight),
        (Standing::Out, Some(9))
    );
    assert!(stage.elapsed() < millis(10));
}

#[tokio::test(start_paused = true)]
async fn looks_never_take_more_than_the_balancers_share() {
    let stage = Stage::new(20 * SECOND);
    let fake = Arc::new(Fake::new("a").at(Duration::ZERO, Act::InFlight(Some(1))));
    stage.deregister(&[&fake]).await;
    // Each look costs the fake 1 ms; one part in a hundred of 20 s is 200 ms.
    assert!(fake.calls("look") <= 200, "{}", fake.calls("look"));
    assert!(fake.calls("look") > 100, "{}", fake.calls("look"));
}

#[tokio::test(start_paused = true)]
async fn an_optional_one_that_fails_does_not_fail_the_run() {
    let stage = Stage::new(5 * SECOND);
    let denied = Arc::new(Fake::new("denied").at(Duration::ZERO, Act::Deny));
    let well = Arc::new(Fake::new("well"));
    deregister(
        &stage.run,
        vec![
            Plan {
                optional: true,
                ..plan(&denied)
            },
            plan(&well),
        ],
    )
    .await;
    assert!(stage.run.ledger.all_drained());
    assert_eq!(stage.run.ledger.members()[0].standing, Standing::Failed);
}

#[tokio::test(start_paused = true)]
async fn the_host_is_not_out_before_every_entry_is() {
    let stage = Stage::new(5 * SECOND);
    assert!(!stage.run.ledger.all_out(), "nobody has been asked yet");
    let fake = Arc::new(Fake {
        entries: 3,
        ..Fake::new("a")
    });
    let hung = Arc::new(Fake::new("b").at(Duration::ZERO, Act::Hang));
    let members = stage.deregister(&[&fake, &hung]).await;
    assert_eq!(members.len(), 4);
    assert!(!stage.run.ledger.all_out());
}

#[tokio::test(start_paused = true)]
async fn what_left_comes_back_as_it_was_and_what_was_out_before_stays_out() {
    let stage = Stage::new(5 * SECOND);
    let (ours, theirs) = (Arc::new(Fake::new("ours")), Arc::new(Fake::new("theirs")));
    theirs.state.lock().expect("a state").rotation = Rotation::Out;
    stage.deregister(&[&ours, &theirs]).await;
    let back = Run {
        ledger: Ledger::default(),
        ..stage.run.clone()
    };
    register(&back, vec![plan(&ours), plan(&theirs)], IN_SERVICE).await;
    assert_eq!((ours.calls("as it was"), theirs.calls("register")), (1, 0));
    assert!(back.ledger.all_drained());
    // What is back is off the record: another time, the configuration says how to come back.
    let again = Run {
        ledger: Ledger::default(),
        ..stage.run.clone()
    };
    register(&again, vec![plan(&ours)], Return::default()).await;
    assert_eq!(ours.calls("as configured"), 1);
}

#[tokio::test(start_paused = true)]
async fn what_is_kept_out_comes_back_only_for_whoever_insists() {
    let stage = Stage::new(5 * SECOND);
    let fake = Arc::new(Fake::new("edge"));
    let mut by_hand = stage.run.clone();
    by_hand.waiting.keep_out = true;
    deregister(&by_hand, vec![plan(&fake)]).await;
    // Another stop finds it out already and changes nothing about that.
    stage.deregister(&[&fake]).await;
    for (even_if_kept_out, standing, calls) in [
        (false, Standing::KeptOut, 0),
        (true, Standing::Back, 1),
        (false, Standing::Back, 1),
    ] {
        let run = Run {
            ledger: Ledger::default(),
            ..stage.run.clone()
        };
        let how = Return {
            even_if_kept_out,
            ..IN_SERVICE
        };
        register(&run, vec![plan(&fake)], how).await;
        assert_eq!(run.ledger.members()[0].standing, standing);
        assert_eq!(fake.calls("as it was"), calls);
        assert!(run.ledger.all_out(), "no failure");
    }
}

#[tokio::test(start_paused = true)]
async fn nobody_is_sent_to_a_service_that_does_not_listen_yet() {
    let stage = Stage::with_ports(
        10 * SECOND,
        on_port(),
        Ports {
            busy_until: Instant::now(),
            flicker: None,
            listening_from: Instant::now() + 3 * SECOND,
        },
    );
    let fake = Arc::new(Fake::new("edge"));
    register(&stage.run, vec![plan(&fake)], IN_SERVICE).await;
    assert_eq!(fake.calls("as configured"), 1);
    let waited = stage.elapsed();
    assert!(
        waited >= 3 * SECOND && waited < 3 * SECOND + millis(200),
        "{waited:?}"
    );
    assert_eq!(
        stage
            .listener
            .heard(|event| matches!(event, Event::NotListening(_))),
        1
    );
}

#[tokio::test(start_paused = true)]
async fn a_service_that_never_listens_or_ends_is_not_registered_and_that_is_told() {
    for (ends, at_most) in [(false, 10 * SECOND), (true, 3 * SECOND)] {
        let stage = Stage::with_ports(
            10 * SECOND,
            on_port(),
            Ports {
                busy_until: Instant::now(),
                flicker: None,
                listening_from: Instant::now() + 60 * SECOND,
            },
        );
        let fake = Arc::new(Fake::new("edge"));
        let ending = async {
            sleep(2 * SECOND).await;
            stage.gone.send_replace(ends);
        };
        tokio::join!(register(&stage.run, vec![plan(&fake)], IN_SERVICE), ending);
        assert!(stage.elapsed() < at_most, "{:?}", stage.elapsed());
        assert_eq!(fake.calls("register"), 0);
        assert!(!stage.run.ledger.all_out());
        let error = stage.run.ledger.members()[0].error.clone().expect("an error");
        assert!(error.starts_with("nothing listens on port 8080: "), "{error}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_start_waits_little_longer_than_it_takes_to_be_in_service() {
    let stage = Stage::new(300 * SECOND);
    let mut fake = Fake::new("a").at(24 * SECOND, Act::PutBack);
    fake.registers_as = Rotation::NotInService;
    // The pace of a drain that costs an account its calls.
    fake.schedule.pace.near = 10 * SECOND;
    fake.schedule.pace.far = 60 * SECOND;
    let fake = Arc::new(fake);
    let begun = Instant::now();
    register(&stage.run, vec![plan(&fake)], IN_SERVICE).await;
    assert!(
        begun.elapsed() >= 24 * SECOND && begun.elapsed() <= 34 * SECOND,
        "{:?}",
        begun.elapsed()
    );
    assert!(fake.calls("look") <= 8, "{}", fake.calls("look"));
}

/// Local evidence that takes so much work that it is looked for rarely.
struct Laborious(Ports);

impl LocalEvidence for Laborious {
    fn look(&mut self, ports: &BTreeSet<u16>) -> io::Result<BTreeMap<u16, PortTraffic>> {
        let effort = crate::evidence::Effort::begin();
        while effort.spent() < millis(40) {}
        self.0.look(ports)
    }
}

#[tokio::test(start_paused = true)]
async fn rare_looks_are_followed_by_one_more_before_quiet_is_believed() {
    // Two looks before it comes, and the next one by its pace long after the quiet second.
    let late = Ports {
        flicker: Some(Instant::now() + millis(990)),
        ..quiet_ports()
    };
    let mut stage = Stage::new(30 * SECOND);
    let (traffic, looking) = super::Traffic::new(on_port(), Box::new(Laborious(late)));
    let looking = tokio::spawn(looking);
    stage.run.traffic = traffic;
    stage.run.waiting.ports = on_port();
    let fake = Arc::new(Fake::new("a").at(Duration::ZERO, Act::InFlight(None)));
    let members = stage.deregister(&[&fake]).await;
    looking.abort();
    assert_eq!(members[0].evidence, Some(Evidence::Connections));
    assert!(stage.elapsed() >= 2 * SECOND, "{:?}", stage.elapsed());
}

#[tokio::test(start_paused = true)]
async fn what_is_put_back_after_it_has_drained_is_taken_out_while_others_still_leave() {
    let stage = Stage::new(30 * SECOND);
    let early = Arc::new(Fake::new("early").at(5 * SECOND, Act::PutBack));
    let late = Arc::new(
        Fake::new("late")
            .at(Duration::ZERO, Act::InFlight(Some(1)))
            .at(10 * SECOND, Act::InFlight(Some(0))),
    );
    let members = stage.deregister(&[&early, &late]).await;
    assert_eq!((members[0].standing, members[0].attempts), (Standing::Drained, 2));
    assert_eq!(stage.listener.heard(|event| *event == Event::PutBack), 1);
    assert!(
        stage.elapsed() < millis(10_200),
        "looking after it holds nobody up: {:?}",
        stage.elapsed()
    );
}

#[tokio::test(start_paused = true)]
async fn others_still_leave_that_have_yet_to_begin() {
    let stage = Stage::new(30 * SECOND);
    let at_once = |endpoint| Fake {
        takes: Duration::ZERO,
        reads_back: true,
        ..Fake::new(endpoint)
    };
    let early = Arc::new(at_once("early").at(5 * SECOND, Act::PutBack));
    // Each fails as soon as it begins, so that nobody is leaving when the first has drained and the last has yet to begin.
    let between: Vec<_> = (0..100)
        .map(|_| Arc::new(at_once("between").at(Duration::ZERO, Act::Deny)))
        .collect();
    let late = Arc::new(
        Fake::new("late")
            .at(Duration::ZERO, Act::InFlight(Some(1)))
            .at(10 * SECOND, Act::InFlight(Some(0))),
    );
    let all: Vec<_> = std::iter::once(&early).chain(&between).chain([&late]).collect();
    let members = stage.deregister(&all).await;
    assert_eq!((members[0].standing, members[0].attempts), (Standing::Drained, 2));
}

#[tokio::test(start_paused = true)]
async fn what_is_put_back_and_cannot_be_taken_out_is_never_called_drained() {
    let stage = Stage::with_ports(10 * SECOND, on_port(), quiet_ports());
    let fake = Arc::new(
        Fake {
            terms: Terms {
                max_wait: Some(5 * SECOND),
                ..Terms::default()
            },
            ..Fake::new("a")
        }
        .at(Duration::ZERO, Act::InFlight(None))
        .at(millis(500), Act::PutBack)
        .at(millis(500), Act::KeepIn),
    );
    let members = stage.deregister(&[&fake]).await;
    assert_eq!(
        (members[0].standing, members[0].evidence),
        (Standing::Failed, None)
    );
    assert!(!stage.run.ledger.all_out());
    let told = stage.listener.heard(|event| *event == Event::PutBack);
    assert_eq!(told, 1, "once is enough");
}

#[tokio::test(start_paused = true)]
async fn somebody_elses_put_back_is_on_record_for_the_way_back() {
    let stage = Stage::new(30 * SECOND);
    let fake = Arc::new(
        Fake::new("a")
            .at(Duration::ZERO, Act::InFlight(Some(1)))
            .at(SECOND, Act::PutBack)
            .at(3 * SECOND, Act::InFlight(Some(0))),
    );
    fake.state.lock().expect("a state").rotation = Rotation::Out;
    stage.deregister(&[&fake]).await;
    let back = Run {
        ledger: Ledger::default(),
        ..stage.run.clone()
    };
    register(&back, vec![plan(&fake)], IN_SERVICE).await;
    assert_eq!(fake.calls("as it was"), 1);
}

#[tokio::test(start_paused = true)]
async fn a_partial_count_is_believed_once_this_host_shows_nothing_in_flight_either() {
    let busy = Ports {
        busy_until: Instant::now() + 4 * SECOND,
        ..quiet_ports()
    };
    let stage = Stage::with_ports(30 * SECOND, on_port(), busy);
    let fake = Arc::new(Fake::new("a"));
    fake.state.lock().expect("a state").partial = true;
    let members = stage.deregister(&[&fake]).await;
    assert_eq!(members[0].evidence, Some(Evidence::LoadBalancer));
    let elapsed = stage.elapsed();
    assert!(
        elapsed >= 4 * SECOND && elapsed < 4 * SECOND + millis(100),
        "{elapsed:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn quiet_connections_do_not_outweigh_a_balancer_that_says_it_has_not_drained() {
    let stage = Stage::with_ports(30 * SECOND, on_port(), quiet_ports());
    let fake = Arc::new(
        Fake::new("a")
            .at(Duration::ZERO, Act::InFlight(None))
            .at(Duration::ZERO, Act::Undrained(true))
            .at(8 * SECOND, Act::Undrained(false)),
    );
    let members = stage.deregister(&[&fake]).await;
    assert_eq!(members[0].evidence, Some(Evidence::Connections));
    assert!(stage.elapsed() >= 8 * SECOND, "{:?}", stage.elapsed());
    assert_eq!(stage.listener.heard(|event| *event == Event::NoEvidence), 0);
}

#[tokio::test(start_paused = true)]
async fn one_that_no_longer_answers_when_it_is_to_leave_firmly_blinds_nobody() {
    let busy = Ports {
        busy_until: Instant::now() + 6 * SECOND,
        ..quiet_ports()
    };
    let stage = Stage::with_ports(60 * SECOND, on_port(), busy);
    let mut fake = Fake::new("a")
        .at(Duration::ZERO, Act::InFlight(Some(1)))
        .at(2 * SECOND, Act::Hang);
    fake.schedule.firm_after = Some(3 * SECOND);
    let members = stage.deregister(&[&Arc::new(fake)]).await;
    assert_eq!(members[0].evidence, Some(Evidence::Connections));
    assert!(stage.elapsed() < 12 * SECOND, "{:?}", stage.elapsed());
}

#[tokio::test(start_paused = true)]
async fn what_was_out_before_is_taken_out_no_further() {
    let stage = Stage::new(30 * SECOND);
    let mut fake = Fake::new("a")
        .at(Duration::ZERO, Act::InFlight(Some(1)))
        .at(9 * SECOND, Act::InFlight(Some(0)));
    fake.schedule.firm_after = Some(3 * SECOND);
    fake.state.lock().expect("a state").rotation = Rotation::Out;
    let fake = Arc::new(fake);
    let members = stage.deregister(&[&fake]).await;
    assert_eq!(
        (members[0].standing, fake.calls("deregister")),
        (Standing::Drained, 0)
    );
}

#[tokio::test(start_paused = true)]
async fn after_a_mistake_of_ours_in_the_middle_of_a_drain_the_rest_of_the_budget_is_waited_for() {
    let stage = Stage::new(10 * SECOND);
    let fake = Arc::new(
        Fake::new("a")
            .at(Duration::ZERO, Act::InFlight(Some(1)))
            .at(SECOND, Act::Panic),
    );
    let members = stage.deregister(&[&fake]).await;
    assert_eq!(members[0].standing, Standing::Out);
    let error = members[0].error.as_deref().unwrap_or_default();
    assert!(error.starts_with("a mistake in lb-drain"), "{error}");
    assert!(stage.elapsed() >= 9 * SECOND, "{:?}", stage.elapsed());
}

#[tokio::test(start_paused = true)]
async fn many_entries_of_one_balancer_share_its_time() {
    let stage = Stage::new(20 * SECOND);
    let fake = Arc::new(Fake {
        entries: 20,
        ..Fake::new("a").at(Duration::ZERO, Act::InFlight(Some(1)))
    });
    stage.deregister(&[&fake]).await;
    // 1 ms each, one part in a hundred of 20 s; and one that proves that it is out for each entry.
    assert!(fake.calls("look") <= 200 + 20 + 20, "{}", fake.calls("look"));
}

#[tokio::test(start_paused = true)]
async fn connections_that_come_and_go_do_not_take_more_of_the_balancers_time() {
    struct Flapping(bool);
    impl LocalEvidence for Flapping {
        fn look(&mut self, ports: &BTreeSet<u16>) -> io::Result<BTreeMap<u16, PortTraffic>> {
            self.0 = !self.0;
            let traffic = PortTraffic {
                in_flight: self.0.into(),
                ..PortTraffic::default()
            };
            Ok(ports.iter().map(|port| (*port, traffic)).collect())
        }
    }
    let mut stage = Stage::new(20 * SECOND);
    let (traffic, looking) = super::Traffic::new(on_port(), Box::new(Flapping(false)));
    tokio::spawn(looking);
    stage.run.traffic = traffic;
    stage.run.waiting.ports = on_port();
    let fake = Arc::new(Fake {
        takes: millis(5),
        ..Fake::new("a").at(Duration::ZERO, Act::InFlight(Some(1)))
    });
    stage.deregister(&[&fake]).await;
    assert!(fake.calls("look") <= 42, "{}", fake.calls("look"));
}

#[tokio::test(start_paused = true)]
async fn a_balancer_that_is_far_away_is_still_looked_at_within_the_longest_pause() {
    let stage = Stage::new(30 * SECOND);
    let fake = Arc::new(Fake {
        takes: millis(500),
        ..Fake::new("a")
            .at(Duration::ZERO, Act::InFlight(Some(1)))
            .at(10 * SECOND, Act::InFlight(Some(0)))
    });
    let members = stage.deregister(&[&fake]).await;
    assert_eq!(members[0].standing, Standing::Drained);
    assert!(stage.elapsed() < 13 * SECOND, "{:?}", stage.elapsed());
}
