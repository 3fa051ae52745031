//! The service under test, as a unit of a machine or as a process beside one.

use std::env;
use std::path::PathBuf;
use std::process::{Child, Command};

use super::{Network, eventually};

/// `slow-service` of the test support package, built when it is missing or old.
pub(crate) fn slow_service() -> PathBuf {
    // target/debug/deps/system-… is this program.
    let this = env::current_exe().expect("this program has a path");
    let target = this
        .ancestors()
        .nth(3)
        .expect("cargo built this program in target/PROFILE/deps");
    let mut build = Command::new(env!("CARGO"));
    // What cargo tells this program of its package would look like a change to build scripts (that of `ring`
    // watches it), and everything behind them would be built anew, here and again outside.
    for (name, _) in env::vars_os() {
        let name = name.to_string_lossy();
        if name.starts_with("CARGO_PKG_") || name.starts_with("CARGO_MANIFEST_") {
            build.env_remove(&*name);
        }
    }
    let built = build
        .args([
            "build",
            "--quiet",
            "--package",
            "lb-drain-test-support",
            "--bin",
            "slow-service",
        ])
        .arg("--target-dir")
        .arg(target)
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .status()
        .expect("cargo starts");
    assert!(built.success(), "cargo builds slow-service");
    target.join("debug/slow-service")
}

/// A unit file for the service under test in a machine, with these further lines in `[Service]`.
pub(crate) fn unit(name: &str, address: &str, lines: &str) -> String {
    format!(
        "[Service]\n\
         Type=notify\n\
         ExecStart=/share/bin/slow-service {address} {name}\n\
         {lines}\n"
    )
}

/// The service under test as a process in a network, without systemd.
pub(crate) struct App {
    process: Child,
}

impl App {
    pub(crate) fn start(network: &Network, name: &str, address: &str) -> Self {
        let process = network
            .command(slow_service())
            .args([address, name])
            .spawn()
            .expect("slow-service starts");
        let app = Self { process };
        let listens = format!("sport = :{}", address.rsplit_once(':').expect("a port").1);
        eventually("slow-service listens", || {
            !network.run("ss", &["-Htln", &listens]).is_empty()
        });
        app
    }
}

impl Drop for App {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
