//! Secrets are in what is sent, and in nothing that people read.

use std::io;
use std::sync::{Arc, Mutex};

use lb_drain_test_support::http::{Asked, Fake, Reply};
use tracing_subscriber::fmt::MakeWriter;

use crate::support::{before, come_back, connect, leave};

/// Everything that is logged.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

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

const FILE: &str = "f1le\"s3cret/x";
const INLINE: &str = "1nline-s3cret";
const PASSWORD: &str = "p4ss-s3cret";
const QUERY: &str = "qu3ry-s3cret";

/// The forms in which any of them could come out.
fn forms() -> Vec<String> {
    // The environment's value is one that cargo sets; as good as any that nobody writes by chance.
    let environment = std::env::var("CARGO_PKG_DESCRIPTION").unwrap();
    let url = environment.replace(' ', "%20").replace('\'', "%27");
    [
        FILE,
        INLINE,
        PASSWORD,
        QUERY,
        "f1le%22s3cret%2Fx",
        r#"f1le\"s3cret/x"#,
        &environment,
        &url,
        "YWRtaW46cDRzcy1zM2NyZXQ=",
    ]
    .map(str::to_owned)
    .into()
}

/// Repeats all that it was sent.
fn echo(status: u16) -> impl FnMut(&Asked) -> Reply {
    move |asked| {
        Reply::new(
            status,
            format!("{} {:?} {}", asked.line(), asked.headers, asked.body),
        )
    }
}

#[tokio::test]
async fn no_secret_in_anything_that_people_read() {
    let log = Log::default();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing::Level::TRACE)
        .with_writer(log.clone())
        .finish();
    let _logging = tracing::subscriber::set_default(subscriber);
    let token = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(token.path(), format!("{FILE}\n")).unwrap();
    let mut read = String::new();
    for auth in [
        format!("bearer.file = '{}'", token.path().display()),
        format!("basic = {{ user = 'admin', password = '{PASSWORD}' }}"),
    ] {
        for reply in [200, 307, 403, 503] {
            let fake = Fake::start(echo(reply));
            let keys = format!(
                r#"
                timeout = "2s"
                {auth}
                [deregister]
                method = "POST"
                url = "{url}/{{env:CARGO_PKG_DESCRIPTION}}?key={QUERY}&file={{env:CARGO_PKG_DESCRIPTION}}"
                headers = {{ X-Token = "{INLINE}", X-File = {{ file = "{file}" }} }}
                body = '{{"password": "{{env:CARGO_PKG_DESCRIPTION}}", "inline": "{INLINE}"}}'
                [register]
                method = "PUT"
                url = "http://192.0.2.1:1/{{env:CARGO_PKG_DESCRIPTION}}"
                [drained]
                url = "{url}/state?key={QUERY}"
                pointer = "/active"
                value = 0
                "#,
                url = fake.url(),
                file = token.path().display()
            );
            let settings: lb_drain_http::Settings = toml::from_str(&keys).unwrap();
            let balancer = connect(&keys);
            read.push_str(&format!(
                "{settings:?}\n{balancer:?}\n{:?}\n",
                balancer.identity()
            ));
            read.push_str(&format!("{:?}\n", before(&balancer).await));
            let left = leave(&balancer).await;
            read.push_str(&match &left {
                Ok(()) => String::new(),
                Err(error) => format!("{error:?} {error}\n"),
            });
            read.push_str(&format!(
                "{:?}\n",
                balancer.look(&lb_drain_api::Target::new("")).await
            ));
            let back =
                tokio::time::timeout(std::time::Duration::from_millis(50), come_back(&balancer, None)).await;
            read.push_str(&format!("{back:?}\n{:?}\n", balancer.check().await));
            // The debugging text of a balancer that has been used, too.
            read.push_str(&format!("{balancer:?}\n"));

            let asked = fake.asked().remove(0);
            let sent = format!("{} {:?} {}", asked.line(), asked.headers, asked.body);
            assert!(
                sent.contains(INLINE) && sent.contains(QUERY),
                "it is sent all the same: {sent}"
            );
        }
    }
    let log = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
    assert!(
        log.contains("is plain http, and is sent a secret"),
        "the log is really read: {log}"
    );
    for form in forms() {
        for text in [&read, &log] {
            let found = text.lines().find(|line| line.contains(&form));
            assert!(found.is_none(), "{form} in: {}", found.unwrap_or_default());
        }
    }
}
