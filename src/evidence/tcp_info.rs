//! The part of the kernel's `struct tcp_info` that tells a request from an answer.

/// `TCPI_OPT_SYN_DATA` (`linux/tcp.h`).
const SYN_DATA: u8 = 1 << 5;

/// The kernel's `struct tcp_info` up to `tcpi_data_segs_out`, which all kernels since 4.6 fill in.
const LENGTH: usize = 160;

/// Ages and counters of one connection. Counters start at zero with the connection and wrap; ages are in
/// milliseconds, larger is longer ago, and their grain is a kernel tick (4 ms at HZ=250).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct TcpInfo {
    /// Age of the last segment with data that we sent, a retransmission too.
    pub(super) last_data_sent: u32,
    /// Age of the last segment with data that we received.
    pub(super) last_data_recv: u32,
    /// Age of the last acknowledgement that we received, on data or alone.
    pub(super) last_ack_recv: u32,
    /// The largest window that the kernel offers the peer, in bytes.
    pub(super) rcv_ssthresh: u32,
    /// The window is offered in units of two to the power of this, in bytes.
    pub(super) rcv_wscale: u8,
    /// Bytes that the peer acknowledged.
    pub(super) bytes_acked: u64,
    /// Bytes received in order. The peer's FIN counts as one.
    pub(super) bytes_received: u64,
    /// Segments sent with data.
    pub(super) data_segs_out: u32,
    /// Segments received with data, duplicates too.
    pub(super) data_segs_in: u32,
    /// Whether the handshake carried data (TCP Fast Open).
    pub(super) data_in_handshake: bool,
    /// Segments sent without data: acknowledgements that no answer carried, and keep-alive probes.
    pub(super) bare_acks_out: u32,
}

impl TcpInfo {
    /// Reads a `struct tcp_info`. `None` if the kernel gave less than is needed.
    pub(super) fn parse(bytes: &[u8]) -> Option<Self> {
        if bytes.len() < LENGTH {
            return None;
        }
        let segs_out = u32_at(bytes, 136)?;
        let data_segs_out = u32_at(bytes, 156)?;
        Some(Self {
            last_data_sent: u32_at(bytes, 44)?,
            last_data_recv: u32_at(bytes, 52)?,
            last_ack_recv: u32_at(bytes, 56)?,
            rcv_ssthresh: u32_at(bytes, 64)?,
            // Two fields of four bits, and their order is the byte order's.
            rcv_wscale: if cfg!(target_endian = "little") {
                bytes[6] >> 4
            } else {
                bytes[6] & 0xf
            },
            data_in_handshake: bytes[5] & SYN_DATA != 0,
            bytes_acked: u64_at(bytes, 120)?,
            bytes_received: u64_at(bytes, 128)?,
            data_segs_out,
            data_segs_in: u32_at(bytes, 152)?,
            bare_acks_out: segs_out.wrapping_sub(data_segs_out),
        })
    }
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..at + 4)?.try_into().ok().map(u32::from_ne_bytes)
}

fn u64_at(bytes: &[u8], at: usize) -> Option<u64> {
    bytes.get(at..at + 8)?.try_into().ok().map(u64::from_ne_bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_field_is_read_where_the_kernel_writes_it() {
        let mut bytes = [0_u8; 280];
        for (at, value) in [
            (44, 1_u32),
            (52, 2),
            (56, 3),
            (64, 4),
            (136, 11),
            (152, 6),
            (156, 5),
        ] {
            bytes[at..at + 4].copy_from_slice(&value.to_ne_bytes());
        }
        for (at, value) in [(120, 7_u64), (128, 8)] {
            bytes[at..at + 8].copy_from_slice(&value.to_ne_bytes());
        }
        bytes[6] = if cfg!(target_endian = "little") {
            0x97
        } else {
            0x79
        };
        bytes[5] = 0x20;
        let expected = TcpInfo {
            last_data_sent: 1,
            last_data_recv: 2,
            last_ack_recv: 3,
            rcv_ssthresh: 4,
            rcv_wscale: 9,
            data_in_handshake: true,
            bytes_acked: 7,
            bytes_received: 8,
            data_segs_out: 5,
            data_segs_in: 6,
            bare_acks_out: 6,
        };
        assert_eq!(TcpInfo::parse(&bytes), Some(expected));
    }

    #[test]
    fn a_kernel_that_tells_too_little_is_not_believed() {
        assert_eq!(TcpInfo::parse(&[0; LENGTH - 1]), None);
        assert!(TcpInfo::parse(&[0; LENGTH]).is_some());
    }
}
