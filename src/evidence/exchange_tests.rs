//! Looks as the kernel showed them on loopback, reduced to what decides.

use super::*;

/// One look at a connection on which so many segments came and went.
fn look(segments_in: u32, segments_out: u32, last_data_recv: u32, last_data_sent: u32) -> TcpInfo {
    TcpInfo {
        data_segs_in: segments_in,
        data_segs_out: segments_out,
        bytes_received: u64::from(segments_in) * 100,
        bytes_acked: u64::from(segments_out) * 100,
        last_data_recv,
        last_data_sent,
        last_ack_recv: last_data_recv,
        rcv_ssthresh: 65_000,
        rcv_wscale: 7,
        bare_acks_out: 1,
        data_in_handshake: false,
    }
}

/// The modes of a socket, of a port with an ordinary listener.
fn modes(ping_pong: bool) -> Modes {
    Modes {
        ping_pong,
        from_birth: Some(false),
    }
}

fn born(tcp: &TcpInfo) -> Exchange {
    Exchange::BIRTH.after(State::Established, tcp)
}

#[test]
fn a_connection_without_data_is_untouched() {
    assert_eq!(born(&look(0, 0, 50, 50)).standing, Standing::Untouched);
}

#[test]
fn bytes_in_and_none_out_are_an_unanswered_request() {
    assert_eq!(born(&look(1, 0, 8, 40)).standing, Standing::Unanswered);
}

#[test]
fn the_younger_of_request_and_answer_came_last() {
    assert_eq!(born(&look(3, 3, 8, 40)).standing, Standing::Unanswered);
    assert_eq!(born(&look(3, 3, 40, 8)).standing, Standing::Answered);
}

#[test]
fn one_request_and_its_answer_between_two_looks_need_no_ages() {
    let before = born(&look(1, 1, 2_000, 1_900));
    let after = before.after(State::Established, &look(2, 2, 8, 8));
    assert_eq!(after.standing, Standing::Answered);
}

#[test]
fn a_request_alone_since_the_last_look_is_unanswered_whatever_the_ages_say() {
    let before = born(&look(1, 1, 40, 20));
    let after = before.after(State::Established, &look(2, 1, 4, 44));
    assert_eq!(after.standing, Standing::Unanswered);
    assert!(after.moved_since(&before));
}

#[test]
fn a_tie_is_open_until_the_kernel_would_have_acknowledged_a_request() {
    let tie = look(2, 2, 8, 8);
    let open = born(&tie);
    assert!(matches!(open.standing, Standing::Tie(_)));
    // An answer carried the acknowledgement: no bare one came.
    let later = TcpInfo {
        last_data_recv: SETTLED_MS,
        last_data_sent: SETTLED_MS,
        bare_acks_out: 0,
        ..tie
    };
    let begun = Exchange::BIRTH.after(
        State::Established,
        &TcpInfo {
            bare_acks_out: 0,
            ..tie
        },
    );
    assert_eq!(
        begun.after(State::Established, &later).standing,
        Standing::Answered
    );
    // A bare acknowledgement came: that leaves it open, for the ping-pong mode to decide.
    let bare = TcpInfo {
        bare_acks_out: 1,
        ..later
    };
    let still = begun.after(State::Established, &bare);
    assert!(matches!(still.standing, Standing::Tie(_)));
    assert!(still.needs_mode(State::Established, &bare));
}

#[test]
fn the_mode_decides_a_tie() {
    for (ping_pong, standing) in [(true, Standing::Answered), (false, Standing::Unanswered)] {
        let tie = look(2, 2, 8, 8);
        let mut exchange = born(&tie);
        exchange.decide_by_mode(State::Established, &tie, modes(ping_pong));
        assert_eq!(exchange.standing, standing);
    }
}

#[test]
fn at_a_first_look_a_long_conversation_is_answered_where_only_its_first_segment_was_acknowledged_bare() {
    let settled = look(9, 9, SETTLED_MS, SETTLED_MS);
    let decided = |tcp: &TcpInfo, modes: Modes| {
        let mut exchange = born(tcp);
        assert!(matches!(exchange.standing, Standing::Tie(_)), "{exchange:?}");
        let needs = exchange.needs_mode(State::Established, tcp);
        exchange.decide_by_mode(State::Established, tcp, modes);
        (needs, exchange.standing == Standing::Answered)
    };
    assert_eq!(decided(&settled, modes(true)), (true, true));
    assert_eq!(decided(&settled, modes(false)), (true, false), "a contradiction");
    let another = TcpInfo {
        bare_acks_out: 2,
        ..settled
    };
    assert_eq!(
        decided(&another, modes(true)),
        (false, false),
        "perhaps for a request"
    );
    let early = TcpInfo {
        data_in_handshake: true,
        ..settled
    };
    assert_eq!(
        decided(&early, modes(true)),
        (false, false),
        "the handshake acknowledged the first"
    );
    for from_birth in [Some(true), None] {
        let quiet_from_birth = Modes {
            ping_pong: true,
            from_birth,
        };
        assert_eq!(
            decided(&settled, quiet_from_birth),
            (true, false),
            "the first may have been acknowledged by an answer"
        );
    }
    // What was seen before it began is another matter: its one bare acknowledgement may be of any segment.
    let before = born(&TcpInfo {
        bare_acks_out: 0,
        ..look(3, 3, 500, 400)
    });
    let after = before.after(State::Established, &settled);
    assert!(matches!(after.standing, Standing::Tie(_)));
    assert!(!after.needs_mode(State::Established, &settled));
}

#[test]
fn the_peers_fin_is_no_request() {
    let answered = born(&look(1, 1, 40, 8));
    let closing = TcpInfo {
        bytes_received: 101,
        ..look(1, 1, 40, 8)
    };
    let after = answered.after(State::CloseWait, &closing);
    assert_eq!(after.standing, Standing::Answered);
    assert!(!after.moved_since(&answered));
}

#[test]
fn counters_that_wrap_go_on() {
    let before = born(&look(u32::MAX, u32::MAX, 2_000, 1_900));
    let wrapped = TcpInfo {
        bytes_received: before.received + 100,
        data_segs_in: 0,
        data_segs_out: 0,
        ..look(0, 0, 8, 8)
    };
    let after = before.after(State::Established, &wrapped);
    assert_eq!(after.came(&after), 0);
    assert_eq!(before.came(&after), 1);
    assert_eq!(after.standing, Standing::Answered);
}
