//! `/proc/net/tcp` and `tcp6`: every TCP socket of a network namespace, with its state and queues and little more
//! (`Documentation/networking/proc_net_tcp.rst`).

use std::fs::File;
use std::io::{self, BufRead, BufReader};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::Path;
use std::time::{Duration, Instant};

use super::connection::{Socket, State};

/// So many lines are read in about a millisecond. But when a socket is opened or closed at the wrong moment, the
/// kernel loses its place in the table and begins at its top again for every few lines from there on, which with
/// many sockets takes seconds (seen on Linux 6.18). Then it is better to begin anew.
const STRETCH: u32 = 256;

/// How long that many lines may take.
const STRETCH_WITHIN: Duration = Duration::from_millis(30);

/// One line of the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Row {
    pub(super) socket: Socket,
    /// Whether the kernel answers requests with data fast enough to put its acknowledgements on it.
    pub(super) ping_pong: bool,
}

/// Hands every socket in a state that matters to `each`. `net` is the `net` folder of a process, in its namespace.
///
/// # Errors
///
/// Where the table is not there or not in its format, and `TimedOut` where the kernel has begun to stall: what
/// was handed over until then is right, the rest is missing.
pub(super) fn read(net: &Path, each: &mut dyn FnMut(Row)) -> io::Result<()> {
    read_table(&net.join("tcp"), each)?;
    match read_table(&net.join("tcp6"), each) {
        // A kernel without IPv6.
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}

fn read_table(path: &Path, each: &mut dyn FnMut(Row)) -> io::Result<()> {
    let mut table = BufReader::with_capacity(64 * 1024, File::open(path)?);
    let mut line = String::new();
    table.read_line(&mut line)?; // the heading
    let mut begun = Instant::now();
    for number in 1_u32.. {
        line.clear();
        if table.read_line(&mut line)? == 0 {
            break;
        }
        let row = row(&line).ok_or_else(|| {
            let message = format!("{}: not a line of this table: {:?}", path.display(), line.trim());
            io::Error::new(io::ErrorKind::InvalidData, message)
        })?;
        row.map(&mut *each);
        if number.is_multiple_of(STRETCH) {
            if begun.elapsed() > STRETCH_WITHIN {
                let message = format!("{}: the table changes faster than it can be read", path.display());
                return Err(io::Error::new(io::ErrorKind::TimedOut, message));
            }
            begun = Instant::now();
        }
    }
    Ok(())
}

/// Reads a line: `sl local_address rem_address st tx_queue:rx_queue tr:tm->when retrnsmt uid timeout inode`, then
/// for most states `ref pointer rto ato quick<<1|pingpong …`. `Some(None)` for a state that does not matter.
fn row(line: &str) -> Option<Option<Row>> {
    let mut fields = line.split_ascii_whitespace().skip(1);
    let local = address(fields.next()?)?;
    let peer = address(fields.next()?)?;
    let Some(state) = State::from_kernel(u8::from_str_radix(fields.next()?, 16).ok()?) else {
        return Some(None);
    };
    let (send_queue, receive_queue) = fields.next()?.split_once(':')?;
    let inode = fields.nth(4)?.parse().ok()?;
    let ping_pong = fields.nth(4).and_then(|field| field.parse::<u32>().ok());
    let socket = Socket {
        state,
        local_port: local.port(),
        peer,
        receive_queue: u32::from_str_radix(receive_queue, 16).ok()?,
        send_queue: u32::from_str_radix(send_queue, 16).ok()?,
        inode,
        cookie: 0,
        tcp: None,
    };
    Some(Some(Row {
        socket,
        ping_pong: ping_pong.is_some_and(|field| field & 1 == 1),
    }))
}

/// Reads `0100007F:1F90`: the address in words of the host's byte order, the port as a number.
fn address(field: &str) -> Option<SocketAddr> {
    let (address, port) = field.split_once(':')?;
    let word = |at: usize| {
        let digits = address.get(at * 8..at * 8 + 8)?;
        u32::from_str_radix(digits, 16).ok().map(u32::to_ne_bytes)
    };
    let address = match address.len() {
        8 => IpAddr::from(Ipv4Addr::from(word(0)?)),
        32 => {
            let bytes = [word(0)?, word(1)?, word(2)?, word(3)?].concat();
            IpAddr::from(Ipv6Addr::from(<[u8; 16]>::try_from(bytes).ok()?))
        }
        _ => return None,
    };
    Some(SocketAddr::new(
        address.to_canonical(),
        u16::from_str_radix(port, 16).ok()?,
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn socket(line: &str) -> Socket {
        row(line)
            .expect("a well-formed line")
            .expect("a state that matters")
            .socket
    }

    #[test]
    fn an_established_connection_is_read() {
        let line = "   1: 0100007F:1F90 0100007F:C350 01 0000000A:00000014 00:00000000 00000000  1000        0 \
                    106762 1 0000000000000000 20 4 33 10 -1";
        let read = row(line).expect("well-formed").expect("established");
        assert_eq!(read.socket.state, State::Established);
        assert_eq!(read.socket.local_port, 8080);
        assert_eq!(read.socket.peer, "127.0.0.1:50000".parse().expect("an address"));
        assert_eq!((read.socket.send_queue, read.socket.receive_queue), (10, 20));
        assert_eq!(read.socket.inode, 106_762);
        assert!(read.ping_pong);
    }

    #[test]
    fn a_socket_out_of_ping_pong_mode_is_told_from_one_in_it() {
        let line = "   1: 0100007F:1F90 0100007F:C350 01 00000000:00000000 00:00000000 00000000  1000        0 \
                    106762 1 0000000000000000 20 4 32 10 -1";
        assert!(!row(line).expect("well-formed").expect("established").ping_pong);
    }

    #[test]
    fn an_ipv4_peer_of_an_ipv6_listener_is_an_ipv4_peer() {
        let line = "   0: 0000000000000000FFFF00000100007F:8235 0000000000000000FFFF00000100007F:CB20 08 \
                    00000000:00000001 00:00000000 00000000     0        0 131399 1 0000000000000000 20 4 0 10 -1";
        assert_eq!(socket(line).peer, "127.0.0.1:52000".parse().expect("an address"));
        assert_eq!(socket(line).state, State::CloseWait);
    }

    #[test]
    fn a_handshake_has_fewer_columns() {
        let line =
            "   2: 0100007F:1F90 0100007F:C351 03 00000000:00000000 01:00000064 00000000  1000        0 0";
        assert_eq!(socket(line).state, State::SynRecv);
    }

    #[test]
    fn a_state_that_does_not_matter_is_passed_over() {
        let line = "   2: 0100007F:1F90 0100007F:C351 06 00000000:00000000 03:00000064 00000000  0 0 0 3 00";
        assert_eq!(row(line), Some(None));
    }

    #[test]
    fn what_is_no_line_of_the_table_is_refused() {
        for line in [
            "",
            "x",
            "0: 0100007F:1F90",
            "0: 0100007F:1F90 01:02 01 0:0 0 0 0 0 0",
            "0: é: é: 01 0:0 0 0",
        ] {
            assert_eq!(row(line), None, "{line:?}");
        }
    }

    #[test]
    fn the_tables_of_this_host_are_read() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
        let port = listener.local_addr().expect("bound").port();
        let mut found = 0;
        read(Path::new("/proc/self/net"), &mut |row| {
            found += u32::from(row.socket.local_port == port && row.socket.state == State::Listen);
        })
        .expect("a readable table");
        assert_eq!(found, 1);
    }
}
