//! What waits to be accepted, added up; and real listeners.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::time::Duration;

use super::*;

const PORT: u16 = 8080;

fn connection(verdict: Verdict, unaccepted: bool) -> Connection {
    Connection {
        local_port: PORT,
        peer: "10.0.0.5:40000".parse().expect("an address"),
        verdict,
        last_moved: None,
        unaccepted,
    }
}

/// In flight with so many connections in the backlog.
fn in_flight(connections: Vec<Connection>, backlog: u64) -> u64 {
    let survey = Survey {
        connections,
        backlog: BTreeMap::from([(PORT, backlog)]),
    };
    survey.traffic(&BTreeSet::from([PORT]))[&PORT].in_flight
}

#[test]
fn what_waits_to_be_accepted_counts_once() {
    let unread = Verdict::InFlight(Reason::Unread);
    let handshake = Verdict::InFlight(Reason::Handshake);
    assert_eq!(in_flight(vec![], 0), 0);
    // The listener counts it, and the connection is among the others: with a request, or with none yet.
    assert_eq!(in_flight(vec![connection(unread, true)], 1), 1);
    assert_eq!(in_flight(vec![connection(Verdict::Idle, true)], 1), 1);
    assert_eq!(
        in_flight(vec![connection(unread, true), connection(Verdict::Idle, true)], 2),
        2
    );
    // One that came between the dump of the listener and its own, and one that has been accepted.
    assert_eq!(
        in_flight(vec![connection(unread, true), connection(unread, true)], 1),
        2
    );
    assert_eq!(
        in_flight(vec![connection(unread, true), connection(unread, false)], 1),
        2
    );
    // What has not ended its handshake is not in the backlog yet.
    assert_eq!(
        in_flight(vec![connection(handshake, false), connection(unread, true)], 1),
        2
    );
}

#[test]
fn another_port_is_another_matter() {
    let elsewhere = Connection {
        local_port: PORT + 1,
        ..connection(Verdict::InFlight(Reason::Unread), false)
    };
    assert_eq!(in_flight(vec![elsewhere], 0), 0);
}

#[test]
fn what_has_settled_and_is_not_decided_is_told_from_what_may_still_be() {
    let tie = |age| Connection {
        last_moved: Some(Duration::from_millis(age)),
        ..connection(Verdict::InFlight(Reason::Undecided), false)
    };
    let unanswered = Connection {
        last_moved: Some(Duration::from_secs(9)),
        ..connection(Verdict::InFlight(Reason::Unanswered), false)
    };
    let survey = Survey {
        connections: vec![tie(300), tie(500), unanswered],
        backlog: BTreeMap::new(),
    };
    let seen = survey.traffic(&BTreeSet::from([PORT]))[&PORT];
    assert_eq!((seen.in_flight, seen.undecidable), (3, 1));
}

/// In flight on this port, once that is the number; else what it still is.
fn settles(evidence: &mut SocketEvidence, port: u16, expected: u64) -> u64 {
    let end = Instant::now() + Duration::from_secs(10);
    loop {
        let seen = evidence.look(&BTreeSet::from([port])).expect("a look")[&port];
        assert!(seen.listening);
        if seen.in_flight == expected || Instant::now() > end {
            return seen.in_flight;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn clients_of_both_families_are_seen_at_one_listener() {
    let listener = TcpListener::bind("[::]:0").expect("IPv6");
    let port = listener.local_addr().expect("bound").port();
    let mut evidence = SocketEvidence::new(None).expect("sock_diag");
    assert_eq!(settles(&mut evidence, port, 0), 0);
    let mut pairs = ["127.0.0.1", "::1"].map(|address| {
        let client = TcpStream::connect((address, port)).expect("connects");
        (client, listener.accept().expect("accepts").0)
    });
    assert_eq!(
        settles(&mut evidence, port, 0),
        0,
        "nobody has asked for anything"
    );
    for (asked, (client, _)) in pairs.iter_mut().enumerate() {
        client.write_all(b"request").expect("sends");
        let expected = asked as u64 + 1;
        assert_eq!(settles(&mut evidence, port, expected), expected);
    }
    std::thread::sleep(Duration::from_millis(50));
    for (client, server) in &mut pairs {
        server.read_exact(&mut [0; 7]).expect("arrives");
        server.write_all(b"answer").expect("answers");
        client.read_exact(&mut [0; 6]).expect("arrives");
    }
    assert_eq!(settles(&mut evidence, port, 0), 0, "answered, and kept open");
}

#[test]
fn what_nobody_accepts_is_in_flight_and_counts_once() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("bound");
    let mut evidence = SocketEvidence::new(None).expect("sock_diag");
    let mut clients: Vec<TcpStream> = (0..3)
        .map(|_| TcpStream::connect(address).expect("connects"))
        .collect();
    clients[0].write_all(b"request").expect("sends");
    assert_eq!(
        settles(&mut evidence, address.port(), 3),
        3,
        "one with a request, two that may have one"
    );
    drop(clients);
}
