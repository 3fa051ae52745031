//! Answers from bytes (D-Bus specification, "Marshaling" and "Message Format").
//!
//! Every length is checked before it is believed. A wrong message is an error, never a panic or a large
//! allocation.

use std::io;

/// The largest message that is read: systemd's answers to what is asked here are below 100 KiB.
pub(super) const LARGEST: usize = 1 << 20;
/// Containers within containers: systemd's deepest property here has three levels.
const DEEPEST: usize = 16;
/// The part of a header before its fields, with their length.
pub(super) const FIXED_HEADER: usize = 16;

/// A value of any D-Bus type that systemd's properties have.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// `s`, `o`, `g`.
    Text(String),
    /// `b`.
    Bool(bool),
    /// `y q u t`: any number without a sign.
    Unsigned(u64),
    /// `n i x`: any number with a sign.
    Signed(i64),
    /// `d`.
    Float(f64),
    /// `a…`.
    Array(Vec<Value>),
    /// `(…)`, and `{…}` in an array that is a dictionary.
    Struct(Vec<Value>),
}

impl Value {
    /// The text of a text.
    #[must_use]
    pub fn text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            _ => None,
        }
    }

    /// The number of a number without a sign.
    #[must_use]
    pub fn unsigned(&self) -> Option<u64> {
        match self {
            Self::Unsigned(number) => Some(*number),
            _ => None,
        }
    }

    /// The truth of a truth value.
    #[must_use]
    pub fn truth(&self) -> Option<bool> {
        match self {
            Self::Bool(truth) => Some(*truth),
            _ => None,
        }
    }

    /// The elements of an array or a structure.
    #[must_use]
    pub fn elements(&self) -> Option<&[Value]> {
        match self {
            Self::Array(elements) | Self::Struct(elements) => Some(elements),
            _ => None,
        }
    }
}

/// A message that has been read.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Message {
    pub(super) kind: u8,
    pub(super) reply_serial: Option<u32>,
    pub(super) error_name: Option<String>,
    pub(super) body: Vec<Value>,
}

/// How long the whole message is that begins with these bytes; `None` while that cannot be told yet.
pub(super) fn message_length(bytes: &[u8]) -> io::Result<Option<usize>> {
    let Some(header) = bytes.get(..FIXED_HEADER) else {
        return Ok(None);
    };
    let mut reader = Reader::new(header)?;
    reader.at = 4;
    let body = reader.u32()? as usize;
    reader.at = 12;
    let fields = reader.u32()? as usize;
    if body > LARGEST || fields > LARGEST {
        return Err(malformed("a message of more than 1 MiB"));
    }
    Ok(Some((FIXED_HEADER + fields).next_multiple_of(8) + body))
}

/// Reads one whole message.
pub(super) fn message(bytes: &[u8]) -> io::Result<Message> {
    let mut reader = Reader::new(bytes)?;
    let kind = *bytes
        .get(1)
        .ok_or_else(|| malformed("a message without a type"))?;
    reader.at = 12;
    let fields = reader.value(&mut "a(yv)".bytes().peekable(), 0)?;
    let mut message = Message {
        kind,
        reply_serial: None,
        error_name: None,
        body: Vec::new(),
    };
    let mut signature = String::new();
    for field in fields.elements().unwrap_or_default() {
        match field.elements() {
            Some([Value::Unsigned(4), Value::Text(name)]) => message.error_name = Some(name.clone()),
            Some([Value::Unsigned(5), Value::Unsigned(serial)]) => {
                message.reply_serial = u32::try_from(*serial).ok();
            }
            Some([Value::Unsigned(8), Value::Text(types)]) => signature.clone_from(types),
            _ => {}
        }
    }
    reader.align(8)?;
    let mut types = signature.bytes().peekable();
    while types.peek().is_some() {
        message.body.push(reader.value(&mut types, 0)?);
    }
    Ok(message)
}

type Types<'a> = std::iter::Peekable<std::str::Bytes<'a>>;

struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
    big_endian: bool,
}

impl<'a> Reader<'a> {
    fn new(bytes: &'a [u8]) -> io::Result<Self> {
        let big_endian = match bytes.first() {
            Some(b'l') => false,
            Some(b'B') => true,
            _ => return Err(malformed("no D-Bus message")),
        };
        Ok(Self {
            bytes,
            at: 0,
            big_endian,
        })
    }

