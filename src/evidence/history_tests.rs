use super::*;
use crate::evidence::connection::State;
use crate::evidence::tcp_info::TcpInfo;

fn socket(cookie: u64, segments_in: u32, segments_out: u32) -> Socket {
    Socket {
        state: State::Established,
        local_port: 8080,
        peer: "10.0.0.5:40000".parse().expect("an address"),
        receive_queue: 0,
        send_queue: 0,
        inode: 1,
        cookie,
        tcp: Some(TcpInfo {
            data_segs_in: segments_in,
            data_segs_out: segments_out,
            bytes_received: u64::from(segments_in) * 100,
            bytes_acked: u64::from(segments_out) * 100,
            last_data_recv: 5_000,
            last_data_sent: 4_000,
            ..TcpInfo::default()
        }),
    }
}

#[test]
fn what_did_not_change_between_two_looks_did_not_move() {
    let mut history = History::default();
    let start = Instant::now();
    for (millis, segments, moved) in [(0, 1, false), (20, 1, false), (40, 2, true), (60, 2, false)] {
        let now = start + Duration::from_millis(millis);
        history.begin(now);
        let seen = history
            .note(now, &socket(1, segments, segments))
            .expect("first time in this look");
        assert_eq!(seen.moved, moved, "at {millis} ms");
    }
}

#[test]
fn a_dump_that_repeats_a_socket_counts_it_once() {
    let mut history = History::default();
    let now = Instant::now();
    history.begin(now);
    assert!(history.note(now, &socket(1, 1, 1)).is_some());
    assert!(history.note(now, &socket(1, 1, 1)).is_none());
    assert!(history.note(now, &socket(2, 1, 1)).is_some());
}

#[test]
fn a_connection_that_one_dump_missed_keeps_its_history_and_a_closed_one_is_forgotten() {
    let mut history = History::default();
    let start = Instant::now();
    for cookie in [1, 2] {
        history.begin(start);
        history.note(start, &socket(cookie, 1, 1));
    }
    let later = start + KEEP - Duration::from_millis(1);
    history.begin(later);
    history.note(later, &socket(1, 1, 1));
    history.begin(start + KEEP);
    assert_eq!(history.connections.keys().collect::<Vec<_>>(), [&1]);
}

#[test]
fn a_handshake_has_no_history() {
    let mut history = History::default();
    let now = Instant::now();
    history.begin(now);
    let handshake = Socket {
        tcp: None,
        ..socket(0, 0, 0)
    };
    assert!(history.note(now, &handshake).is_some());
    assert!(
        history.note(now, &handshake).is_some(),
        "the next one with cookie 0"
    );
    assert!(history.connections.is_empty());
}
