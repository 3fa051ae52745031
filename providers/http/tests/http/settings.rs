//! Configuration that cannot be meant is refused with the key and what to write.

use crate::support::try_connect;

/// What reading the keys as TOML says.
fn unread(keys: &str) -> String {
    toml::from_str::<lb_drain_http::Settings>(keys)
        .expect_err(keys)
        .to_string()
}

#[test]
fn what_is_no_configuration_names_line_and_key() {
    let leaving = "[deregister]\nmethod = 'PUT'\nurl = 'http://h/'\n";
    for (keys, says) in [
        ("", "missing field `deregister`"),
        (
            "deregister = 1",
            "a request (a table with method and url), or a list of them",
        ),
        ("deregister = { url = 'http://h' }", "missing field `method`"),
        (
            "[deregister]\nmethod = 'PUT'\nurl = 'http://h/'\nexpcet = [1]",
            "unknown field `expcet`",
        ),
        (&format!("{leaving}expect = 200"), "a list of statuses and ranges"),
        (
            &format!("{leaving}expect = ['2xx']"),
            r#"a status from 100 to 599, or a range such as "200-299""#,
        ),
        (
            &format!("{leaving}headers = {{ A = {{ fiel = '/x' }} }}"),
            "unknown field `fiel`, expected `file` or `env`",
        ),
        (
            &format!("{leaving}headers = {{ A = {{ file = '/x', env = 'X' }} }}"),
            "either file or env",
        ),
        (
            &format!("{leaving}headers = {{ A = 1 }}"),
            r#"a string, { file = "/path" } or { env = "NAME" }"#,
        ),
        (
            &format!("{leaving}body = {{ env = 'X' }}"),
            "unknown field `env`, expected `file`",
        ),
        (
            &format!("{leaving}capture = {{ id = 1 }}"),
            r#""/json/pointer", "header:NAME" or"#,
        ),
        (
            &format!("{leaving}[drained]\nurl = 'http://h'\nop = '='"),
            "unknown variant `=`",
        ),
        (&format!("timeout = 5\n{leaving}"), r#"5 has no unit; write "5s""#),
    ] {
        let error = unread(keys);
        assert!(error.contains(says), "{keys}\n{error}");
    }
    assert!(
        unread(&format!("{leaving}expcet = [1]")).contains("line 4"),
        "the line is named"
    );
}

#[test]
fn what_cannot_be_meant_names_the_key_and_what_to_write() {
    for (keys, says) in [
        ("deregister = []", "deregister: is empty"),
        (
            "deregister = { method = 'put', url = 'http://h' }",
            r#"deregister: method: "put" is no method"#,
        ),
        (
            "deregister = { method = 'PUT', url = 'h/x' }",
            "deregister: url: starts with http://",
        ),
        (
            "deregister = { method = 'PUT', url = 'http://h/{nope}' }",
            "{nope} is not known here; known are {hostname}",
        ),
        (
            "deregister = { method = 'PUT', url = 'http://h', headers = { 'A B' = 'x' } }",
            r#""A B" is no header's name"#,
        ),
        (
            "deregister = { method = 'PUT', url = 'http://h', headers = { Content-Length = '1' } }",
            "leave it out",
        ),
        (
            "deregister = { method = 'PUT', url = 'http://h', capture = { ip = '/x' } }",
            "ip is no name",
        ),
        (
            "deregister = { method = 'PUT', url = 'http://h', capture = { x = 'y' } }",
            "is no JSON pointer",
        ),
        (
            "deregister = { method = 'PUT', url = 'http://h', capture = { x = { pointer = '/y' } } }",
            "where: is missing",
        ),
        (
            "deregister = { method = 'POST', url = 'http://h', until = { status = [200] } }",
            "a request of its own",
        ),
        (
            "deregister = [{ method = 'PUT', url = 'http://h/{id}' }, { method = 'GET', url = 'http://h', capture = { id = '/x' } }]",
            "deregister: request 1: url: {id} is not known here",
        ),
        (
            "deregister = [{ method = 'PUT', url = 'http://h', capture = { id = '/x' } }]\nregister = { method = 'PUT', url = 'http://h/{id}' }",
            "register: {id} is captured after deregister has begun to change things",
        ),
        (
            "variables = { ip = 'x' }\nderegister = { method = 'PUT', url = 'http://h' }",
            "ip is no name for a variable",
        ),
        (
            "variables = { a = '{b}' }\nderegister = { method = 'PUT', url = 'http://h' }",
            "variables: {b} is not known",
        ),
        (
            "bearer = 'a'\nbasic = { user = 'a', password = 'b' }\nderegister = { method = 'PUT', url = 'http://h' }",
            "choose one",
        ),
        (
            "client_key = '/k'\nderegister = { method = 'PUT', url = 'http://h' }",
            "client_key: needs client_cert",
        ),
        (
            "drained = { url = 'http://h', value = 0 }\nderegister = { method = 'PUT', url = 'http://h' }",
            "drained: op: needs a pointer",
        ),
        (
            "drained = { url = 'http://h', failed = {} }\nderegister = { method = 'PUT', url = 'http://h' }",
            "drained: failed: says nothing",
        ),
    ] {
        let error = try_connect(keys).expect_err(keys).to_string();
        assert!(error.contains(says), "{keys}\n{error}");
    }
}

#[test]
fn a_port_needs_ports() {
    let settings = toml::from_str("deregister = { method = 'PUT', url = 'http://h/{port}' }").unwrap();
    let host = lb_drain_api::Host::default();
    let error = lb_drain_http::connect(settings, &host)
        .expect_err("no ports")
        .to_string();
    assert!(error.contains("{port} needs `ports`"), "{error}");
}
