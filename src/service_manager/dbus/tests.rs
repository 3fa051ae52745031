//! Against a fake systemd on a socket: it speaks D-Bus, or nonsense.

use std::io::{Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::decode::{message, message_length};
use super::*;

fn get(name: &str) -> Call {
    Call {
        destination: "org.freedesktop.systemd1",
        path: "/org/freedesktop/systemd1/unit/web_2eservice".to_owned(),
        interface: "org.freedesktop.DBus.Properties",
        member: "Get",
        arguments: vec![
            Argument::Text("org.freedesktop.systemd1.Service".to_owned()),
            Argument::Text(name.to_owned()),
        ],
    }
}

/// A message as systemd sends it: `kind`, an answer to `serial`, with a body of these types.
fn answer(kind: u8, serial: u32, types: &str, body: &[u8]) -> Vec<u8> {
    let mut fields = vec![5, 1, b'u', 0];
    fields.extend(serial.to_le_bytes());
    fields.extend([8, 1, b'g', 0, u8::try_from(types.len()).expect("short")]);
    fields.extend(types.bytes());
    fields.push(0);
    let mut message = vec![b'l', kind, 0, 1];
    message.extend(u32::try_from(body.len()).expect("short").to_le_bytes());
    message.extend(9_u32.to_le_bytes());
    message.extend(u32::try_from(fields.len()).expect("short").to_le_bytes());
    message.extend(fields);
    message.resize(message.len().next_multiple_of(8), 0);
    message.extend(body);
    message
}

/// A variant that holds this `t`: its signature, padding, 8 bytes.
fn microseconds(value: u64) -> Vec<u8> {
    let mut body = vec![1, b't', 0, 0, 0, 0, 0, 0];
    body.extend(value.to_le_bytes());
    body
}

/// Something that listens where systemd would, and does this with the one who connects.
fn listening(act: impl FnOnce(UnixStream) + Send + 'static) -> (tempfile::TempDir, PathBuf) {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("private");
    let listener = UnixListener::bind(&path).expect("a socket");
    std::thread::spawn(move || act(listener.accept().expect("a client").0));
    (directory, path)
}

fn soon() -> Instant {
    Instant::now() + Duration::from_secs(20)
}

fn read_login(client: &mut UnixStream) {
    let mut login = [0; 29];
    client.read_exact(&mut login).expect("a login");
    assert_eq!(&login, b"\0AUTH EXTERNAL\r\nDATA\r\nBEGIN\r\n");
    client
        .write_all(b"DATA\r\nOK 0123456789abcdef0123456789abcdef\r\n")
        .expect("it reads");
}

#[test]
fn a_call_is_what_the_specification_says() {
    let bytes = get("TimeoutStopUSec").encode(7);
    // Our own reader takes it apart again: lengths, padding and types agree.
    assert_eq!(message_length(&bytes).expect("a header"), Some(bytes.len()));
    let read = message(&bytes).expect("a message");
    assert_eq!(read.kind, 1);
    assert_eq!(
        read.body,
        [
            Value::Text("org.freedesktop.systemd1.Service".to_owned()),
            Value::Text("TimeoutStopUSec".to_owned())
        ]
    );
    assert_eq!(bytes[8..12], [7, 0, 0, 0], "the serial number");
}

#[test]
fn answers_find_their_calls_in_any_order_and_errors_are_told() {
    let (_directory, path) = listening(|mut client| {
        read_login(&mut client);
        let mut bytes = answer(4, 1, "", &[]); // a signal, which answers nothing
        bytes.extend(answer(3, 2, "s", b"\x04\0\0\0nope\0"));
        bytes.extend(answer(2, 1, "v", &microseconds(30_000_000)));
        client.write_all(&bytes).expect("it reads");
        client.read_to_end(&mut Vec::new()).expect("it closes");
    });
    let mut bus = Bus::open(&path, Kind::Direct, soon()).expect("a connection");
    let answers = bus.call(&[get("TimeoutStopUSec"), get("Nope")]).expect("answers");
    assert_eq!(
        answers,
        [Ok(vec![Value::Unsigned(30_000_000)]), Err("nope".to_owned())]
    );
}

#[test]
fn a_refused_login_says_so() {
    let (_directory, path) = listening(|mut client| {
        client.write_all(b"REJECTED EXTERNAL\r\n").expect("it reads");
        drop(client.read_to_end(&mut Vec::new()));
    });
    let error = Bus::open(&path, Kind::Direct, soon()).expect_err("it is refused");
    assert!(error.to_string().contains("REJECTED EXTERNAL"), "{error}");
}

#[test]
fn one_that_is_silent_or_never_ends_holds_us_until_the_end_and_no_longer() {
    let silent: fn(UnixStream) = |mut client| drop(client.read_to_end(&mut Vec::new()));
    let endless_line: fn(UnixStream) = |mut client| while client.write_all(b"x").is_ok() {};
    let endless_signals: fn(UnixStream) = |mut client| {
        read_login(&mut client);
        while client.write_all(&answer(4, 1, "", &[])).is_ok() {}
    };
    for act in [silent, endless_line, endless_signals] {
        let (_directory, path) = listening(act);
        let begun = Instant::now();
        let until = begun + Duration::from_millis(200);
        let outcome = Bus::open(&path, Kind::Direct, until).and_then(|mut bus| bus.call(&[get("Id")]));
        assert!(outcome.is_err());
        assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
    }
}

#[test]
fn nobody_there_is_an_error_at_once() {
    assert!(Bus::open(Path::new("/nowhere/private"), Kind::Direct, soon()).is_err());
}

#[test]
fn all_of_the_types_of_a_units_properties_are_read() {
    // a(sasbt) with one element, as ExecStop has it.
    let mut body = vec![0; 4];
    body.extend([0; 4]); // to the alignment of the structure
    body.extend(b"\x02\0\0\0/x\0\0");
    body.extend(b"\x06\0\0\0\x01\0\0\0x\0");
    body.extend([0; 2]);
    body.extend([1, 0, 0, 0]);
    body.extend(5_u64.to_le_bytes());
    let length = u32::try_from(body.len() - 8).expect("short");
    body[..4].copy_from_slice(&length.to_le_bytes());
    let read = message(&answer(2, 1, "a(sasbt)", &body)).expect("a message");
    let text = |text: &str| Value::Text(text.to_owned());
    let line = vec![
        text("/x"),
        Value::Array(vec![text("x")]),
        Value::Bool(true),
        Value::Unsigned(5),
    ];
    assert_eq!(read.body, [Value::Array(vec![Value::Struct(line)])]);
}

#[test]
fn big_endian_answers_are_read_too() {
    let mut bytes = vec![b'B', 2, 0, 1, 0, 0, 0, 4, 0, 0, 0, 9, 0, 0, 0, 7];
    bytes.extend([8, 1, b'g', 0, 1, b'u', 0, 0]);
    bytes.extend([0, 0, 1, 2]);
    assert_eq!(message(&bytes).expect("a message").body, [Value::Unsigned(258)]);
}

#[test]
fn no_damage_to_a_message_does_more_than_an_error() {
    let whole = answer(2, 1, "v", &microseconds(30_000_000));
    for length in 0..whole.len() {
        assert!(message(&whole[..length]).is_err(), "{length} bytes of it");
    }
    for place in 0..whole.len() {
        for value in 0..=255 {
            let mut damaged = whole.clone();
            damaged[place] = value;
            drop(message(&damaged));
            drop(message_length(&damaged));
        }
    }
    for types in [
        "a(",
        "((((((((((((((((((((",
        "aaaaaaaaaaaaaaaaaaaaaaaaau",
        "z",
        "a()",
        "v",
    ] {
        drop(message(&answer(2, 1, types, &[255; 64])));
        drop(message(&answer(2, 1, types, &[1; 64])));
        drop(message(&answer(2, 1, types, &[0; 64])));
    }
    let huge = [b'l', 2, 0, 1, 255, 255, 255, 255, 1, 0, 0, 0, 255, 255, 255, 255];
    assert!(message_length(&huge).is_err());
}
