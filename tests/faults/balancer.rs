//! One load balancer of a run: a fake with the gate in front of it, its section of the configuration, and the truth.

use std::future::pending;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU16, Ordering};
use std::sync::{Arc, LazyLock};
use std::thread;

use lb_drain_test_support::certificates::{Authority, Certified};
use lb_drain_test_support::elbv2::{Elbv2, Fault as ApiFault, TargetGroup};
use lb_drain_test_support::gate::{Gate, Place};
use lb_drain_test_support::haproxy::{Dialect, Haproxy, Server};
use lb_drain_test_support::http::{Fake, Reply};
use tokio::runtime::Handle;

use crate::fault::{Fault, Kind};
use crate::names::{HANGS, NOWHERE};
use crate::rig::Network;

const TARGET: &str = "i-0123456789abcdef0";
const PORT: u16 = 8080;
/// Packets to it are dropped.
pub(crate) const BLACK_HOLE: &str = "127.0.0.9";
/// One in ten packets from and to it is dropped.
pub(crate) const LOSSY: &str = "127.0.0.10";

/// The fakes of HAProxy are tasks: here they run.
static RUNTIME: LazyLock<Handle> = LazyLock::new(|| {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime");
    let handle = runtime.handle().clone();
    thread::spawn(move || runtime.block_on(pending::<()>()));
    handle
});
static AUTHORITY: LazyLock<Authority> = LazyLock::new(Authority::new);

/// Of an HTTP endpoint: whether this host is out, and whether there is a request in flight.
struct Standing {
    out: AtomicBool,
    busy: AtomicBool,
}

/// It ends when it is dropped: first the gate, then what is behind.
pub(crate) struct Balancer {
    gate: Gate,
    /// The port that the gate listens on; none with a unix socket.
    pub(crate) port: Option<u16>,
    behind: Behind,
    /// Its section of the configuration.
    pub(crate) section: String,
}

enum Behind {
    Haproxy(Haproxy),
    Elbv2(Elbv2, String),
    Http { _server: Fake, standing: Arc<Standing> },
}

impl Balancer {
    /// Starts one of this kind with this fault, named `name`, in this network.
    pub(crate) fn start(network: &Network, folder: &Path, name: &str, kind: Kind, fault: Fault) -> Self {
        network.inside(|| {
            let drains = matches!(fault, Fault::DiesMidDrain | Fault::Partition);
            let (behind, place) = match kind {
                Kind::HaproxyUnix | Kind::HaproxyTcp => haproxy(fault, drains),
                Kind::Elbv2 => elbv2(fault),
                Kind::Http | Kind::Https => http(fault, drains),
            };
            let tls = (kind == Kind::Https).then(|| certificate(fault).server(None));
            let at = match kind {
                Kind::HaproxyUnix => Place::Unix(folder.join(format!("{name}.sock"))),
                // From wherever it is reached.
                _ if fault == Fault::Lossy => Place::Tcp((Ipv4Addr::UNSPECIFIED, free_port()).into()),
                _ => Place::Tcp((Ipv4Addr::LOCALHOST, free_port()).into()),
            };
            let port = match &at {
                Place::Tcp(at) => Some(at.port()),
                Place::Unix(_) => None,
            };
            let gate = Gate::open(at.clone(), tls, place, fault.at_first(kind));
            let address = match (&at, fault) {
                (Place::Unix(path), _) => path.display().to_string(),
                (Place::Tcp(at), Fault::Dropped) => format!("{BLACK_HOLE}:{}", at.port()),
                (Place::Tcp(at), Fault::Lossy) => format!("{LOSSY}:{}", at.port()),
                (Place::Tcp(at), Fault::NoSuchName) => format!("{NOWHERE}:{}", at.port()),
                (Place::Tcp(at), Fault::ResolverHangs) => format!("{HANGS}:{}", at.port()),
                (Place::Tcp(at), _) => at.to_string(),
            };
            let endpoint = match kind {
                Kind::HaproxyUnix => address,
                Kind::HaproxyTcp => format!("tcp://{address}"),
                Kind::Elbv2 | Kind::Http => format!("http://{address}"),
                Kind::Https => format!("https://{address}"),
            };
            let section = section(name, kind, &behind, &endpoint, folder, drains);
            Self {
                gate,
                port,
                behind,
                section,
            }
        })
    }

    pub(crate) fn gate(&self) -> &Gate {
        &self.gate
    }

    /// The truth: whether this host is out of rotation.
    pub(crate) fn is_out(&self) -> bool {
        match &self.behind {
            Behind::Haproxy(fake) => fake.model().servers[0].admin != 0,
            Behind::Elbv2(fake, arn) => fake.truth(arn, TARGET, PORT).as_deref() != Some("healthy"),
            Behind::Http { standing, .. } => standing.out.load(Ordering::SeqCst),
        }
    }

    /// From now on nothing is in flight.
    pub(crate) fn has_drained(&self) {
        match &self.behind {
            Behind::Haproxy(fake) => fake.model().servers[0].current = 0,
            Behind::Elbv2(..) => {}
            Behind::Http { standing, .. } => standing.busy.store(false, Ordering::SeqCst),
        }
    }
}

