//! A connection: to systemd itself, or to it by way of a message bus. Everything ends at one instant.

use std::io::{self, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType, connect, socket_with};

use super::decode::{self, Message, Value};
use super::encode::Call;

/// What listens on a socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// systemd itself (`/run/systemd/private`): no bus, and so no name to ask for.
    Direct,
    /// A message bus, which wants to be greeted first.
    MessageBus,
}

/// An open connection.
#[derive(Debug)]
pub struct Bus {
    stream: UnixStream,
    inbox: Vec<u8>,
    serial: u32,
    until: Instant,
}

/// The EXTERNAL mechanism without a name: the kernel tells the other side who we are (D-Bus specification,
/// "Authentication Protocol"). Sent in one go with what follows, as systemd's own clients do.
const LOGIN: &[u8] = b"\0AUTH EXTERNAL\r\nDATA\r\nBEGIN\r\n";
/// The longest line of the login: `OK` and 32 hexadecimal digits are 37 bytes, an error may say more.
const LONGEST_LINE: usize = 1024;

const METHOD_RETURN: u8 = 2;
const ERROR: u8 = 3;

impl Bus {
    /// Connects and logs in.
    ///
    /// # Errors
    ///
    /// Where nobody listens, we are refused, or it takes beyond `until`.
    pub fn open(path: &Path, kind: Kind, until: Instant) -> io::Result<Self> {
        let address = SocketAddrUnix::new(path)?;
        let socket = socket_with(
            AddressFamily::UNIX,
            SocketType::STREAM,
            // A full backlog must answer with an error and not block.
            SocketFlags::CLOEXEC | SocketFlags::NONBLOCK,
            None,
        )?;
        connect(&socket, &address)?;
        let mut bus = Self {
            stream: UnixStream::from(socket),
            inbox: Vec::new(),
            serial: 0,
            until,
        };
        bus.send(LOGIN)?;
        let mut accepted = false;
        while !accepted {
            let line = bus.line()?;
            accepted = line.starts_with("OK");
            if !accepted && line.trim_end() != "DATA" {
                return Err(io::Error::new(
                    io::ErrorKind::PermissionDenied,
                    format!("it refused the login: {}", line.trim_end().escape_debug()),
                ));
            }
        }
        if kind == Kind::MessageBus {
            let hello = Call {
                destination: "org.freedesktop.DBus",
                path: "/org/freedesktop/DBus".to_owned(),
                interface: "org.freedesktop.DBus",
                member: "Hello",
                arguments: Vec::new(),
            };
            for answer in bus.call(&[hello])? {
                answer.map_err(io::Error::other)?;
            }
        }
        Ok(bus)
    }

    /// Sends all calls at once and returns their answers, in their order: values, or the error's name and
    /// text.
    ///
    /// # Errors
    ///
    /// Where the connection breaks, the other side answers nonsense, or too late.
    pub fn call(&mut self, calls: &[Call]) -> io::Result<Vec<Result<Vec<Value>, String>>> {
        let first = self.serial + 1;
        let mut messages = Vec::new();
        for call in calls {
            self.serial += 1;
            messages.extend(call.encode(self.serial));
        }
        self.send(&messages)?;
        let mut answers: Vec<Option<Result<Vec<Value>, String>>> = vec![None; calls.len()];
        while answers.iter().any(Option::is_none) {
            let message = self.message()?;
            let place = message
                .reply_serial
                .and_then(|serial| answers.get_mut(serial.checked_sub(first)? as usize));
            // Signals, such as NameAcquired, answer nothing.
            if let Some(place) = place {
                *place = outcome(message).or(place.take());
            }
        }
        Ok(answers.into_iter().flatten().collect())
    }

    fn message(&mut self) -> io::Result<Message> {
        loop {
            if let Some(length) = decode::message_length(&self.inbox)?
                && self.inbox.len() >= length
            {
                let rest = self.inbox.split_off(length);
                let bytes = std::mem::replace(&mut self.inbox, rest);
                return decode::message(&bytes);
            }
            self.receive()?;
        }
    }

    fn line(&mut self) -> io::Result<String> {
        loop {
            if let Some(end) = self.inbox.windows(2).position(|pair| pair == b"\r\n") {
                let rest = self.inbox.split_off(end + 2);
                let line = std::mem::replace(&mut self.inbox, rest);
                return Ok(String::from_utf8_lossy(&line).into_owned());
            }
            if self.inbox.len() > LONGEST_LINE {
                return Err(io::Error::new(
                    io::ErrorKind::InvalidData,
                    "it does not speak D-Bus",
                ));
            }
            self.receive()?;
        }
    }

    fn receive(&mut self) -> io::Result<()> {
        let mut chunk = [0; 4096];
        loop {
            // Also while there is always more to read: a stream without end must not hold us.
            if Instant::now() >= self.until {
                return Err(late());
            }
            match self.stream.read(&mut chunk) {
                Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(length) => return self.inbox.write_all(&chunk[..length]),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => self.ready(PollFlags::IN)?,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }

    fn send(&mut self, mut bytes: &[u8]) -> io::Result<()> {
        while !bytes.is_empty() {
            match self.stream.write(bytes) {
                Ok(length) => bytes = &bytes[length..],
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => self.ready(PollFlags::OUT)?,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Waits until the stream is ready, at most until the end.
    fn ready(&self, flags: PollFlags) -> io::Result<()> {
        let left = self.until.saturating_duration_since(Instant::now());
        if left > Duration::ZERO {
            let patience = Timespec::try_from(left).map_err(io::Error::other)?;
            match poll(&mut [PollFd::new(&self.stream, flags)], Some(&patience)) {
                Ok(0) => {}
                Ok(_) | Err(rustix::io::Errno::INTR) => return Ok(()),
                Err(error) => return Err(error.into()),
            }
        }
        Err(late())
    }
}

fn late() -> io::Error {
    io::Error::new(io::ErrorKind::TimedOut, "it did not answer in time")
}

/// What a message says as an answer, if it is one.
fn outcome(message: Message) -> Option<Result<Vec<Value>, String>> {
    match message.kind {
        METHOD_RETURN => Some(Ok(message.body)),
        ERROR => {
            let name = message.error_name.unwrap_or_default();
            let text = message.body.first().and_then(Value::text).unwrap_or_default();
            Some(Err(if text.is_empty() { name } else { text.to_owned() }))
        }
        _ => None,
    }
}
