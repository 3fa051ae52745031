//! The configuration file: who may read it.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use lb_drain_api::Severity;

use super::{Remark, remark};
use crate::config::Settings;

/// Parts of names under which secrets are written, in lower case.
const SECRET: &[&str] = &[
    "authorization",
    "token",
    "secret",
    "password",
    "api-key",
    "apikey",
    "cookie",
];

pub(super) fn findings(settings: &Settings) -> Vec<Remark> {
    let Some(path) = &settings.file else {
        return Vec::new();
    };
    let name = path.display().to_string();
    let (Ok(text), Ok(meta)) = (fs::read_to_string(path), fs::metadata(path)) else {
        return Vec::new(); // it was read a moment ago: somebody is editing it
    };
    let open = meta.permissions().mode() & 0o004 != 0;
    let secret = text.lines().position(holds_a_secret);
    vec![match secret {
        Some(line) if open => remark(
            &name,
            Severity::Warning,
            format!(
                "line {} holds a secret, and everybody on this host can read it",
                line + 1
            ),
            "whoever has it can take hosts out of rotation",
            Some(format!("chmod 0640 {name}")),
        ),
        _ => remark(
            &name,
            Severity::Fine,
            "is right, and no secret in it is open to everybody".to_owned(),
            "a mistake in it would end every command with 2",
            None,
        ),
    }]
}

/// Whether a line writes a secret itself, rather than naming a file or a variable that has it.
fn holds_a_secret(line: &str) -> bool {
    let line = line.trim().to_lowercase();
    if line.starts_with('#') {
        return false;
    }
    let in_url = line.split("://").skip(1).any(|rest| {
        let authority = rest.split(['/', '"', '\'']).next().unwrap_or_default();
        authority
            .split_once('@')
            .is_some_and(|(user, _)| user.contains(':') && !user.contains('{'))
    });
    in_url
        || line.split(['{', ',']).any(|part| {
            part.split_once('=').is_some_and(|(key, value)| {
                let value = value.trim_start();
                let literal = value.starts_with(['"', '\'']) && !value.contains("{env:") && value.len() > 2;
                literal && SECRET.iter().any(|name| key.contains(name))
            })
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_known_by_its_name_and_what_refers_to_one_is_none() {
        for line in [
            r#"headers = { Accept = "*/*", X-Consul-Token = "abc" }"#,
            r#"Authorization = 'Basic eHg6eXk='"#,
            r#"url = "https://me:mine@lb.example/""#,
        ] {
            assert!(holds_a_secret(line), "{line}");
        }
        for line in [
            r#"headers = { X-Consul-Token = { file = "/etc/lb-drain/consul.token" } }"#,
            r#"headers = { Authorization = "{env:TOKEN}" }"#,
            r#"# token = "abc""#,
            r#"url = "https://lb.example/a@b:c""#,
            r#"body = "token""#,
        ] {
            assert!(!holds_a_secret(line), "{line}");
        }
    }
}
