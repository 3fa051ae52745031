use std::io::{self, ErrorKind};

use lb_drain_api::Lifetime;

use super::*;
use crate::command::{Server, State};

fn client(socket: &str) -> Client {
    Client::new(Endpoint::parse(socket).expect("a socket"))
}

fn drain() -> Command<'static> {
    Command::SetState(Server::parse("web/app1").expect("a server"), State::Drain)
}

fn is_temporary(error: &Error) -> bool {
    matches!(error.lifetime(), Lifetime::Temporary { .. })
}

fn refused(refusal: Refusal<'_>) -> Error {
    let commands = Commands {
        all: &[drain()],
        prefix: TO_WORKER,
    };
    client("tcp://10.0.0.5:9999").refused(commands, refusal)
}

fn failed(socket: &str, failure: Failure) -> Error {
    let commands = Commands {
        all: &[drain()],
        prefix: "",
    };
    client(socket).failed(commands, failure)
}

#[test]
fn each_refusal_is_told_with_what_helps_and_lasts_as_long_as_its_cause() {
    let what = r#"haproxy tcp://10.0.0.5:9999 refused "set server web/app1 state drain""#;
    for (refusal, temporary, rest) in [
        (
            Refusal::PermissionDenied,
            false,
            r#"Permission denied; the socket needs "level admin""#,
        ),
        (Refusal::NoSuchServer, false, "No such server"),
        (Refusal::NoSuchBackend, false, "No such backend"),
        (
            Refusal::ProxyDisabled,
            false,
            r#"Proxy is disabled; the backend has "disabled" in HAProxy's configuration: nothing is routed there"#,
        ),
        (
            Refusal::UnknownCommand,
            false,
            "Unknown command; is this the runtime API of HAProxy 2.0 or later?",
        ),
        (Refusal::NoWorker, true, "its master has no worker now"),
        (
            Refusal::Other("Something new\u{7}."),
            true,
            "Something new\u{fffd}.",
        ),
    ] {
        let error = refused(refusal);
        assert_eq!(error.to_string(), format!("{what}: {rest}"));
        assert_eq!(is_temporary(&error), temporary, "{error}");
    }
}

#[test]
fn words_that_are_not_known_are_cut_to_a_readable_length() {
    let words = "x".repeat(10_000);
    assert!(refused(Refusal::Other(&words)).to_string().len() < 300);
}

#[test]
fn a_socket_that_may_not_be_opened_is_told_how_to_be() {
    let failure = Failure::Connect(io::Error::from_raw_os_error(13));
    let error = failed("/run/haproxy/admin.sock", failure);
    assert!(!is_temporary(&error));
    assert_eq!(
        error.to_string(),
        r#"haproxy /run/haproxy/admin.sock cannot be reached: Permission denied; add "mode 660 group GROUP" to its "stats socket" line and "SupplementaryGroups=GROUP" to the unit, or run as root"#
    );
}

#[test]
fn what_may_pass_is_temporary() {
    for kind in [
        ErrorKind::NotFound,
        ErrorKind::ConnectionRefused,
        ErrorKind::ConnectionReset,
        ErrorKind::HostUnreachable,
        ErrorKind::NetworkUnreachable,
        ErrorKind::TimedOut,
        ErrorKind::WouldBlock, // a unix socket whose backlog is full
    ] {
        for socket in ["/run/haproxy/admin.sock", "tcp://10.0.0.5:9999"] {
            for failure in [Failure::Connect(kind.into()), Failure::Broken(kind.into())] {
                let error = failed(socket, failure);
                assert!(is_temporary(&error), "{error}");
                assert!(
                    error.to_string().starts_with(&format!("haproxy {socket} ")),
                    "{error}"
                );
            }
        }
    }
}

#[test]
fn an_endless_answer_is_not_asked_for_again() {
    let error = failed("/run/php.sock", Failure::Endless);
    assert!(!is_temporary(&error));
    assert!(
        error
            .to_string()
            .ends_with("it answers more than 16 MB; is this HAProxy's runtime API?"),
        "{error}"
    );
}
