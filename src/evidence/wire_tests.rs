use super::*;

const SEQUENCE: u32 = 7;

fn message(kind: u16, flags: u16, sequence: u32, payload: &[u8]) -> Vec<u8> {
    let mut message = Vec::new();
    message.extend((MESSAGE_HEADER as u32 + payload.len() as u32).to_ne_bytes());
    message.extend(kind.to_ne_bytes());
    message.extend(flags.to_ne_bytes());
    message.extend(sequence.to_ne_bytes());
    message.extend([0; 4]);
    message.extend(payload);
    message.resize(aligned(message.len()), 0);
    message
}

/// A `struct inet_diag_msg` of an IPv4 client of a `[::]` listener on port 8080, with a whole `tcp_info` behind
/// another attribute.
fn mapped_client() -> Vec<u8> {
    let mut bytes = vec![0; SOCKET_HEADER];
    bytes[0] = 10;
    bytes[1] = State::Established as u8;
    bytes[4..6].copy_from_slice(&8080_u16.to_be_bytes());
    bytes[6..8].copy_from_slice(&40_000_u16.to_be_bytes());
    bytes[34..36].copy_from_slice(&[0xff, 0xff]);
    bytes[36..40].copy_from_slice(&[10, 0, 0, 5]);
    bytes[44..52].copy_from_slice(&99_u64.to_ne_bytes());
    bytes[56..60].copy_from_slice(&3_u32.to_ne_bytes());
    bytes[60..64].copy_from_slice(&4_u32.to_ne_bytes());
    bytes[68..72].copy_from_slice(&1234_u32.to_ne_bytes());
    attribute_of(&mut bytes, 8, &[1]); // INET_DIAG_SHUTDOWN, padded to four
    attribute_of(&mut bytes, INET_DIAG_INFO, &[0; 232]);
    bytes
}

fn attribute_of(bytes: &mut Vec<u8>, kind: u16, value: &[u8]) {
    bytes.extend((ATTRIBUTE_HEADER as u16 + value.len() as u16).to_ne_bytes());
    bytes.extend(kind.to_ne_bytes());
    bytes.extend(value);
    bytes.resize(aligned(bytes.len()), 0);
}

fn sockets(datagram: &[u8]) -> io::Result<(Progress, Vec<Socket>)> {
    let mut sockets = Vec::new();
    let progress = read(datagram, SEQUENCE, &mut |socket| sockets.push(socket))?;
    Ok((progress, sockets))
}

#[test]
fn a_socket_is_read_where_the_kernel_writes_it() {
    let datagram = message(TCPDIAG_GETSOCK, 2, SEQUENCE, &mapped_client());
    let (progress, sockets) = sockets(&datagram).expect("a good answer");
    assert_eq!(progress, Progress::More);
    let [socket] = sockets[..] else {
        panic!("one socket: {sockets:?}")
    };
    assert_eq!(socket.local_port, 8080);
    assert_eq!(socket.peer, "10.0.0.5:40000".parse().expect("an address"));
    assert_eq!((socket.cookie, socket.inode), (99, 1234));
    assert_eq!((socket.receive_queue, socket.send_queue), (3, 4));
    assert_eq!(socket.tcp, Some(TcpInfo::default()));
}

#[test]
fn a_dump_ends_with_done_and_what_follows_is_not_read() {
    let mut datagram = message(TCPDIAG_GETSOCK, 2, SEQUENCE, &mapped_client());
    datagram.extend(message(NLMSG_DONE, 2, SEQUENCE, &[0; 4]));
    datagram.extend([0xff; 20]);
    let (progress, sockets) = sockets(&datagram).expect("a good answer");
    assert_eq!((progress, sockets.len()), (Progress::Done, 1));
}

#[test]
fn the_answer_to_another_request_is_left_aside() {
    let mut datagram = message(NLMSG_ERROR, 0, SEQUENCE - 1, &(-1_i32).to_ne_bytes());
    datagram.extend(message(NLMSG_DONE, 2, SEQUENCE, &[0; 4]));
    assert!(matches!(sockets(&datagram), Ok((Progress::Done, found)) if found.is_empty()));
}

#[test]
fn a_refusal_is_the_kernels_error() {
    let datagram = message(NLMSG_ERROR, 0, SEQUENCE, &(-13_i32).to_ne_bytes());
    let error = sockets(&datagram).expect_err("a refusal");
    assert_eq!(error.kind(), io::ErrorKind::PermissionDenied);
}

#[test]
fn an_interrupted_dump_is_no_answer() {
    let datagram = message(SOCK_DIAG_BY_FAMILY, NLM_F_DUMP_INTR, SEQUENCE, &mapped_client());
    let error = sockets(&datagram).expect_err("inconsistent");
    assert_eq!(error.kind(), io::ErrorKind::Interrupted);
}

#[test]
fn an_answer_cut_off_anywhere_is_an_error_and_never_a_panic() {
    let whole = message(TCPDIAG_GETSOCK, 2, SEQUENCE, &mapped_client());
    for end in 1..whole.len() {
        assert!(sockets(&whole[..end]).is_err(), "the first {end} bytes");
    }
}

#[test]
fn lengths_that_lie_are_errors() {
    let good = message(TCPDIAG_GETSOCK, 2, SEQUENCE, &mapped_client());
    for length in [0_u32, 1, 15, good.len() as u32 + 1, u32::MAX] {
        let mut bad = good.clone();
        bad[..4].copy_from_slice(&length.to_ne_bytes());
        assert!(sockets(&bad).is_err(), "a message of {length} bytes");
    }
    let attribute = MESSAGE_HEADER + SOCKET_HEADER;
    for length in [0_u16, 3, u16::MAX] {
        let mut bad = good.clone();
        bad[attribute..attribute + 2].copy_from_slice(&length.to_ne_bytes());
        assert!(sockets(&bad).is_err(), "an attribute of {length} bytes");
    }
}

#[test]
fn the_request_names_states_and_ports() {
    let request = request(&[State::Established, State::Listen], &[80, 8080], SEQUENCE);
    assert_eq!(u32_at(&request, 0).ok(), Some(request.len() as u32));
    assert_eq!(u32_at(&request, 8).ok(), Some(SEQUENCE));
    assert_eq!(u32_at(&request, 68).ok(), Some(1 << 1 | 1 << 10));
    // The jumps of the filter: the first port accepts by a jump over the second, the last falls off the end.
    assert_eq!(filter(&[80, 8080]).len(), 20 + 16);
    assert_eq!(filter(&[80]).len(), 16);
}
