//! The dialogue with the kernel: a netlink socket, a request, datagrams until the dump is done. Needs no privilege.

use std::io;
use std::os::fd::OwnedFd;
use std::time::Duration;

use rustix::buffer::spare_capacity;
use rustix::io::Errno;
use rustix::net::netlink::SocketAddrNetlink;
use rustix::net::sockopt::{Timeout, set_socket_timeout};
use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, netlink};

use super::connection::{Socket, State};
use super::wire::{self, Progress};

/// The kernel fills datagrams of at most 32 KiB, and larger ones only if asked with a larger buffer.
const DATAGRAM: usize = 64 * 1024;

/// The kernel answers while we receive, so nothing is ever waited for. A look must not hang all the same.
const ANSWER_WITHIN: Duration = Duration::from_secs(2);

/// How often a dump is begun again that the kernel calls inconsistent.
const ATTEMPTS: u32 = 3;

/// The kernel's socket diagnostics, asked on one netlink socket as often as somebody looks.
#[derive(Debug)]
pub(super) struct SockDiag {
    /// Not there after a failure: what is left of an answer on its way would be in the way of the next.
    netlink: Option<OwnedFd>,
    sequence: u32,
    /// Memory that is not written is never touched: on most hosts the answer is short.
    buffer: Vec<u8>,
}

impl SockDiag {
    /// Asks the kernel a question that costs next to nothing.
    ///
    /// # Errors
    ///
    /// What forbids it: a sandbox, a seccomp filter, a kernel without it.
    pub(super) fn open() -> io::Result<Self> {
        let mut kernel = Self {
            netlink: None,
            sequence: 0,
            buffer: Vec::with_capacity(DATAGRAM),
        };
        // Of no state, so no table is gone through.
        kernel.dump(&[], &[0], &mut |_| {})?;
        Ok(kernel)
    }

    /// Hands every socket in one of these states on one of these local ports to `each`, both address families. A
    /// socket can come twice.
    ///
    /// # Errors
    ///
    /// Where the kernel refuses or its answer cannot be read.
    pub(super) fn dump(
        &mut self,
        states: &[State],
        ports: &[u16],
        each: &mut dyn FnMut(Socket),
    ) -> io::Result<()> {
        for ports in ports.chunks(wire::PORTS_PER_REQUEST) {
            let mut attempts = 0;
            loop {
                attempts += 1;
                self.sequence += 1;
                let request = wire::request(states, ports, self.sequence);
                match self.exchange(&request, each) {
                    Err(e) if e.kind() == io::ErrorKind::Interrupted && attempts < ATTEMPTS => {}
                    other => break other?,
                }
            }
        }
        Ok(())
    }

    /// One request and its whole answer.
    fn exchange(&mut self, request: &[u8], each: &mut dyn FnMut(Socket)) -> io::Result<()> {
        let netlink = match self.netlink.take() {
            Some(netlink) => netlink,
            None => connect()?,
        };
        rustix::net::send(&netlink, request, SendFlags::empty())?;
        loop {
            self.buffer.clear();
            let (received, length) =
                rustix::net::recv(&netlink, spare_capacity(&mut self.buffer), RecvFlags::TRUNC)?;
            let datagram = Some(self.buffer.as_slice()).filter(|_| received == length && length > 0);
            let datagram = datagram.ok_or_else(|| {
                io::Error::new(
                    io::ErrorKind::InvalidData,
                    format!("sock_diag: a datagram of {length} bytes"),
                )
            })?;
            if wire::read(datagram, self.sequence, each)? == Progress::Done {
                self.netlink = Some(netlink);
                return Ok(());
            }
        }
    }
}

fn connect() -> io::Result<OwnedFd> {
    let netlink = rustix::net::socket_with(
        AddressFamily::NETLINK,
        SocketType::RAW,
        SocketFlags::CLOEXEC,
        Some(netlink::SOCK_DIAG),
    )?;
    set_socket_timeout(&netlink, Timeout::Recv, Some(ANSWER_WITHIN))?;
    Ok(netlink)
}

/// Hears of the sockets that end between two dumps, with what the kernel knew of them. Needs no privilege.
#[derive(Debug)]
pub(super) struct Endings(OwnedFd);

/// `SKNLGRP_INET_TCP_DESTROY` and `SKNLGRP_INET6_TCP_DESTROY` (`linux/sock_diag.h`), as bits.
const ENDINGS: u32 = 1 << 0 | 1 << 2;

impl Endings {
    /// Hears of each socket that ends from now on.
    ///
    /// # Errors
    ///
    /// Where the kernel does not tell.
    pub(super) fn open() -> io::Result<Self> {
        let netlink = rustix::net::socket_with(
            AddressFamily::NETLINK,
            SocketType::RAW,
            SocketFlags::CLOEXEC | SocketFlags::NONBLOCK,
            Some(netlink::SOCK_DIAG),
        )?;
        rustix::net::bind(&netlink, &SocketAddrNetlink::new(0, ENDINGS))?;
        Ok(Self(netlink))
    }

    /// Hands each socket that has ended since the last call to `each`. What the kernel had no room to keep is
    /// lost.
    ///
    /// # Errors
    ///
    /// Where what the kernel tells cannot be read.
    pub(super) fn read(&self, each: &mut dyn FnMut(Socket)) -> io::Result<()> {
        let mut buffer = Vec::with_capacity(DATAGRAM);
        loop {
            buffer.clear();
            match rustix::net::recv(&self.0, spare_capacity(&mut buffer), RecvFlags::empty()) {
                Ok(_) => {
                    wire::read(&buffer, 0, each)?;
                }
                Err(Errno::AGAIN) => return Ok(()),
                Err(Errno::NOBUFS | Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::UdpSocket;

    use super::*;

    #[test]
    fn after_a_failure_it_is_asked_anew() {
        let mut kernel = SockDiag::open().expect("sock_diag");
        let nobody = UdpSocket::bind("127.0.0.1:0").expect("a socket");
        kernel.netlink = Some(nobody.into());
        kernel
            .dump(&State::ALL, &[1], &mut |_| {})
            .expect_err("not the kernel");
        kernel.dump(&State::ALL, &[1], &mut |_| {}).expect("the kernel");
    }
}
