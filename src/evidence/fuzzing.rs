//! The kernel's answer about its sockets.

use super::wire;

/// Reads bytes as one datagram of sock_diag, in answer to the request that its first message names.
pub fn sock_diag(bytes: &[u8]) {
    let sequence = bytes.get(8..12).and_then(|bytes| bytes.try_into().ok());
    let sequence = sequence.map_or(0, u32::from_ne_bytes);
    let mut sockets = 0;
    let _ = wire::read(bytes, sequence, &mut |_| sockets += 1);
    assert!(sockets <= bytes.len() / 72, "no socket is made of nothing");
}
