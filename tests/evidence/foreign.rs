//! A service in a network namespace of its own, of which `/proc/PID/net/tcp` alone shows something.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::Read;
use std::net::{TcpListener, TcpStream};
use std::os::fd::AsFd;
use std::process::{Child, Command, Stdio};

use lb_drain::evidence::{Evidence, Precision, SocketEvidence};
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

/// A process in a namespace of its own.
struct Foreigner(Child);

impl Foreigner {
    fn start() -> Self {
        let mut process = Command::new("unshare")
            .args([
                "--net",
                "sh",
                "-euc",
                "ip link set lo up; echo ready; exec sleep infinity",
            ])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .expect("unshare starts");
        let mut ready = [0; 6];
        let mut stdout = process.stdout.take().expect("piped");
        stdout
            .read_exact(&mut ready)
            .expect("the namespace is made; this needs root");
        Self(process)
    }

    /// Does this in its namespace. Sockets made there stay there.
    fn inside<T: Send>(&self, work: impl FnOnce() -> T + Send) -> T {
        let namespace = File::open(format!("/proc/{}/ns/net", self.0.id())).expect("it runs");
        std::thread::scope(|scope| {
            let inside = scope.spawn(|| {
                move_into_link_name_space(namespace.as_fd(), Some(LinkNameSpaceType::Network))
                    .expect("root may");
                work()
            });
            inside.join().expect("no panic in there")
        })
    }
}

impl Drop for Foreigner {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn connections_of_another_namespace_are_counted_and_an_idle_one_is_in_flight() {
    let service = Foreigner::start();
    let mut evidence = SocketEvidence::new(Some(service.0.id())).expect("procfs");
    let Precision::Connections { because } = evidence.precision() else {
        panic!("requests of another namespace cannot be seen");
    };
    assert!(because.contains("a network namespace of its own"), "{because}");
    let listener = service.inside(|| TcpListener::bind("[::]:0").expect("a free port"));
    let port = listener.local_addr().expect("bound").port();
    let ports = BTreeSet::from([port]);
    let mut look = || evidence.look(&ports).expect("a look")[&port];
    assert!(look().listening);
    assert_eq!(look().in_flight, 0);

    let clients = service.inside(|| {
        ["127.0.0.1", "::1"].map(|address| TcpStream::connect((address, port)).expect("connects"))
    });
    assert_eq!(look().in_flight, 2, "in the backlog");
    let servers = [(); 2].map(|()| listener.accept().expect("accepts").0);
    assert_eq!(look().in_flight, 2, "idle, which this source cannot tell");
    // Our own namespace has none of that.
    let ours = SocketEvidence::new(None)
        .expect("sock_diag")
        .look(&ports)
        .expect("a look")[&port];
    assert_eq!((ours.in_flight, ours.listening), (0, false));
    drop((clients, servers));
    assert_eq!(look().in_flight, 0, "closed");
}
