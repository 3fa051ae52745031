//! A run opens what it needs and no more: seen by strace, in the calls that it makes.

use std::fs;
use std::path::Path;

use lb_drain_test_support::certificates::Authority;
use lb_drain_test_support::http::{Fake, Reply};
use tempfile::tempdir;

use crate::rig::{Haproxy, Network, Setup, binary};

/// What some runs need: trusted authorities, AWS's files and instance metadata, D-Bus, the resolver.
const TRUST: &[&str] = &["/etc/ssl", "/etc/pki", ".pem", ".crt"];
const AWS: &[&str] = &["/.aws", "169.254.169.254", "fd00:ec2::254"];
const BUS: &[&str] = &["dbus", "systemd/private"];
const RESOLVER: &[&str] = &["/etc/resolv.conf", "/etc/nsswitch.conf", "/etc/hosts"];
/// The one thread besides the first is the guard of the budget.
const THREAD: &str = "CLONE_THREAD";

/// The files that a successful `deregister` opens, its connections and its threads, one a line.
fn calls(network: &Network, folder: &Path, variables: &[(&str, &str)], arguments: &[&str]) -> Vec<String> {
    let file = folder.join("trace");
    let ran = network
        .command("strace")
        .args(["-f", "-qq", "-s", "200", "-o"])
        .arg(&file)
        // Not every architecture has all of them.
        .args(["-e", "trace=?open,openat,connect,?clone,clone3"])
        .arg(binary())
        .args(["deregister", "--no-wait"])
        .args(arguments)
        .envs(variables.iter().copied())
        .output()
        .expect("strace is installed");
    assert!(ran.status.success(), "{ran:?}");
    let trace = fs::read_to_string(file).expect("strace wrote it");
    trace.lines().map(str::to_owned).collect()
}

fn with<'a>(calls: &'a [String], signs: &[&str]) -> Vec<&'a String> {
    let shows = |call: &&String| signs.iter().any(|sign| call.contains(sign));
    calls.iter().filter(shows).collect()
}

/// Asserts that a run needed none of these, and no thread but the guard.
fn assert_lean(calls: &[String], unneeded: &[&[&str]]) {
    assert_eq!(with(calls, &unneeded.concat()), Vec::<&String>::new());
    assert_eq!(with(calls, &[THREAD]).len(), 1, "{calls:#?}");
}

#[test]
fn a_drain_by_hand_reads_no_authorities_no_aws_files_asks_no_bus_and_starts_one_thread() {
    let network = Network::new();
    let folder = tempdir().expect("a folder");
    let haproxy = Haproxy::start(&network, &folder.path().join("edge"), Setup::default());
    let socket = haproxy.socket();
    let haproxy = [
        "--haproxy",
        &socket,
        "--haproxy-server",
        "web/app1",
        "--budget",
        "20s",
    ];
    let calls = calls(&network, folder.path(), &[], &haproxy);
    assert_lean(&calls, &[TRUST, AWS, BUS, RESOLVER]);
    // What was looked for can be seen.
    assert!(!with(&calls, &[&socket]).is_empty(), "{calls:#?}");
}

#[test]
fn plain_http_to_an_address_reads_no_authorities_and_asks_no_resolver() {
    let network = Network::new();
    let folder = tempdir().expect("a folder");
    let endpoint = network.inside(|| Fake::start(|_| Reply::new(200, "")));
    let request = format!("POST {}/", endpoint.url());
    let calls = calls(&network, folder.path(), &[], &["--http-deregister", &request]);
    assert_lean(&calls, &[TRUST, AWS, BUS, RESOLVER]);
}

#[test]
fn tls_with_an_authority_of_its_own_does_not_read_the_systems() {
    let network = Network::new();
    let folder = tempdir().expect("a folder");
    let authority = Authority::new();
    let own = authority.file(&folder);
    let tls = authority.certify(&["127.0.0.1"]).server(None);
    let endpoint = network.inside(|| Fake::start_tls(tls, |_| Reply::new(200, "")));
    let file = folder.path().join("lb-drain.toml");
    let text = format!(
        "[[load_balancer]]\nprovider = \"http\"\nca_file = {own:?}\n\
         [load_balancer.deregister]\nmethod = \"POST\"\nurl = \"{}/\"\n",
        endpoint.url()
    );
    fs::write(&file, text).expect("written");
    let file = file.display().to_string();
    let calls = calls(&network, folder.path(), &[], &["--config", &file]);
    let own = own.display().to_string();
    let read = with(&calls, TRUST);
    assert!(
        !read.is_empty() && read.iter().all(|call| call.contains(&own)),
        "{read:#?}"
    );
    assert_lean(&calls, &[AWS, BUS, RESOLVER]);
}

#[test]
fn tls_without_one_reads_the_systems_authorities_once() {
    let network = Network::new();
    let folder = tempdir().expect("a folder");
    let authority = Authority::new();
    let bundle = authority.file(&folder).display().to_string();
    let tls = authority.certify(&["127.0.0.1"]).server(None);
    let endpoint = network.inside(|| Fake::start_tls(tls, |_| Reply::new(200, "")));
    let request = format!("POST {}/", endpoint.url());
    let variables = [("SSL_CERT_FILE", bundle.as_str())];
    let calls = calls(
        &network,
        folder.path(),
        &variables,
        &["--http-deregister", &request],
    );
    assert_eq!(with(&calls, TRUST).len(), 1, "{calls:#?}");
}

#[test]
fn only_what_a_unit_runs_asks_the_bus() {
    let network = Network::new();
    let folder = tempdir().expect("a folder");
    let endpoint = network.inside(|| Fake::start(|_| Reply::new(200, "")));
    let request = format!("POST {}/", endpoint.url());
    let variables = [("INVOCATION_ID", "0123456789abcdef0123456789abcdef")];
    let calls = calls(
        &network,
        folder.path(),
        &variables,
        &["--http-deregister", &request],
    );
    assert!(!with(&calls, BUS).is_empty(), "{calls:#?}");
}
