//! What every provider does, whatever its protocol: one suite, run against a fake of each load balancer.
//!
//! A provider's tests implement [`Fixture`] for its fake and call [`behaviour_suite!`](crate::behaviour_suite):
//!
//! ```ignore
//! mod behaviour {
//!     lb_drain_test_support::behaviour_suite!(Fake::start().await);
//! }
//! ```
//!
//! Each behaviour becomes a test of its own, with a fresh fixture. What a load balancer cannot do is said in
//! [`Capabilities`], all of them and without defaults; a behaviour that needs it says so in its output then.

mod failing;
mod leaving;
mod returning;
mod watching;

use std::sync::Arc;
use std::time::Duration;

pub use failing::*;
use lb_drain_api::{Error, Firmness, Found, Lifetime, LoadBalancer, Rotation, Target, View, async_trait};
pub use leaving::*;
pub use returning::*;
pub use watching::*;

/// One fake load balancer in which this host is in service, under one name.
#[async_trait]
pub trait Fixture: Send + Sync {
    /// What can be asked of this load balancer.
    fn capabilities(&self) -> Capabilities;

    /// The provider under test, connected to the fake: a new one each time, as each command has.
    fn balancer(&self) -> Arc<dyn LoadBalancer>;

    /// The name of this host's entry.
    fn target(&self) -> Target;

    /// The truth: whether the fake would route a new request to this host.
    fn routes_here(&self) -> bool;

    /// The truth: all that a request of ours could change, as text.
    fn snapshot(&self) -> String;

    /// How many requests for a change the fake has heard, carried out or not.
    fn changes(&self) -> usize;

    /// From now on, this goes wrong.
    async fn suffer(&self, trouble: Trouble);

    /// From now on, nothing goes wrong. What happened meanwhile stays.
    async fn recover(&self);

    /// Lets pass what the load balancer needs time for: health checks pass, delays end.
    async fn settle(&self);

    /// Takes the one other host out of service. Called only with [`Capabilities::knows_others`].
    fn take_others_out(&self);

    /// Puts so many requests in flight. Called only with [`Capabilities::counts`].
    fn put_in_flight(&self, requests: u64);

    /// Passwords, keys and tokens that this fixture's settings hold.
    fn secrets(&self) -> Vec<String>;
}

/// What a load balancer, and so its provider, can do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Capabilities {
    /// It shows whether it routes here. Else its acceptance is all there is ([`Rotation::Unknown`]).
    pub shows_state: bool,
    /// It counts the requests in flight.
    pub counts: bool,
    /// It tells how many other hosts are in service. Each fixture has one besides this host.
    pub knows_others: bool,
    /// It knows a firmer state than drain ([`lb_drain_api::Firmness::Firm`]).
    pub firm: bool,
    /// It can end what is in flight ([`LoadBalancer::cut`]).
    pub cuts: bool,
    /// It can put the entry back without being told how it was.
    pub registers_from_configuration: bool,
    /// It can tell a denied change from other failures.
    pub denies: bool,
    /// How it shows that this host is not known to it.
    pub absence: Absence,
    /// What a check finds out, since it may not try.
    pub foresees: &'static [Trouble],
}

/// How a load balancer shows that this host is not known to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Absence {
    /// With an empty list or [`Rotation::NotAMember`].
    NotAMember,
    /// As a permanent error of that entry: its name was configured, so its absence is a mistake.
    Mistake,
    /// Not at all.
    Hidden,
}

/// What can go wrong at the other end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trouble {
    /// Connections are refused.
    Refused,
    /// Reads are answered, changes are denied. Asked for only with [`Capabilities::denies`].
    Denied,
    /// Every answer is noise.
    Garbage,
    /// Connections are accepted and requests are neither carried out nor answered.
    Silent,
    /// Connections are accepted and closed.
    HangsUp,
    /// Reads are answered; changes are carried out, but the connection ends before their answer.
    AnswerLost,
    /// This host's entry is removed. Lasts.
    NotAMember,
}

/// No verb against a fake takes this long on a loaded machine.
const PATIENCE: Duration = Duration::from_secs(20);

/// Awaits one verb, and fails the test where it hangs.
async fn done<T>(verb: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, verb).await.expect("the verb ends")
}

