//! The service under test, as a unit of a machine or as a process beside one.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Child;
use std::time::SystemTime;

use super::{Network, eventually};

/// The reference service of `examples/`. Cargo builds it with all tests, but not with `--test system` alone.
pub(crate) fn service() -> PathBuf {
    // target/debug/deps/system-… is this program.
    let this = env::current_exe().expect("this program has a path");
    let built = this
        .ancestors()
        .nth(2)
        .expect("cargo built this program in target/PROFILE/deps")
        .join("examples/graceful-service");
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/graceful-service/main.rs");
    let age = |path: &Path| fs::metadata(path).and_then(|file| file.modified()).ok();
    assert!(
        age(&built) >= Some(age(&source).unwrap_or(SystemTime::UNIX_EPOCH)),
        "{} is missing or old; run: cargo build --example graceful-service",
        built.display()
    );
    built
}

/// A unit file for the service under test in a machine, with these further lines in `[Service]`.
///
/// It is stopped by a signal that it knows nothing of, and dies at once: requests in flight at that moment are
/// lost, which is what lets a test fail. `KillSignal=SIGTERM` lets it end as a good service does.
pub(crate) fn unit(name: &str, address: &str, lines: &str) -> String {
    format!(
        "[Service]\n\
         Type=notify\n\
         ExecStart=/share/bin/graceful-service {address} {name}\n\
         KillSignal=SIGINT\n\
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
            .command(service())
            .args([address, name])
            .spawn()
            .expect("graceful-service starts");
        let app = Self { process };
        let listens = format!("sport = :{}", address.rsplit_once(':').expect("a port").1);
        eventually("graceful-service listens", || {
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
