//! What the modules share.

use std::fmt::Debug;
use std::io;
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use lb_drain_api::{Error, Firmness, Host, Lifetime, LoadBalancer, SettingsError, Target, View};
use lb_drain_test_support::http::{Fake, Reply};
use lb_drain_test_support::secrets::assert_none;
use serde_json::Value;
use tracing::subscriber::DefaultGuard;
use tracing_subscriber::fmt::MakeWriter;

/// A host as the tests know it.
pub(crate) fn host() -> Host {
    Host {
        hostname: "web1".into(),
        addresses: vec!["10.0.0.7".parse().unwrap()].into(),
        ports: vec![8080],
        unit: Some("web.service".into()),
        budget: Duration::from_secs(30),
    }
}

/// Everything that is logged while it lives.
#[derive(Clone, Default)]
pub(crate) struct Log(Arc<Mutex<Vec<u8>>>);

impl Log {
    /// Begins to listen on this thread.
    pub(crate) fn listen() -> (Self, DefaultGuard) {
        let log = Self::default();
        let subscriber = tracing_subscriber::fmt()
            .with_max_level(tracing::Level::TRACE)
            .with_writer(log.clone())
            .finish();
        (log, tracing::subscriber::set_default(subscriber))
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }
}

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Log {
    type Writer = Self;
    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

/// Lets through whatever holds no secret. What the tests get from a load balancer comes through here.
pub(crate) fn clean<T: Debug>(said: T) -> T {
    assert_none(&format!("{said:?}"));
    said
}

/// The load balancer that these keys describe.
pub(crate) fn try_connect(keys: &str) -> Result<Arc<dyn LoadBalancer>, SettingsError> {
    let settings: lb_drain_http::Settings =
        clean(toml::from_str(keys).unwrap_or_else(|error| panic!("{error}\n{keys}")));
    let mut all = clean(lb_drain_http::connect(settings, &host()))?;
    assert_eq!(all.len(), 1, "a section is one endpoint");
    Ok(all.remove(0))
}

/// As [`try_connect`], for keys that are right.
pub(crate) fn connect(keys: &str) -> Arc<dyn LoadBalancer> {
    try_connect(keys).unwrap_or_else(|error| panic!("{error}\n{keys}"))
}

/// A load balancer that leaves by one request to `url`.
pub(crate) fn leaves_by(method: &str, url: &str, more: &str) -> Arc<dyn LoadBalancer> {
    connect(&format!(
        "deregister.method = '{method}'\nderegister.url = '{url}'\n{more}"
    ))
}

/// A server that always answers this.
pub(crate) fn always(reply: Reply) -> Fake {
    Fake::start(move |_| reply.clone())
}

/// The only entry.
pub(crate) async fn target(balancer: &Arc<dyn LoadBalancer>) -> Target {
    let mut found = clean(balancer.find().await).expect("found");
    assert_eq!(found.len(), 1);
    found.remove(0).target
}

/// The entry as it is before it leaves.
pub(crate) async fn before(balancer: &Arc<dyn LoadBalancer>) -> View {
    clean(balancer.find().await)
        .expect("found")
        .remove(0)
        .view
        .expect("readable")
}

/// Leaves once.
pub(crate) async fn leave(balancer: &Arc<dyn LoadBalancer>) -> Result<(), Error> {
    clean(
        balancer
            .deregister(&Target::new(""), Firmness::Drain, None)
            .await
            .map(drop),
    )
}

/// Looks once.
pub(crate) async fn look(balancer: &Arc<dyn LoadBalancer>) -> View {
    clean(balancer.look(&Target::new("")).await).expect("a view")
}

/// Comes back.
pub(crate) async fn come_back(balancer: &Arc<dyn LoadBalancer>, before: Option<&Value>) -> Result<(), Error> {
    clean(balancer.register(&Target::new(""), before).await)
}

/// Whether asking again can help.
pub(crate) fn is_temporary(error: &Error) -> bool {
    matches!(error.lifetime(), Lifetime::Temporary { .. })
}

const CHILD: &str = "LB_DRAIN_TEST_CHILD";

/// Whether this is the process that [`again`] has started.
pub(crate) fn is_child() -> bool {
    std::env::var_os(CHILD).is_some()
}

/// Runs one test of this binary again, in a process of its own with another environment or namespace.
/// `wrap` is put before the command.
pub(crate) fn again(test: &str, wrap: &[&str], environment: &[(&str, &str)]) {
    let this = std::env::current_exe().unwrap();
    let arguments = [test, "--exact", "--nocapture", "--test-threads=1"];
    let mut command = match wrap.split_first() {
        None => Command::new(this),
        Some((first, rest)) => {
            let mut command = Command::new(first);
            command.args(rest).arg(this);
            command
        }
    };
    let output = command
        .args(arguments)
        .env(CHILD, "1")
        .envs(environment.iter().copied())
        .output()
        .expect("started");
    let text =
        String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success() && text.contains("1 passed"),
        "{test} in a process of its own:\n{text}"
    );
}
