//! No secret in anything that the binary writes, whatever is asked of it and however it is answered.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use lb_drain_test_support::http::{Asked, Fake, Reply};
use tempfile::{TempDir, tempdir};

use crate::rig::{Machine, Network, lb_drain_with};

const FILE: &str = "f1le\"s3cret/x";
const INLINE: &str = "1nline-s3cret";
const VARIABLE: &str = "v4riable s3cret";
const PASSWORD: &str = "p4ss-s3cret";
const OPTION: &str = "0ption-s3cret";
const KEY: &str = "k3y-s3cret";

/// The forms in which any of them could come out: as they are, in a URL, in JSON, in `Authorization`.
const FORMS: [&str; 10] = [
    FILE,
    r#"f1le\"s3cret/x"#,
    "f1le%22s3cret%2Fx",
    INLINE,
    VARIABLE,
    "v4riable%20s3cret",
    PASSWORD,
    "YWRtaW46cDRzcy1zM2NyZXQ=",
    OPTION,
    KEY,
];

/// What the configuration's `{env:…}` and `{ env = … }` name, and a secret that an option takes from the environment.
const VARIABLES: [(&str, &str); 2] = [("API_KEY", VARIABLE), ("AWS_SECRET_ACCESS_KEY", KEY)];

/// A server that repeats all that it was sent, with this status.
fn echo(network: &Network, status: u16) -> Fake {
    network.inside(|| {
        Fake::start(move |asked: &Asked| {
            let all = format!("{} {:?} {}", asked.line(), asked.headers, asked.body);
            Reply::new(status, all)
        })
    })
}

/// A folder with a configuration that leaves by this server and by an AWS endpoint that is none, with every kind of
/// secret, and the file that it names.
fn configuration(url: &str) -> TempDir {
    let folder = tempdir().expect("a folder");
    let token = folder.path().join("token");
    fs::write(&token, format!("{FILE}\n")).expect("writes the token");
    let section = |name: &str, auth: &str| {
        format!(
            "[[load_balancer]]\nname = '{name}'\nprovider = 'http'\ntimeout = '1s'\n{auth}\n\
             [load_balancer.deregister]\nmethod = 'POST'\nurl = '{url}/{{env:API_KEY}}?key={{env:API_KEY}}'\n\
             headers = {{ X-Inline = '{INLINE}', X-File = {{ file = '{token}' }}, X-Env = {{ env = 'API_KEY' }} }}\n\
             body = '{{\"key\": \"{{env:API_KEY}}\"}}'\n\
             capture = {{ answer = 'header:X-None' }}\n\
             [load_balancer.register]\nmethod = 'PUT'\nurl = '{url}/{{env:API_KEY}}'\n\
             [load_balancer.drained]\nurl = '{url}/state?key={{env:API_KEY}}'\npointer = '/active'\nvalue = 0\n",
            token = token.display()
        )
    };
    let text = section("bearer", &format!("bearer = {{ file = '{}' }}", token.display()))
        + &section(
            "basic",
            &format!("basic = {{ user = 'admin', password = '{PASSWORD}' }}"),
        )
        + &format!(
            "[[load_balancer]]\nprovider = 'aws-elbv2'\ntarget_groups = ['web']\nregion = 'eu-west-1'\n\
             target_id = '10.0.0.7'\nendpoint_url = '{url}'\n"
        );
    fs::write(folder.path().join("lb-drain.toml"), text).expect("writes the configuration");
    folder
}

fn assert_no_secret(text: &str, from: &str) {
    for form in FORMS {
        let found = text.lines().find(|line| line.contains(form));
        assert!(
            found.is_none(),
            "{from}: {form} in: {}",
            found.unwrap_or_default()
        );
    }
}

