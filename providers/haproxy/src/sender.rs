//! Which process answers on a unix socket (`SO_PASSCRED` in unix(7)).

use std::io::IoSliceMut;
use std::os::fd::AsRawFd;

use nix::sys::socket::sockopt::PassCred;
use nix::sys::socket::{ControlMessageOwned, MsgFlags, UnixCredentials, recvmsg, setsockopt};
use tokio::io::Interest;
use tokio::net::UnixStream;

/// Has the kernel tell the sender of all that is sent from now on.
pub(crate) fn ask_for(stream: &UnixStream) {
    // Where it does not, the sender is not known.
    let _ = setsockopt(stream, PassCred, &true);
}

/// The process that sent what is read next, by its pid here, if it has one. Waits for it, and reads nothing.
pub(crate) async fn of_next(stream: &UnixStream) -> Option<u32> {
    let mut space = nix::cmsg_space!(UnixCredentials);
    let mut byte = [0];
    let peek = || {
        let mut into = [IoSliceMut::new(&mut byte)];
        let peeked = recvmsg::<()>(
            stream.as_raw_fd(),
            &mut into,
            Some(&mut space),
            MsgFlags::MSG_PEEK,
        )?;
        Ok(peeked.cmsgs()?.find_map(|message| match message {
            ControlMessageOwned::ScmCredentials(sender) => Some(sender.pid()),
            _ => None,
        }))
    };
    let told = stream.async_io(Interest::READABLE, peek).await.ok()?;
    // 0 is a process of a namespace further out, and the end, which nobody sends.
    told.and_then(|pid| u32::try_from(pid).ok())
        .filter(|&pid| pid > 0)
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    #[tokio::test]
    async fn the_sender_is_told_and_nothing_is_read() {
        let (mut stream, mut other) = UnixStream::pair().expect("a pair");
        ask_for(&stream);
        other.write_all(b"answer").await.expect("sent");
        drop(other);
        assert_eq!(of_next(&stream).await, Some(std::process::id()));
        let mut text = String::new();
        stream.read_to_string(&mut text).await.expect("read");
        assert_eq!(text, "answer");
    }

    #[tokio::test]
    async fn an_end_without_an_answer_has_no_sender() {
        let (stream, other) = UnixStream::pair().expect("a pair");
        ask_for(&stream);
        drop(other);
        assert_eq!(of_next(&stream).await, None);
    }
}
