//! One host in many load balancers at once: what a run costs with 1, 10 and 100 of a kind.

use std::fmt::Write;
use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use lb_drain_test_support::certificates::Authority;
use lb_drain_test_support::elbv2::{Elbv2, TargetGroup};
use lb_drain_test_support::http::{Fake, Reply};
use lb_drain_test_support::imds::INSTANCE_ID;

use crate::edge::Haproxy;
use crate::http::system_and;
use crate::side::{Medians, Side, deregister, in_turn, memory_folder};

const RUNS: usize = 11;

/// Prints the table.
pub(crate) fn run() {
    println!("\nmany at once; medians of {RUNS}");
    println!(
        "{:<44} {:>6} {:>10} {:>12} {:>12}",
        "", "number", "wall", "processor", "peak memory"
    );
    for number in [1, 10, 100] {
        sockets(number);
    }
    for number in [1, 10, 100] {
        target_groups(number);
    }
    for secure in [false, true] {
        for number in [1, 10, 100] {
            endpoints(number, secure);
        }
    }
}

/// Admin sockets of one HAProxy.
fn sockets(number: usize) {
    let haproxy = Haproxy::start(number, "127.0.0.1:1");
    let sockets: Vec<_> = (0..number).map(|socket| haproxy.socket(socket)).collect();
    let file = haproxy.folder().join("many.toml");
    let text = format!(
        "[[load_balancer]]\nprovider = \"haproxy\"\nsockets = {sockets:?}\nservers = [\"web/app1\"]\n"
    );
    measure(
        "HAProxy, sockets",
        number,
        &file,
        &text,
        &|| haproxy.put_in(),
        &|_| {},
    );
}

/// Target groups that one API answers for, over TLS.
fn target_groups(number: usize) {
    let folder = memory_folder();
    let fake = Elbv2::start_tls();
    let roots = system_and(fake.authority().expect("it speaks https"), folder.path());
    let groups: Vec<String> = (0..number)
        .map(|group| {
            fake.add(TargetGroup {
                drains_for: Duration::ZERO,
                ..TargetGroup::new(&format!("web{group}"))
            })
        })
        .collect();
    let text = format!(
        "[[load_balancer]]\nprovider = \"aws-elbv2\"\ntarget_id = \"{INSTANCE_ID}\"\nendpoint_url = \"{}\"\n\
         target_groups = {groups:?}\n",
        fake.url()
    );
    measure(
        "ELBv2, target groups, https",
        number,
        &folder.path().join("many.toml"),
        &text,
        &|| {
            for group in &groups {
                fake.register(group, INSTANCE_ID, 8080, None, "healthy");
            }
        },
        &|command| {
            command
                .env("AWS_ACCESS_KEY_ID", "AKIAFAKE")
                .env("AWS_SECRET_ACCESS_KEY", "fake-secret")
                .env("AWS_EC2_METADATA_DISABLED", "true")
                .env("AWS_CA_BUNDLE", &roots);
        },
    );
}

/// Endpoints of one server, each in a section of its own.
fn endpoints(number: usize, secure: bool) {
    let folder = memory_folder();
    let authority = Authority::new();
    let roots = system_and(&authority.pem(), folder.path());
    let answer = |_: &_| Reply::new(200, "");
    let fake = if secure {
        Fake::start_tls(authority.certify(&["127.0.0.1"]).server(None), answer)
    } else {
        Fake::start(answer)
    };
    let url = fake.url();
    let text = (0..number).fold(String::new(), |mut text, endpoint| {
        let section =
            "[[load_balancer]]\nprovider = \"http\"\n[load_balancer.deregister]\nmethod = \"POST\"\n";
        writeln!(text, "{section}url = \"{url}/{endpoint}\"").expect("a string takes all");
        text
    });
    let title = if secure {
        "endpoints, https, the system's authorities"
    } else {
        "endpoints, plain http"
    };
    measure(
        title,
        number,
        &folder.path().join("many.toml"),
        &text,
        &|| (),
        &|command| {
            command.env("SSL_CERT_FILE", &roots);
        },
    );
}

/// Runs `lb-drain` with this configuration, which goes to `file`, each time after `put_in`.
fn measure(
    title: &str,
    number: usize,
    file: &Path,
    configuration: &str,
    put_in: &dyn Fn(),
    surround: &dyn Fn(&mut Command),
) {
    fs::write(file, configuration).expect("written");
    let record = memory_folder();
    let side = Side::new(title, || {
        let mut command = deregister(record.path());
        command
            .args(["--no-wait", "--budget", "30s", "--config"])
            .arg(file);
        surround(&mut command);
        command
    });
    let Medians {
        wall,
        processor,
        memory,
    } = in_turn(RUNS, put_in, &[side])[0];
    println!(
        "{title:<44} {number:>6} {:>7.2} ms {:>9.2} ms {memory:>8.1} MiB",
        wall * 1e3,
        processor * 1e3
    );
}
