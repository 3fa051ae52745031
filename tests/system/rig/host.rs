//! A machine as an operator leaves it: `lb-drain` and its units installed, a HAProxy in front.

use std::fs;
use std::sync::Arc;

use super::{Diary, Haproxy, Machine, Network, Setup, binary};

const UNITS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/systemd");

/// It has `lb-drain` in `/usr/local/bin` and `lb-drain@.service`; HAProxy is outside, in the same network.
pub(crate) struct Host {
    pub(crate) haproxy: Arc<Haproxy>,
    pub(crate) machine: Machine,
    pub(crate) network: Network,
}

impl Host {
    pub(crate) fn new() -> Self {
        Self::behind(Setup::default())
    }

    pub(crate) fn behind(setup: Setup<'_>) -> Self {
        let network = Network::new();
        let machine = Machine::boot(&network);
        let haproxy = Arc::new(Haproxy::start(&network, &machine.share().join("edge"), setup));
        let host = Self {
            haproxy,
            machine,
            network,
        };
        let program = host.machine.share().join("bin/lb-drain");
        assert!(program.exists(), "{} is in the machine", binary().display());
        host.machine
            .run("install", &["/share/bin/lb-drain", "/usr/local/bin/lb-drain"]);
        let template = fs::read_to_string(format!("{UNITS}/lb-drain@.service")).expect("it is in the tree");
        host.machine
            .write("/etc/systemd/system/lb-drain@.service", &template);
        host.machine.systemctl_ok(&["daemon-reload"]);
        host
    }

    /// The configuration of one of HAProxy's servers, app1 or app2, as its companion reads it.
    pub(crate) fn configure(&self, name: &str) {
        self.configure_with(name, "");
    }

    /// The same with these keys of the load balancer on top.
    pub(crate) fn configure_with(&self, name: &str, keys: &str) {
        let port = address(name).rsplit_once(':').expect("a port").1.to_owned();
        let text = format!(
            "ports = [{port}]\n\n[[load_balancer]]\nname = \"edge\"\nprovider = \"haproxy\"\n\
             sockets = [\"/share/edge/admin.sock\"]\nservers = [\"web/{name}\"]\n{keys}\n"
        );
        self.machine.write(&format!("/etc/lb-drain/{name}.toml"), &text);
    }

    /// Starts app1 or app2 with these lines in its unit and a companion beside it.
    pub(crate) fn start_with_companion(&self, name: &str, lines: &str) {
        self.configure(name);
        let unit = format!("{name}.service");
        self.machine
            .install_unit(&unit, &super::unit(name, &address(name), lines));
        self.machine.systemctl_ok(&[
            "enable",
            "--quiet",
            &format!("lb-drain@{unit}").replace(".service", ""),
        ]);
        self.machine.systemctl_ok(&["start", &unit]);
        super::eventually("the companion is active", || {
            self.machine.standing(&format!("lb-drain@{unit}")) == "active (exited) success"
        });
    }

    /// What HAProxy sees of a server from now on.
    pub(crate) fn diary(&self, server: &'static str) -> Diary {
        Diary::of(&self.haproxy, server)
    }
}

/// Where HAProxy expects app1 and app2.
pub(crate) fn address(name: &str) -> String {
    let number = name.trim_start_matches("app");
    format!("127.0.0.1:808{number}")
}