impl Drop for Behind {
    fn drop(&mut self) {
        // Where a server listens no more, a gate in front of it has nobody to wait for.
        if let Self::Haproxy(fake) = self {
            RUNTIME.block_on(fake.refuse());
        }
    }
}

/// Nobody else is in the network, and what connects gets its ports further up.
fn free_port() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(10_000);
    NEXT.fetch_add(1, Ordering::SeqCst)
}

fn certificate(fault: Fault) -> Certified {
    let names = ["127.0.0.1", BLACK_HOLE, LOSSY, NOWHERE, HANGS];
    match fault {
        Fault::WrongName => AUTHORITY.certify(&["elsewhere.test"]),
        Fault::Expired => AUTHORITY.certify_expired(&names),
        Fault::Stranger => Authority::new().certify(&names),
        _ => AUTHORITY.certify(&names),
    }
}

fn haproxy(fault: Fault, drains: bool) -> (Behind, Place) {
    let server = match fault {
        Fault::Status(404) => "web/other",
        _ => "web/app1",
    };
    let fake = RUNTIME.block_on(Haproxy::start(
        Dialect::Worker,
        vec![Server::new(server, "10.0.0.7:8080")],
    ));
    fake.model().servers[0].current = u64::from(drains);
    if fault == Fault::Status(403) {
        fake.model().level = "user";
    }
    let place = Place::Unix(fake.socket());
    (Behind::Haproxy(fake), place)
}

fn elbv2(fault: Fault) -> (Behind, Place) {
    let fake = Elbv2::start_on((Ipv4Addr::LOCALHOST, free_port()).into());
    let arn = fake.add(TargetGroup::new("web"));
    fake.register(&arn, TARGET, PORT, None, "healthy");
    if let Fault::Status(status) = fault {
        // What AWS sends with it; without a meaning in this API, something it would not send.
        let code = match status {
            401 => "IncompleteSignature",
            403 => "AccessDenied",
            404 => "TargetGroupNotFound",
            409 => "Conflict",
            429 => "Throttling",
            500 => "InternalFailure",
            _ => "ServiceUnavailable",
        };
        let code = code.to_owned();
        fake.fail("*", ApiFault::Refuse { status, code }, usize::MAX);
    }
    let address: SocketAddr = fake
        .url()
        .trim_start_matches("http://")
        .parse()
        .expect("an address");
    (Behind::Elbv2(fake, arn), Place::Tcp(address))
}

fn http(fault: Fault, drains: bool) -> (Behind, Place) {
    let standing = Arc::new(Standing {
        out: AtomicBool::new(false),
        busy: AtomicBool::new(drains),
    });
    let told = Arc::clone(&standing);
    let address = (Ipv4Addr::LOCALHOST, free_port()).into();
    let fake = Fake::on(address, None, move |asked| match (fault, asked.method.as_str()) {
        (Fault::Status(status), _) => Reply::new(status, "as the test wants it"),
        (_, "PUT") => {
            told.out.store(true, Ordering::SeqCst);
            Reply::new(200, "")
        }
        _ => Reply::json(
            200,
            &serde_json::json!({ "active": u8::from(told.busy.load(Ordering::SeqCst)) }),
        ),
    });
    let behind = Behind::Http {
        _server: fake,
        standing,
    };
    (behind, Place::Tcp(address))
}

fn section(name: &str, kind: Kind, behind: &Behind, endpoint: &str, folder: &Path, drains: bool) -> String {
    let provider = match kind {
        Kind::HaproxyUnix | Kind::HaproxyTcp => {
            format!("provider = \"haproxy\"\nsockets = [\"{endpoint}\"]\nservers = [\"web/app1\"]")
        }
        Kind::Elbv2 => {
            let Behind::Elbv2(_, arn) = behind else {
                unreachable!("made for this kind")
            };
            format!(
                "provider = \"aws-elbv2\"\ntarget_groups = [\"{arn}\"]\ntarget_id = \"{TARGET}\"\nendpoint_url = \"{endpoint}\""
            )
        }
        Kind::Http | Kind::Https => {
            let authority = folder.join("authority.pem");
            std::fs::write(&authority, AUTHORITY.pem()).expect("writes the authority");
            let trust = match kind {
                Kind::Https => format!("ca_file = \"{}\"\n", authority.display()),
                _ => String::new(),
            };
            format!(
                "provider = \"http\"\n{trust}deregister = {{ method = \"PUT\", url = \"{endpoint}/out\" }}\n\
                 drained = {{ url = \"{endpoint}/active\", pointer = \"/active\", value = 0 }}"
            )
        }
    };
    // Without a drain to watch, the wait is short: it is not what is tested.
    let wait = if drains { "" } else { "max_wait = \"200ms\"\n" };
    format!("[[load_balancer]]\nname = \"{name}\"\nmin_wait = \"0s\"\n{wait}{provider}\n\n")
}
