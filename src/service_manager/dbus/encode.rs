//! Method calls as bytes (D-Bus specification, "Marshaling" and "Message Format").

/// A method call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Call {
    /// Whose method it is.
    pub destination: &'static str,
    /// Of which object.
    pub path: String,
    /// Of which interface.
    pub interface: &'static str,
    /// Its name.
    pub member: &'static str,
    /// What it is called with.
    pub arguments: Vec<Argument>,
}

/// An argument, of the few types that are needed here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Argument {
    /// `s`.
    Text(String),
    /// `ay`.
    Bytes(Vec<u8>),
    /// `u`.
    U32(u32),
}

/// Message type `METHOD_CALL`.
const METHOD_CALL: u8 = 1;
/// The protocol's major version.
const VERSION: u8 = 1;
/// Header fields, by their codes.
const PATH: u8 = 1;
const INTERFACE: u8 = 2;
const MEMBER: u8 = 3;
const DESTINATION: u8 = 6;
const SIGNATURE: u8 = 8;

impl Call {
    /// The message, little-endian, with this serial number (not 0).
    #[must_use]
    pub fn encode(&self, serial: u32) -> Vec<u8> {
        let mut body = Vec::new();
        let mut signature = String::new();
        for argument in &self.arguments {
            match argument {
                Argument::Text(text) => {
                    signature.push('s');
                    put_text(&mut body, text);
                }
                Argument::Bytes(bytes) => {
                    signature.push_str("ay");
                    put_u32(&mut body, length(bytes.len()));
                    body.extend_from_slice(bytes);
                }
                Argument::U32(number) => {
                    signature.push('u');
                    put_u32(&mut body, *number);
                }
            }
        }
        let mut fields = Vec::new();
        for (code, kind, value) in [
            (PATH, "o", self.path.as_str()),
            (DESTINATION, "s", self.destination),
            (INTERFACE, "s", self.interface),
            (MEMBER, "s", self.member),
        ] {
            pad(&mut fields, 8);
            fields.push(code);
            put_signature(&mut fields, kind);
            put_text(&mut fields, value);
        }
        if !signature.is_empty() {
            pad(&mut fields, 8);
            fields.push(SIGNATURE);
            put_signature(&mut fields, "g");
            put_signature(&mut fields, &signature);
        }
        let mut message = vec![b'l', METHOD_CALL, 0, VERSION];
        put_u32(&mut message, length(body.len()));
        put_u32(&mut message, serial);
        // The header so far is 12 bytes and the length below makes it 16: fields keep their own alignment.
        put_u32(&mut message, length(fields.len()));
        message.extend(fields);
        pad(&mut message, 8);
        message.extend(body);
        message
    }
}

/// Ours are a few hundred bytes.
fn length(length: usize) -> u32 {
    u32::try_from(length).unwrap_or(u32::MAX)
}

fn pad(bytes: &mut Vec<u8>, alignment: usize) {
    bytes.resize(bytes.len().next_multiple_of(alignment), 0);
}

fn put_u32(bytes: &mut Vec<u8>, number: u32) {
    pad(bytes, 4);
    bytes.extend(number.to_le_bytes());
}

fn put_text(bytes: &mut Vec<u8>, text: &str) {
    put_u32(bytes, length(text.len()));
    bytes.extend(text.bytes());
    bytes.push(0);
}

fn put_signature(bytes: &mut Vec<u8>, signature: &str) {
    bytes.push(u8::try_from(signature.len()).unwrap_or(u8::MAX));
    bytes.extend(signature.bytes());
    bytes.push(0);
}
