//! One command line to a socket, and everything that comes back.

use std::io;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpStream, UnixStream};

use crate::endpoint::{Address, Endpoint};

/// The longest answer that is read, in bytes. Ten thousand servers, states and statistics together, are
/// 3 MB; what is longer is not a runtime API.
pub(crate) const LONGEST_ANSWER: usize = 16 << 20;

/// Room for an answer in bytes that need not grow for a backend of a dozen servers.
const USUAL_ANSWER: usize = 8 << 10;

/// Why there is no answer.
#[derive(Debug)]
pub(crate) enum Failure {
    /// Nobody could be spoken to.
    Connect(io::Error),
    /// The connection broke.
    Broken(io::Error),
    /// More than [`LONGEST_ANSWER`].
    Endless,
}

/// Sends `line`, which ends in `\n`, on a connection of its own, and reads all that comes back.
///
/// Our side is closed after the line: a worker closes after its answer anyway, while the master CLI keeps
/// the connection open unless it has seen the end of the input.
pub(crate) async fn exchange(endpoint: &Endpoint, line: &str) -> Result<String, Failure> {
    match endpoint.address() {
        Address::Unix(path) => talk(UnixStream::connect(path).await, line).await,
        Address::Ip(address) => talk(TcpStream::connect(address).await, line).await,
        Address::Name(name, port) => talk(TcpStream::connect((name.as_str(), *port)).await, line).await,
    }
}

async fn talk<S: AsyncRead + AsyncWrite + Unpin>(
    stream: io::Result<S>,
    line: &str,
) -> Result<String, Failure> {
    let mut stream = stream.map_err(Failure::Connect)?;
    stream.write_all(line.as_bytes()).await.map_err(Failure::Broken)?;
    // A peer that has closed already may refuse this; what it said is still there to be read.
    let _ = stream.shutdown().await;
    let mut answer = Vec::with_capacity(USUAL_ANSWER);
    let read = stream
        .take(LONGEST_ANSWER as u64 + 1)
        .read_to_end(&mut answer)
        .await
        .map_err(Failure::Broken)?;
    if read > LONGEST_ANSWER {
        return Err(Failure::Endless);
    }
    // A health check's text may hold any bytes; nothing we look for does.
    Ok(String::from_utf8(answer)
        .unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned()))
}