/// The view of this host's entry by `find`.
async fn found(fixture: &impl Fixture) -> View {
    let balancer = fixture.balancer();
    let found = done(balancer.find()).await.expect("find answers");
    let entry = |found: &Found| found.target == fixture.target();
    let position = found.iter().position(entry).expect("this host's entry is found");
    found
        .into_iter()
        .nth(position)
        .expect("there")
        .view
        .expect("its state can be read")
}

/// Asked to leave, with nothing known of the state before.
async fn left(fixture: &impl Fixture) -> Result<Option<View>, Error> {
    let balancer = fixture.balancer();
    done(balancer.deregister(&fixture.target(), Firmness::Drain, None)).await
}

/// The view of this host's entry by `look`.
async fn looked(fixture: &impl Fixture) -> View {
    done(fixture.balancer().look(&fixture.target()))
        .await
        .expect("look answers")
}

/// Asserts that a view says what is true about being out.
fn assert_shows_out(fixture: &impl Fixture, view: &View) {
    if fixture.capabilities().shows_state {
        assert!(
            matches!(view.rotation, Rotation::Out | Rotation::NotAMember),
            "{view:?}"
        );
    } else {
        assert_eq!(view.rotation, Rotation::Unknown, "{view:?}");
    }
}

/// Asserts that a view says what is true about being in service.
fn assert_shows_in_service(fixture: &impl Fixture, view: &View) {
    if fixture.capabilities().shows_state {
        assert_eq!(view.rotation, Rotation::InService, "{view:?}");
    } else {
        assert_eq!(view.rotation, Rotation::Unknown, "{view:?}");
    }
}

fn is_temporary(error: &Error) -> bool {
    matches!(error.lifetime(), Lifetime::Temporary { .. })
}

/// Asserts that an error says which load balancer it is about.
fn assert_names_the_endpoint(fixture: &impl Fixture, error: &Error) {
    let balancer = fixture.balancer();
    let identity = balancer.identity();
    let text = error.to_string();
    assert!(
        text.contains(&identity.endpoint),
        "{:?} is not named in: {text}",
        identity.endpoint
    );
    assert!(!text.contains('\n'), "one line: {text:?}");
}

/// Says why a behaviour cannot be shown with this load balancer. True: it cannot.
fn cannot(can: bool, what: &str) -> bool {
    if !can {
        println!("SKIPPED: this load balancer {what}");
    }
    !can
}

/// One test for each behaviour. The expression makes a fresh [`Fixture`]; it may `.await`.
#[macro_export]
macro_rules! behaviour_suite {
    ($fixture:expr) => {
        $crate::behaviour_suite! { @tests $fixture;
            // Watching
            the_identity_names_provider_and_endpoint
            find_shows_this_host_in_service
            look_shows_what_find_shows
            find_look_terms_and_check_change_nothing
            check_has_no_complaint_where_all_is_well
            requests_in_flight_are_told
            the_others_in_service_are_told
            a_host_that_is_not_a_member_is_not_told_to_be_one
            // Leaving
            after_deregister_nothing_is_routed_here
            what_was_seen_need_not_be_asked_for_and_what_comes_back_is_true
            deregister_twice_is_as_good_as_once
            two_deregisters_at_once_are_as_good_as_one
            requests_in_flight_survive_deregister
            firm_goes_further_and_drain_does_not_go_back
            cut_ends_what_is_in_flight
            // Returning
            register_brings_back_what_deregister_took_out
            register_restores_what_find_saw
            register_works_without_a_record
            register_twice_is_as_good_as_once
            a_host_can_leave_again_after_it_came_back
            // Failing
            a_refused_connection_is_temporary_and_names_the_endpoint
            a_connection_that_is_closed_is_temporary_and_names_the_endpoint
            a_denial_is_permanent_and_changes_nothing
            noise_is_an_error_and_never_a_success
            check_tells_what_is_wrong
            a_verb_dropped_midway_can_be_repeated
            a_change_whose_answer_was_lost_can_be_repeated
            no_secret_is_shown
        }
    };
    (@tests $fixture:expr; $($behaviour:ident)*) => {
        $(
            #[tokio::test]
            async fn $behaviour() {
                let fixture = $fixture;
                $crate::behaviour::$behaviour(&fixture).await;
            }
        )*
    };
}
