//! Secrets that stand in a configuration file themselves, and whether others can read them.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

/// Parts of names under which secrets are written, in lower case.
const SECRET: &[&str] = &[
    "authorization",
    "bearer",
    "token",
    "secret",
    "passw",
    "passphrase",
    "credential",
    "api-key",
    "api_key",
    "apikey",
    "private-key",
    "private_key",
    "cookie",
    "signature",
];

/// The number of the first line with a secret that everybody on this host can read.
pub(crate) fn open_to_everybody(path: &Path, text: &str) -> Option<usize> {
    let open = fs::metadata(path).is_ok_and(|meta| meta.permissions().mode() & 0o004 != 0);
    let line = || {
        let text = text.to_ascii_lowercase();
        let names = named_in(&text);
        let mut lines = text.lines();
        lines
            .position(|line| holds_a_secret(line, &names))
            .map(|line| line + 1)
    };
    open.then(line).flatten()
}

/// The names that occur in a text in lower case: mostly none, which is faster known of all lines at once.
fn named_in(text: &str) -> Vec<&'static str> {
    SECRET
        .iter()
        .copied()
        .filter(|name| text.contains(name))
        .collect()
}

/// Whether a line, in lower case, writes a secret itself, rather than naming a file or a variable that has it: as a key
/// of the configuration with one of these names, in a URL, or in a body, whatever its format. Rather one remark too many.
fn holds_a_secret(line: &str, names: &[&str]) -> bool {
    let line = line.trim();
    if line.starts_with('#') {
        return false;
    }
    let in_url = line.split("://").skip(1).any(|rest| {
        let authority = rest.split(['/', '"', '\'']).next().unwrap_or_default();
        authority
            .split_once('@')
            .is_some_and(|(user, _)| user.contains(':') && !user.contains('{'))
    });
    let named = |name: &&str| {
        line.match_indices(*name)
            .any(|(at, _)| is_given(&line[at + name.len()..]))
    };
    in_url || names.iter().any(named)
}

/// Whether a value follows the name that has just been read: `token = "abc"`, `"token": "abc"`, `token=abc`.
fn is_given(rest: &str) -> bool {
    let between = |c: char| " \t\"'\\".contains(c);
    let rest = rest.trim_start_matches(|c: char| c.is_ascii_alphanumeric() || "-_".contains(c));
    let after = rest.trim_start_matches(between);
    let quoted = rest[..rest.len() - after.len()].contains(['"', '\'']);
    let value = match after.strip_prefix('=') {
        Some(value) => value,
        // Without a quote it is no JSON: a path, or a sentence.
        None => match after.strip_prefix(':') {
            Some(value) if quoted || value.starts_with(' ') => value,
            _ => return false,
        },
    };
    let value = value.trim_start_matches(between);
    let end = value.find(['"', '\'', '&']).unwrap_or(value.len());
    let value = value[..end].trim_end_matches('\\');
    // Of `{ file = … }` and of a placeholder, the brace; of what is captured, where it stands in an answer.
    let refers =
        value.contains('{') || value.starts_with(['/', ',', '}', '[']) || value.starts_with("header:");
    !value.is_empty() && !refers
}

#[cfg(test)]
mod tests {
    use super::*;

    fn holds(line: &str) -> bool {
        let line = line.to_ascii_lowercase();
        holds_a_secret(&line, &named_in(&line))
    }

    #[test]
    fn a_secret_is_known_by_its_name_and_what_refers_to_one_is_none() {
        for line in [
            r#"headers = { Accept = "*/*", X-Consul-Token = "abc" }"#,
            "Authorization = 'Basic eHg6eXk='",
            r#"url = "https://me:mine@lb.example/""#,
            r#"bearer = "abc""#,
            r#"basic = { user = "admin", password = "abc" }"#,
            r#"url = "https://lb.example/out?host=web&token=abc""#,
            r#"url = "https://lb.example/out?api_key=abc&host=web""#,
            r#"body = '{"drain": true, "token": "abc"}'"#,
            r#"body = "{\"secret\": \"abc\"}""#,
            r#"body = "user=admin&password=abc""#,
            r#"  "apiKey": "abc","#,
            "  client_secret: abc",
            r#"variables = { token = "abc" }"#,
        ] {
            assert!(holds(line), "{line}");
        }
        for line in [
            r#"headers = { X-Consul-Token = { file = "/etc/lb-drain/consul.token" } }"#,
            r#"headers = { Authorization = "{env:TOKEN}" }"#,
            r#"headers = { Authorization = "Bearer {env:TOKEN}" }"#,
            r#"bearer = { env = "TOKEN" }"#,
            r#"# token = "abc""#,
            r#"url = "https://lb.example/a@b:c""#,
            r#"url = "https://lb.example/out?token={env:TOKEN}&host=web""#,
            r#"url = "https://lb.example/v1/secrets/token""#,
            r#"url = "https://lb.example/token:refresh""#,
            r#"body = "token""#,
            r#"body = '{"token": "{env:TOKEN}"}'"#,
            r#"capture = { token = "/token", etag = "header:ETag" }"#,
            r#"capture = { token = "header:X-Token" }"#,
            r#"token = """#,
        ] {
            assert!(!holds(line), "{line}");
        }
    }
}
