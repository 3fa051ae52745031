//! The same request to the same endpoint: plain, over TLS with one authority, over TLS with the system's.

use std::path::Path;
use std::process::Command;

use lb_drain_test_support::certificates::Authority;
use lb_drain_test_support::http::{Fake, Reply};

use crate::side::{Side, compare, lb_drain, memory_folder};

const RUNS: usize = 101;

/// Prints the tables.
pub(crate) fn run() {
    let folder = memory_folder();
    let plain = Fake::start(|_| Reply::new(200, ""));
    measure("plain http", &plain, folder.path(), None);

    let authority = Authority::new();
    let tls = authority.certify(&["127.0.0.1"]).server(None);
    let secure = Fake::start_tls(tls, |_| Reply::new(200, ""));
    let one = authority.file(&folder);
    measure(
        "https, one authority in a file",
        &secure,
        folder.path(),
        Some(&one),
    );

    // The system's bundle, with the fake's authority as one more in it.
    let system =
        std::fs::read_to_string("/etc/ssl/certs/ca-certificates.crt").expect("ca-certificates is installed");
    let all = folder.path().join("all.pem");
    std::fs::write(&all, format!("{system}{}", authority.pem())).expect("written");
    measure(
        "https, the system's authorities",
        &secure,
        folder.path(),
        Some(&all),
    );
}

fn measure(title: &str, endpoint: &Fake, folder: &Path, authorities: Option<&Path>) {
    let url = format!("{}/leave", endpoint.url());
    let request = format!("POST {url}");
    let sides = [
        Side::new("lb-drain deregister --no-wait", || {
            let mut command = lb_drain(folder);
            command.args(["--no-wait", "--http-deregister", &request, "--http-body", "{}"]);
            if let Some(authorities) = authorities {
                command.env("SSL_CERT_FILE", authorities);
            }
            command
        }),
        Side::new("curl --fail", || {
            let mut command = Command::new("curl");
            command.args(["--fail", "--silent", "--request", "POST", "--data", "{}", &url]);
            if let Some(authorities) = authorities {
                command.arg("--cacert").arg(authorities);
            }
            command
        }),
    ];
    compare(title, RUNS, &|| (), &sides);
}
