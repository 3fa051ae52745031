//! The same request to the same endpoint: plain, over TLS with one authority, over TLS with the system's.

use std::path::Path;
use std::process::Command;

use lb_drain_test_support::certificates::Authority;
use lb_drain_test_support::http::{Fake, Reply};

use crate::limits::Limits;
use crate::side::{Side, Table, compare, deregister, memory_folder};

/// Prints the tables.
pub(crate) fn run(limits: &mut Limits) {
    let folder = memory_folder();
    let plain = Fake::start(|_| Reply::new(200, ""));
    let table = |title, memory| Table {
        title,
        runs: 101,
        memory,
    };
    measure(
        &table("plain http", 8.0),
        0.3,
        &plain,
        folder.path(),
        None,
        limits,
    );

    let authority = Authority::new();
    let tls = authority.certify(&["127.0.0.1"]).server(None);
    let secure = Fake::start_tls(tls, |_| Reply::new(200, ""));
    let one = authority.file(&folder);
    let all = system_and(&authority.pem(), folder.path());
    for (title, roots) in [
        ("https, one authority in a file", &one),
        ("https, the system's authorities", &all),
    ] {
        measure(
            &table(title, 12.0),
            0.4,
            &secure,
            folder.path(),
            Some(roots),
            limits,
        );
    }
}

/// The system's bundle with one authority more in it, in a file of `folder`.
pub(crate) fn system_and(authority: &str, folder: &Path) -> std::path::PathBuf {
    let system =
        std::fs::read_to_string("/etc/ssl/certs/ca-certificates.crt").expect("ca-certificates is installed");
    let all = folder.join("all.pem");
    std::fs::write(&all, format!("{system}{authority}")).expect("written");
    all
}

fn measure(
    table: &Table<'_>,
    at_most: f64,
    endpoint: &Fake,
    folder: &Path,
    authorities: Option<&Path>,
    limits: &mut Limits,
) {
    let url = format!("{}/leave", endpoint.url());
    let request = format!("POST {url}");
    let sides = [
        Side::new("lb-drain deregister --no-wait", || {
            let mut command = deregister(folder);
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
        })
        .at_most(at_most),
    ];
    compare(table, &|| (), &sides, limits);
}
