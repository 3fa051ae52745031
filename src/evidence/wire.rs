//! The wire format of sock_diag (`linux/netlink.h`, `linux/inet_diag.h`): what is asked of the kernel and what
//! it answers. All numbers are in the host's byte order, ports and addresses in the network's.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use super::connection::{Socket, State};
use super::tcp_info::TcpInfo;

/// The most ports that one request can name: its filter takes 20 bytes for each, and its length is a `u16`.
pub(super) const PORTS_PER_REQUEST: usize = 3_000;

/// The older of the two requests (`struct inet_diag_req`). It asks for both address families at once, where
/// `SOCK_DIAG_BY_FAMILY` walks the kernel's whole table for each: on a quiet host that is most of what a look costs.
const TCPDIAG_GETSOCK: u16 = 18;
/// The type of messages that the kernel sends by itself.
const SOCK_DIAG_BY_FAMILY: u16 = 20;
const NLM_F_REQUEST_DUMP: u16 = 0x301;
const NLM_F_DUMP_INTR: u16 = 0x10;
const NLMSG_NOOP: u16 = 1;
const NLMSG_ERROR: u16 = 2;
const NLMSG_DONE: u16 = 3;
const NLMSG_OVERRUN: u16 = 4;

const INET_DIAG_REQ_BYTECODE: u16 = 1;
const INET_DIAG_INFO: u16 = 2;
const BC_JMP: u8 = 1;
const BC_S_GE: u8 = 2;
const BC_S_LE: u8 = 3;

const MESSAGE_HEADER: usize = 16;
const ATTRIBUTE_HEADER: usize = 4;
/// `struct inet_diag_msg`
const SOCKET_HEADER: usize = 72;

/// What one datagram of a dump means for the dump.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Progress {
    /// There is more to come.
    More,
    /// That was all of it.
    Done,
}

/// The request for all sockets in one of these states, on one of these local ports.
pub(super) fn request(states: &[State], ports: &[u16], sequence: u32) -> Vec<u8> {
    let states = states.iter().fold(0_u32, |mask, &state| mask | 1 << state as u8);
    let filter = filter(ports);
    let mut message = vec![0; 4]; // its length, written last
    message.extend(TCPDIAG_GETSOCK.to_ne_bytes());
    message.extend(NLM_F_REQUEST_DUMP.to_ne_bytes());
    message.extend(sequence.to_ne_bytes());
    message.extend([0; 4]); // to the kernel
    message.extend([0, 0, 0, 1 << (INET_DIAG_INFO - 1)]); // of any family
    message.extend([0; 48]); // struct inet_diag_sockid: any
    message.extend(states.to_ne_bytes());
    message.extend([0; 4]); // of any table
    message.extend(((ATTRIBUTE_HEADER + filter.len()) as u16).to_ne_bytes());
    message.extend(INET_DIAG_REQ_BYTECODE.to_ne_bytes());
    message.extend(filter);
    let length = message.len() as u32;
    message[..4].copy_from_slice(&length.to_ne_bytes());
    message
}

/// The kernel's filter program for "the local port is one of these".
///
/// Each operation jumps `yes` or `no` bytes ahead; a jump to the end accepts, one to four bytes past it rejects.
/// S_GE and S_LE rather than S_EQ, which kernels before 5.11 do not have.
fn filter(ports: &[u16]) -> Vec<u8> {
    let mut program = Vec::with_capacity(ports.len() * 20);
    let mut operation = |code: u8, yes: u8, no: u16| {
        program.extend([code, yes]);
        program.extend(no.to_ne_bytes());
    };
    for (at, &port) in ports.iter().enumerate() {
        operation(BC_S_GE, 8, 20);
        operation(0, 0, port);
        operation(BC_S_LE, 8, 12);
        operation(0, 0, port);
        // To the end, over the 16 or 20 bytes of each port that follows. The last port needs no jump, and
        // without one its `no` points past the end.
        let following = ports.len() - at - 1;
        if following > 0 {
            operation(BC_JMP, 4, (20 * following) as u16);
        }
    }
    program
}

