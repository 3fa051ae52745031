//! The part of HTTP/1.1 that this demo speaks: messages whose body has a `content-length`, or none.

use std::io;

use tokio::io::{AsyncBufRead, AsyncBufReadExt, AsyncReadExt};

/// Longer heads are refused; ours have a few hundred bytes.
const LONGEST_HEAD: usize = 64 * 1024;

/// A request or a response, whole, as it goes over the wire.
pub(crate) struct Message {
    pub(crate) bytes: Vec<u8>,
    head: String,
}

impl Message {
    /// An answer; `headers` are whole lines.
    pub(crate) fn answer(status: &str, headers: &str, body: &str) -> Self {
        let length = body.len();
        Self::new(
            format!("HTTP/1.1 {status}\r\ncontent-length: {length}\r\n{headers}\r\n"),
            body,
        )
    }

    fn new(head: String, body: &str) -> Self {
        let bytes = [head.as_bytes(), body.as_bytes()].concat();
        Self { bytes, head }
    }

    /// The next message, or `None` where the peer closed between two messages.
    pub(crate) async fn read(from: &mut (impl AsyncBufRead + Unpin)) -> io::Result<Option<Self>> {
        let mut bytes = Vec::new();
        loop {
            let line_start = bytes.len();
            from.read_until(b'\n', &mut bytes).await?;
            match &bytes[line_start..] {
                [] if line_start == 0 => return Ok(None),
                b"\r\n" => break,
                [.., b'\n'] if bytes.len() <= LONGEST_HEAD => {}
                _ => return Err(io::ErrorKind::UnexpectedEof.into()),
            }
        }
        let head = String::from_utf8(bytes.clone()).map_err(io::Error::other)?;
        let mut message = Self { bytes, head };
        if message.header("transfer-encoding").is_some() {
            return Err(io::ErrorKind::Unsupported.into());
        }
        if let Some(length) = message.header("content-length") {
            let head = message.bytes.len();
            let length: usize = length.parse().map_err(io::Error::other)?;
            message.bytes.resize(head + length, 0);
            from.read_exact(&mut message.bytes[head..]).await?;
        }
        Ok(Some(message))
    }

    /// The second word of the first line and what follows: a request's target, or `200 OK`.
    pub(crate) fn subject(&self) -> &str {
        let line = self.head.lines().next().unwrap_or_default();
        line.split_once(' ').map_or("", |(_, rest)| rest)
    }

    /// A header's value.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.head
            .lines()
            .skip(1)
            .filter_map(|line| line.split_once(':'))
            .find(|(key, _)| key.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.trim())
    }

    /// Whether the sender closes the connection after this message.
    pub(crate) fn closes(&self) -> bool {
        self.header("connection")
            .is_some_and(|value| value.eq_ignore_ascii_case("close"))
    }
}