    fn take(&mut self, length: usize) -> io::Result<&'a [u8]> {
        let end = self.at.checked_add(length).filter(|end| *end <= self.bytes.len());
        let end = end.ok_or_else(|| malformed("a message that ends early"))?;
        let taken = &self.bytes[self.at..end];
        self.at = end;
        Ok(taken)
    }

    fn align(&mut self, alignment: usize) -> io::Result<()> {
        self.take(self.at.next_multiple_of(alignment) - self.at).map(drop)
    }

    /// A number of `size` bytes, aligned to its size.
    fn number(&mut self, size: usize) -> io::Result<u64> {
        self.align(size)?;
        let bytes = self.take(size)?;
        let add = |number: u64, byte: &u8| number << 8 | u64::from(*byte);
        Ok(if self.big_endian {
            bytes.iter().fold(0, add)
        } else {
            bytes.iter().rev().fold(0, add)
        })
    }

    fn u32(&mut self) -> io::Result<u32> {
        Ok(u32::try_from(self.number(4)?).unwrap_or(u32::MAX))
    }

    fn text(&mut self, length: usize) -> io::Result<String> {
        let text =
            std::str::from_utf8(self.take(length)?).map_err(|_| malformed("a text that is no UTF-8"))?;
        self.take(1)?; // the zero byte behind it
        Ok(text.to_owned())
    }

    /// One value of the type that `types` says next.
    fn value(&mut self, types: &mut Types<'_>, depth: usize) -> io::Result<Value> {
        if depth > DEEPEST {
            return Err(malformed("containers nested too deeply"));
        }
        let unsigned = Value::Unsigned;
        Ok(match next(types)? {
            b'y' => unsigned(self.number(1)?),
            b'q' => unsigned(self.number(2)?),
            b'u' | b'h' => unsigned(self.number(4)?),
            b't' => unsigned(self.number(8)?),
            b'b' => Value::Bool(self.number(4)? != 0),
            b'n' => Value::Signed((self.number(2)? as u16).cast_signed().into()),
            b'i' => Value::Signed((self.number(4)? as u32).cast_signed().into()),
            b'x' => Value::Signed(self.number(8)?.cast_signed()),
            b'd' => Value::Float(f64::from_bits(self.number(8)?)),
            b's' | b'o' => {
                let length = self.u32()? as usize;
                Value::Text(self.text(length)?)
            }
            b'g' => {
                let length = self.number(1)? as usize;
                Value::Text(self.text(length)?)
            }
            b'v' => {
                let length = self.number(1)? as usize;
                let signature = self.text(length)?;
                self.value(&mut signature.bytes().peekable(), depth + 1)?
            }
            b'a' => self.array(types, depth)?,
            open @ (b'(' | b'{') => {
                self.align(8)?;
                let close = if open == b'(' { b')' } else { b'}' };
                let mut members = Vec::new();
                while types.peek() != Some(&close) {
                    members.push(self.value(types, depth + 1)?);
                }
                next(types)?;
                Value::Struct(members)
            }
            other => {
                return Err(malformed(&format!(
                    "a value of the unknown type {:?}",
                    char::from(other)
                )));
            }
        })
    }

    fn array(&mut self, types: &mut Types<'_>, depth: usize) -> io::Result<Value> {
        let length = self.u32()? as usize;
        let alignment = match types.peek() {
            Some(b'x' | b't' | b'd' | b'(' | b'{') => 8,
            Some(b'y' | b'g' | b'v') => 1,
            Some(b'n' | b'q') => 2,
            _ => 4,
        };
        self.align(alignment)?;
        let end = self.at.checked_add(length).filter(|end| *end <= self.bytes.len());
        let end = end.ok_or_else(|| malformed("an array that ends early"))?;
        let element = types.clone();
        let mut elements = Vec::new();
        while self.at < end {
            let before = self.at;
            elements.push(self.value(&mut element.clone(), depth + 1)?);
            if self.at == before {
                return Err(malformed("an array of nothing"));
            }
        }
        skip(types, depth)?;
        Ok(Value::Array(elements))
    }
}

fn next(types: &mut Types<'_>) -> io::Result<u8> {
    types
        .next()
        .ok_or_else(|| malformed("a signature that ends early"))
}

/// Passes over one type.
fn skip(types: &mut Types<'_>, depth: usize) -> io::Result<()> {
    if depth > DEEPEST {
        return Err(malformed("containers nested too deeply"));
    }
    match next(types)? {
        b'a' => skip(types, depth + 1),
        open @ (b'(' | b'{') => {
            let close = if open == b'(' { b')' } else { b'}' };
            while types.peek() != Some(&close) {
                skip(types, depth + 1)?;
            }
            next(types).map(drop)
        }
        _ => Ok(()),
    }
}

fn malformed(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("it sent {what}"))
}