#[test]
fn in_no_output_of_any_command() {
    let network = Network::new();
    for status in [200, 307, 403, 503] {
        let server = echo(&network, status);
        let folder = configuration(&server.url());
        let config = folder.path().join("lb-drain.toml").display().to_string();
        let state = folder.path().join("state").display().to_string();
        let common = ["-c", &config, "--state-dir", &state, "--budget", "700ms"];
        for command in [
            &["deregister"] as &[&str],
            &["deregister", "-v", "--output", "json"],
            &["deregister", "-v", "--log-format", "json"],
            &["deregister", "--dry-run", "-v"],
            &["deregister", "--dry-run", "--output", "json"],
            &["status", "-v"],
            &["status", "--output", "json"],
            &["check", "-v"],
            &["check", "--output", "json"],
            &["deregister", "--keep-out", "-q"],
            &["register", "-v", "--wait"],
            &["register", "--output", "json"],
        ] {
            let mut variables = VARIABLES.to_vec();
            variables.push(("AWS_ACCESS_KEY_ID", "AKIAFAKE"));
            let ended = lb_drain_with(&network, &variables, &[command, &common].concat()).wait();
            let text = ended.stdout + &ended.stderr;
            assert!(text.contains("bearer"), "{command:?} says something: {text}");
            assert_no_secret(&text, &format!("{command:?} answered {status}"));
            for file in fs::read_dir(&state).into_iter().flatten() {
                let file = file.expect("readable").path();
                let text = fs::read_to_string(&file).expect("readable");
                assert_no_secret(&text, &format!("{} after {command:?}", file.display()));
            }
        }
        // A record is written, too.
        assert!(fs::read_dir(&state).is_ok_and(|files| files.count() > 0));
        let sent: String = server.asked().iter().map(|asked| format!("{asked:?}")).collect();
        for secret in ["f1le", INLINE, "v4riable", "YWRtaW46cDRzcy1zM2NyZXQ="] {
            assert!(sent.contains(secret), "{secret} is sent all the same");
        }
    }
}

#[test]
fn in_no_unit_and_no_refusal_of_a_rehearsal() {
    let network = Network::new();
    let server = echo(&network, 200);
    let folder = configuration(&server.url());
    let config = folder.path().join("lb-drain.toml").display().to_string();
    let state = folder.path().join("state").display().to_string();
    let url = format!("{}/?key={OPTION}", server.url());
    let header = format!("X-Token: {OPTION}");
    let mut variables = VARIABLES.to_vec();
    variables.extend([("AWS_ACCESS_KEY_ID", "AKIAFAKE"), ("LB_DRAIN_HEADER", &*header)]);
    let rehearse = [
        "rehearse",
        "--url",
        &url,
        "--duration",
        "1s",
        "--even-if-last",
        "--budget",
        "700ms",
    ];
    let common = ["-c", &config, "--state-dir", &state];
    for arguments in [
        [&["unit", "web"] as &[&str], &common[..2]].concat(),
        [&rehearse as &[&str], &common].concat(),
        [&rehearse as &[&str], &["--output", "json"], &common].concat(),
    ] {
        let ended = lb_drain_with(&network, &variables, &arguments).wait();
        let text = ended.stdout + &ended.stderr;
        assert!(!text.is_empty(), "{arguments:?} says something");
        assert_no_secret(&text, &format!("{arguments:?}"));
    }
}

#[test]
fn in_no_answer_to_a_mistake() {
    let network = Network::new();
    let header = format!("X-Token: {OPTION}");
    let url = format!("PUT http://127.0.0.1:1/out?key={OPTION}");
    let drained = format!("GET http://127.0.0.1:1/active?key={OPTION}");
    let flags = [("LB_DRAIN_HTTP_HEADER", &*header), ("LB_DRAIN_HTTP_BODY", OPTION)];
    let urls = [
        ("LB_DRAIN_HTTP_DEREGISTER", &*url),
        ("LB_DRAIN_HTTP_DRAINED", &*drained),
    ];
    let no_method = [("LB_DRAIN_HTTP_DEREGISTER", &drained[4..])];
    let ended = lb_drain_with(&network, &no_method, &["deregister"]).wait();
    assert_no_secret(&ended.assert_code(2).stderr, "an option that is wrong");
    for (arguments, code) in [
        (&["deregister", "--help"] as &[&str], 0),
        (&["rehearse", "--help"], 0),
        (&["deregister", "--no-such-option"], 2),
        (&["deregister", "-v", "--budget", "200ms"], 1),
        (&["deregister", "--budget", "200ms", "--output", "json"], 1),
        (&["check", "--budget", "200ms"], 1),
    ] {
        let ended = lb_drain_with(&network, &urls, arguments).wait();
        assert_no_secret(
            &format!("{}{}", ended.stdout, ended.stderr),
            &format!("{arguments:?}"),
        );
        ended.assert_code(code);
    }
    let folder = tempdir().expect("a folder");
    for (arguments, code) in [
        (&["deregister", "--help"] as &[&str], 0),
        (&["deregister", "--no-such-option"], 2),
        (&["deregister", "--http-deregister", "PUT"], 2),
        (
            &[
                "deregister",
                "--http-deregister",
                "PUT http://127.0.0.1:1/",
                "--budget",
                "200ms",
            ],
            1,
        ),
    ] {
        let ended = lb_drain_with(&network, &flags, arguments).wait();
        ended.assert_code(code);
        assert_no_secret(&(ended.stdout + &ended.stderr), &format!("{arguments:?}"));
    }

    let file = folder.path().join("wrong.toml");
    for wrong in [
        format!("bearer = {{ fiel = '{INLINE}' }}"),
        format!("bearer = {INLINE}"),
        format!("bearer = '{INLINE}"),
        format!("headers = '{INLINE}'"),
        format!("headers = {{ X = ['{INLINE}'] }}"),
        format!("basic = '{INLINE}'"),
        format!("basic = {{ user = 'x', password = {{ file = '/no', env = '{INLINE}' }} }}"),
        format!("passwort = '{INLINE}'"),
    ] {
        let rest = "[load_balancer.deregister]\nmethod = 'PUT'\nurl = 'http://127.0.0.1:1/'\n";
        let text = format!("[[load_balancer]]\nprovider = 'http'\n{wrong}\n{rest}");
        fs::write(&file, text).expect("writes the configuration");
        let ended = lb_drain_with(&network, &[], &["deregister", "-c", &file.display().to_string()]).wait();
        ended.assert_code(2);
        println!("{}", ended.stderr);
        assert!(ended.stderr.contains("wrong.toml, line 3: "), "{}", ended.stderr);
        assert_no_secret(&ended.stderr, &wrong);
    }
}

