//! A healthy load balancer beside a hundred that accept connections and never answer.

use std::fmt::Write;
use std::fs;
use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use crate::edge::Haproxy;
use crate::limits::Limits;
use crate::side::deregister;

const RUNS: usize = 41;
/// Half of them as HAProxy's runtime API, half as HTTP endpoints.
const SILENT: usize = 100;

/// Prints when the healthy one was left, alone and beside the others.
pub(crate) fn run(limits: &mut Limits) {
    let haproxy = Haproxy::start(1, "127.0.0.1:1");
    let healthy = format!(
        "[[load_balancer]]\nname = \"healthy\"\nprovider = \"haproxy\"\nsockets = [{:?}]\nservers = [\"web/app1\"]\n",
        haproxy.socket(0)
    );
    let listeners: Vec<TcpListener> = (0..SILENT)
        .map(|_| TcpListener::bind("127.0.0.1:0").expect("a free port"))
        .collect();
    let mut crowd = String::new();
    for (number, listener) in listeners.iter().enumerate() {
        let address = listener.local_addr().expect("bound");
        let keys = if number < SILENT / 2 {
            format!("provider = \"haproxy\"\nsockets = [\"tcp://{address}\"]\nservers = [\"web/app1\"]")
        } else {
            format!(
                "provider = \"http\"\n[load_balancer.deregister]\nmethod = \"POST\"\nurl = \"http://{address}/\""
            )
        };
        writeln!(crowd, "[[load_balancer]]\nname = \"silent{number}\"\n{keys}").expect("a string takes all");
    }
    let (alone, beside) = (
        haproxy.folder().join("alone.toml"),
        haproxy.folder().join("beside.toml"),
    );
    fs::write(&alone, &healthy).expect("written");
    fs::write(&beside, format!("{crowd}{healthy}")).expect("written");
    // In turn; the first of each is for caches.
    let mut times = [Vec::new(), Vec::new()];
    for round in 0..=RUNS {
        for (file, times) in [&alone, &beside].into_iter().zip(&mut times) {
            let time = until_out(&haproxy, file);
            if round > 0 {
                times.push(time);
            }
        }
    }
    let [alone, beside] = times.map(|mut times| {
        times.sort();
        times[RUNS / 2].as_secs_f64() * 1e3
    });
    let ratio = beside / alone;
    let word = limits.judge(
        "the healthy one beside silent ones, as a multiple of its time alone",
        ratio,
        2.0,
    );
    println!(
        "\nuntil the healthy load balancer is left, from the start of the process; medians of {RUNS}\n\
         alone {alone:.2} ms, beside {SILENT} silent ones {beside:.2} ms: {ratio:.2} x, at most 2.00 x: {word}"
    );
}

/// From the start of the process to its line that says so.
fn until_out(haproxy: &Haproxy, configuration: &Path) -> Duration {
    haproxy.put_in();
    let mut command = deregister(haproxy.folder());
    command
        .args(["--budget", "10s", "--config"])
        .arg(configuration)
        .stderr(Stdio::piped());
    let begun = Instant::now();
    let mut process = command.spawn().expect("it starts");
    let mut other = Vec::new();
    let out = BufReader::new(process.stderr.take().expect("piped"))
        .lines()
        .map_while(Result::ok)
        .any(|line| {
            let out = line.starts_with("healthy: ") && line.contains("out of rotation");
            other.push(line);
            out
        });
    let time = begun.elapsed();
    // The others keep it until the end of its budget.
    let _ = process.kill();
    let _ = process.wait();
    assert!(out, "it did not leave the healthy one: {other:#?}");
    time
}
