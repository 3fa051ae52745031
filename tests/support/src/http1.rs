//! Just enough blocking HTTP/1.1, with keep-alive, for a service under test and the clients that load it.
//!
//! Bodies have a `Content-Length` or end with the connection; chunked ones are an error.

use std::io::{self, BufRead, BufReader, Read, Write};

/// The first line of a request. Its headers are read and dropped.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// `GET`, for example.
    pub method: String,
    /// As sent: path and query.
    pub path: String,
}

/// A whole answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Response {
    /// `200`, for example.
    pub status: u16,
    /// All of it.
    pub body: Vec<u8>,
    /// Whether the connection can carry another request.
    pub keep_alive: bool,
}

/// A client on one connection.
#[derive(Debug)]
pub struct Connection<S: Read + Write> {
    stream: BufReader<S>,
}

impl<S: Read + Write> Connection<S> {
    /// A client on this stream, which should have a read time-out.
    pub fn new(stream: S) -> Self {
        Self {
            stream: BufReader::new(stream),
        }
    }

    /// Sends one GET and reads its whole answer. `headers` are whole lines without line ends.
    ///
    /// # Errors
    ///
    /// The connection broke or timed out before the end of the answer, or the answer is not HTTP/1.
    pub fn get(&mut self, path: &str, headers: &[String]) -> io::Result<Response> {
        let mut head = format!("GET {path} HTTP/1.1\r\nHost: test\r\n");
        for header in headers {
            head.push_str(header);
            head.push_str("\r\n");
        }
        head.push_str("\r\n");
        self.stream.get_mut().write_all(head.as_bytes())?;
        read_response(&mut self.stream)
    }
}

/// Reads one request; `None` where the client closed the connection between requests.
///
/// # Errors
///
/// The connection broke, or what came is not HTTP/1.
pub fn read_request(stream: &mut impl BufRead) -> io::Result<Option<Request>> {
    if stream.fill_buf()?.is_empty() {
        return Ok(None);
    }
    let first = read_line(stream)?;
    let head = Headers::read(stream)?;
    io::copy(
        &mut stream.take(head.content_length.unwrap_or(0)),
        &mut io::sink(),
    )?;
    let mut words = first.split(' ');
    match (words.next(), words.next(), words.next()) {
        (Some(method), Some(path), Some("HTTP/1.1" | "HTTP/1.0")) => Ok(Some(Request {
            method: method.to_owned(),
            path: path.to_owned(),
        })),
        _ => Err(malformed(&first)),
    }
}

/// Writes a whole answer in one go, so that it goes out as one segment if it is small.
///
/// # Errors
///
/// The connection broke.
pub fn write_response(stream: &mut impl Write, status: &str, body: &str) -> io::Result<()> {
    let length = body.len();
    let answer =
        format!("HTTP/1.1 {status}\r\nContent-Type: text/plain\r\nContent-Length: {length}\r\n\r\n{body}");
    stream.write_all(answer.as_bytes())
}

fn read_response(stream: &mut impl BufRead) -> io::Result<Response> {
    let first = read_line(stream)?;
    let (version, status) = match first.split_ascii_whitespace().collect::<Vec<_>>().as_slice() {
        [version @ ("HTTP/1.1" | "HTTP/1.0"), status, ..] => (*version, *status),
        _ => return Err(malformed(&first)),
    };
    let status = status.parse().map_err(|_| malformed(&first))?;
    let head = Headers::read(stream)?;
    let mut body = Vec::new();
    match head.content_length {
        Some(length) => {
            stream.take(length).read_to_end(&mut body)?;
            if body.len() as u64 != length {
                return Err(io::Error::new(
                    io::ErrorKind::UnexpectedEof,
                    "the body was cut short",
                ));
            }
        }
        None => {
            stream.read_to_end(&mut body)?;
        }
    }
    Ok(Response {
        status,
        body,
        keep_alive: version == "HTTP/1.1" && head.content_length.is_some() && !head.close,
    })
}

/// What matters of the headers of a message.
struct Headers {
    content_length: Option<u64>,
    close: bool,
}

impl Headers {
    fn read(stream: &mut impl BufRead) -> io::Result<Self> {
        let mut headers = Self {
            content_length: None,
            close: false,
        };
        loop {
            let line = read_line(stream)?;
            if line.is_empty() {
                return Ok(headers);
            }
            let (name, value) = line.split_once(':').ok_or_else(|| malformed(&line))?;
            let value = value.trim();
            match name.to_ascii_lowercase().as_str() {
                "content-length" => {
                    headers.content_length = Some(value.parse().map_err(|_| malformed(&line))?)
                }
                "connection" => headers.close = value.eq_ignore_ascii_case("close"),
                "transfer-encoding" => return Err(malformed(&line)),
                _ => {}
            }
        }
    }
}

fn read_line(stream: &mut impl BufRead) -> io::Result<String> {
    let mut line = String::new();
    stream.read_line(&mut line)?;
    match line.strip_suffix('\n') {
        Some(line) => Ok(line.trim_end_matches('\r').to_owned()),
        None => Err(io::Error::new(
            io::ErrorKind::UnexpectedEof,
            "the connection ended within a message",
        )),
    }
}

fn malformed(line: &str) -> io::Error {
    io::Error::new(
        io::ErrorKind::InvalidData,
        format!("not understood as HTTP/1: {line:?}"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_read_as_it_was_written() {
        let mut wire = Vec::new();
        write_response(&mut wire, "200 OK", "app1").expect("writes to memory");
        let answer = read_response(&mut wire.as_slice()).expect("reads");
        assert_eq!(
            (answer.status, answer.body, answer.keep_alive),
            (200, b"app1".to_vec(), true)
        );
    }

    #[test]
    fn an_answer_cut_short_is_an_error() {
        for cut in [
            "",
            "HTTP/1.1 200",
            "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nap",
            "HTTP/1.1 200 OK\r\nContent-",
        ] {
            assert!(read_response(&mut cut.as_bytes()).is_err(), "{cut:?}");
        }
    }

    #[test]
    fn an_answer_without_length_or_with_connection_close_ends_the_connection() {
        for answer in [
            "HTTP/1.0 502 Bad Gateway\r\n\r\nlost",
            "HTTP/1.1 502 Bad Gateway\r\nconnection: close\r\ncontent-length: 4\r\n\r\nlost",
        ] {
            let answer = read_response(&mut answer.as_bytes()).expect("reads");
            assert_eq!(
                (answer.status, answer.body, answer.keep_alive),
                (502, b"lost".to_vec(), false)
            );
        }
    }

    #[test]
    fn requests_follow_each_other_until_the_client_closes() {
        let mut wire =
            "GET /a HTTP/1.1\r\nHost: x\r\n\r\nPOST /b HTTP/1.1\r\nContent-Length: 2\r\n\r\nhi".as_bytes();
        let mut paths = Vec::new();
        while let Some(request) = read_request(&mut wire).expect("reads") {
            paths.push(request.path);
        }
        assert_eq!(paths, ["/a", "/b"]);
    }
}