/// Reads one datagram of the answer and hands each socket in it to `each`.
///
/// # Errors
///
/// What the kernel answered instead of sockets, `Interrupted` for a dump that it says is inconsistent, and
/// `InvalidData` for bytes that are no such answer.
pub(super) fn read(datagram: &[u8], sequence: u32, each: &mut dyn FnMut(Socket)) -> io::Result<Progress> {
    let mut rest = datagram;
    while !rest.is_empty() {
        let length = usize::try_from(u32_at(rest, 0)?).unwrap_or(usize::MAX);
        let message = rest
            .get(..length)
            .filter(|message| message.len() >= MESSAGE_HEADER);
        let message = message.ok_or_else(|| malformed("a message with a wrong length"))?;
        rest = rest.get(aligned(length)..).unwrap_or_default();
        if u32_at(message, 8)? != sequence {
            continue;
        }
        if u16_at(message, 6)? & NLM_F_DUMP_INTR != 0 {
            return Err(io::Error::new(
                io::ErrorKind::Interrupted,
                "sock_diag: the dump was interrupted",
            ));
        }
        let payload = &message[MESSAGE_HEADER..];
        match u16_at(message, 4)? {
            NLMSG_NOOP => {}
            NLMSG_DONE => return status(payload).map(|()| Progress::Done),
            NLMSG_ERROR => {
                status(payload)?;
                return Err(malformed("an acknowledgement that nobody asked for"));
            }
            NLMSG_OVERRUN => return Err(malformed("lost data")),
            TCPDIAG_GETSOCK | SOCK_DIAG_BY_FAMILY => {
                if let Some(socket) = socket(payload)? {
                    each(socket);
                }
            }
            _ => return Err(malformed("a message of an unknown type")),
        }
    }
    Ok(Progress::More)
}

/// The status in a DONE or ERROR message: zero or a negative errno.
fn status(payload: &[u8]) -> io::Result<()> {
    match u32_at(payload, 0)?.cast_signed() {
        0.. => Ok(()),
        errno => Err(io::Error::from_raw_os_error(errno.saturating_neg())),
    }
}

/// Reads a `struct inet_diag_msg` and its attributes. `None` for a state that does not matter.
fn socket(payload: &[u8]) -> io::Result<Option<Socket>> {
    if payload.len() < SOCKET_HEADER {
        return Err(malformed("a socket that is cut off"));
    }
    let Some(state) = State::from_kernel(payload[1]) else {
        return Ok(None);
    };
    let peer = match payload[0] {
        2 => IpAddr::from(Ipv4Addr::from(array::<4>(payload, 24)?)),
        10 => IpAddr::from(Ipv6Addr::from(array::<16>(payload, 24)?)),
        _ => return Err(malformed("a socket of an unknown family")),
    };
    Ok(Some(Socket {
        state,
        local_port: u16::from_be_bytes(array(payload, 4)?),
        peer: SocketAddr::new(peer.to_canonical(), u16::from_be_bytes(array(payload, 6)?)),
        cookie: u64::from_ne_bytes(array(payload, 44)?),
        receive_queue: u32_at(payload, 56)?,
        send_queue: u32_at(payload, 60)?,
        inode: u32_at(payload, 68)?.into(),
        tcp: attribute(&payload[SOCKET_HEADER..], INET_DIAG_INFO)?.and_then(TcpInfo::parse),
    }))
}

/// The value of the attribute with this type, if it is there.
fn attribute(mut rest: &[u8], wanted: u16) -> io::Result<Option<&[u8]>> {
    while rest.len() >= ATTRIBUTE_HEADER {
        let length = usize::from(u16_at(rest, 0)?);
        let value = rest.get(ATTRIBUTE_HEADER..length);
        let value = value.ok_or_else(|| malformed("an attribute with a wrong length"))?;
        if u16_at(rest, 2)? == wanted {
            return Ok(Some(value));
        }
        rest = rest.get(aligned(length)..).unwrap_or_default();
    }
    Ok(None)
}

/// Messages and attributes begin at multiples of four.
fn aligned(length: usize) -> usize {
    length.saturating_add(3) & !3
}

fn u16_at(bytes: &[u8], at: usize) -> io::Result<u16> {
    array(bytes, at).map(u16::from_ne_bytes)
}

fn u32_at(bytes: &[u8], at: usize) -> io::Result<u32> {
    array(bytes, at).map(u32::from_ne_bytes)
}

fn array<const LENGTH: usize>(bytes: &[u8], at: usize) -> io::Result<[u8; LENGTH]> {
    let field = bytes.get(at..at + LENGTH).and_then(|field| field.try_into().ok());
    field.ok_or_else(|| malformed("a message that is cut off"))
}

fn malformed(what: &str) -> io::Error {
    io::Error::new(
        io::ErrorKind::InvalidData,
        format!("sock_diag answered with {what}"),
    )
}

#[cfg(test)]
#[path = "wire_tests.rs"]
mod tests;