#[test]
fn a_secret_that_everybody_can_read_is_told() {
    let network = Network::new();
    let folder = tempdir().expect("a folder");
    let file = folder.path().join("lb-drain.toml");
    let text = "[[load_balancer]]\nprovider = 'http'\nderegister = { method = 'PUT', url = 'http://127.0.0.1:1/' }\n\
                register = []\nbearer = '1nline-s3cret'\n";
    fs::write(&file, text).expect("writes the configuration");
    let name = file.display().to_string();
    for (mode, told) in [(0o644, true), (0o640, false)] {
        fs::set_permissions(&file, fs::Permissions::from_mode(mode)).expect("it is ours");
        for command in ["deregister", "register", "check"] {
            let ended = lb_drain_with(&network, &[], &[command, "-c", &name, "--budget", "300ms"]).wait();
            let text = format!("{}{}", ended.stdout, ended.stderr);
            let line = "line 5 holds a secret, and everybody on this host can read it";
            assert_eq!(text.contains(line), told, "{command}, {mode:o}: {text}");
            assert_no_secret(&text, command);
        }
    }
}

/// With all of its fields, of which some are not shown to people.
#[test]
fn in_no_field_of_the_journal() {
    let network = Network::new();
    let machine = Machine::boot(&network);
    let server = echo(&network, 503);
    let folder = configuration(&server.url());
    for name in ["lb-drain.toml", "token"] {
        let text = fs::read_to_string(folder.path().join(name)).expect("written");
        let text = text.replace(&folder.path().display().to_string(), "/etc/lb-drain");
        machine.write(&format!("/etc/lb-drain/{name}"), &text);
    }
    let variables: String = VARIABLES
        .iter()
        .map(|(name, value)| format!("Environment=\"{name}={value}\"\n"))
        .collect();
    machine.start_unit(
        "web.service",
        &format!(
            "[Service]\nType=oneshot\nRemainAfterExit=yes\nExecStart=/bin/true\n{variables}\
             Environment=AWS_ACCESS_KEY_ID=AKIAFAKE\nExecStop=/share/bin/lb-drain deregister -v --budget 1s\n"
        ),
    );
    let _ = machine.systemctl(&["stop", "web.service"]);
    assert_eq!(machine.standing("web.service"), "failed (failed) exit-code");
    let _ = machine.command("journalctl").arg("--sync").output();
    let journal = machine
        .command("journalctl")
        .args(["--output=export", "--no-pager"])
        .output();
    let journal = String::from_utf8_lossy(&journal.expect("journalctl runs").stdout).into_owned();
    assert!(journal.contains("bearer: still in rotation: "), "{journal}");
    assert!(
        journal.contains("LOAD_BALANCER=bearer"),
        "with its fields: {journal}"
    );
    assert_no_secret(&journal, "the journal");
}
