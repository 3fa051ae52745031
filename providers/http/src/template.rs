//! Texts with placeholders, and how a value is written for the place where it stands.

use std::collections::BTreeSet;

use lb_drain_api::SettingsError;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::Value;

use crate::values::{BUILT_IN, Name, Values, json_string, text};

/// What RFC 3986, section 2.3, does not call unreserved.
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');

/// Where a text stands, which decides how values are written in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    /// Nothing to escape: a header (checked as a whole), a value to compare with.
    Plain,
    /// Host and port of a URL: an IPv6 address gets brackets, and nothing may end the host.
    Authority,
    /// Path or query of a URL, or a form: percent-encoded.
    Url,
    /// A JSON document: escaped within quotes, a JSON value outside of them.
    Json,
}

/// Which names may stand in a text.
#[derive(Debug, Clone, Default)]
pub(crate) struct Scope {
    pub own: BTreeSet<String>,
}

impl Scope {
    /// The names for people.
    fn known(&self) -> String {
        let own: String = self.own.iter().map(|name| format!(" {{{name}}}")).collect();
        format!("{BUILT_IN}{own}")
    }
}

/// A text with placeholders.
#[derive(Clone, PartialEq)]
pub(crate) struct Template {
    parts: Vec<Part>,
    /// The value, when it is a number or boolean of the configuration.
    constant: Option<Value>,
}

#[derive(Debug, Clone, PartialEq)]
enum Part {
    Text(String),
    Name(Name),
}

impl Template {
    /// Reads a text. `{name}` is a placeholder when what is in the braces looks like a name, so JSON needs
    /// no escaping; `{{name}}` stands for `{name}` as it is.
    ///
    /// # Errors
    ///
    /// An unknown name, told with the known ones.
    pub(crate) fn read(key: &'static str, text: &str, scope: &Scope) -> Result<Self, SettingsError> {
        let mut parts = Vec::new();
        let mut literal = String::new();
        let mut rest = text;
        while let Some(start) = rest.find('{') {
            literal.push_str(&rest[..start]);
            rest = &rest[start..];
            if let Some(name) = rest.strip_prefix("{{").and_then(placeholder)
                && rest[name.len() + 2..].starts_with("}}")
            {
                literal.push_str(&format!("{{{name}}}"));
                rest = &rest[name.len() + 4..];
            } else if let Some(name) = placeholder(&rest[1..]) {
                if !literal.is_empty() {
                    parts.push(Part::Text(std::mem::take(&mut literal)));
                }
                parts.push(Part::Name(known(key, name, scope)?));
                rest = &rest[name.len() + 2..];
            } else {
                literal.push('{');
                rest = &rest[1..];
            }
        }
        literal.push_str(rest);
        if !literal.is_empty() {
            parts.push(Part::Text(literal));
        }
        Ok(Self {
            parts,
            constant: None,
        })
    }

    /// A value of the configuration: only a string may hold placeholders.
    pub(crate) fn read_value(key: &'static str, value: &Value, scope: &Scope) -> Result<Self, SettingsError> {
        match value {
            Value::String(text) => Self::read(key, text, scope),
            other => Ok(Self {
                parts: vec![Part::Text(text(other))],
                constant: Some(other.clone()),
            }),
        }
    }

    /// The number or boolean that it is.
    pub(crate) fn constant(&self) -> Option<&Value> {
        self.constant.as_ref()
    }

    /// The names in it.
    pub(crate) fn names(&self) -> BTreeSet<Name> {
        let name = |part: &Part| match part {
            Part::Name(name) => Some(name.clone()),
            Part::Text(_) => None,
        };
        self.parts.iter().filter_map(name).collect()
    }

    /// The text with the values in it.
    ///
    /// # Errors
    ///
    /// A value that is missing or cannot stand there; the value itself is not named.
    pub(crate) fn render(&self, values: &Values, place: Place) -> Result<String, String> {
        let mut out = String::new();
        let mut quotes = Quotes::default();
        for part in &self.parts {
            match part {
                Part::Text(literal) => {
                    quotes.read(literal);
                    out.push_str(literal);
                }
                Part::Name(name) => {
                    let field = values.get(name).ok_or_else(|| format!("{name} is not known"))?;
                    out.push_str(&write(name, &field.value, place, quotes.inside, &out)?);
                }
            }
        }
        Ok(out)
    }

    /// The text for people: what is secret or not known stays a placeholder.
    pub(crate) fn show(&self, values: &Values, place: Place) -> String {
        let mut out = String::new();
        for part in &self.parts {
            match part {
                Part::Text(literal) => out.push_str(literal),
                Part::Name(name) => {
                    let field = values.get(name).filter(|field| !field.secret);
                    let written = field.and_then(|field| write(name, &field.value, place, true, &out).ok());
                    out.push_str(&written.unwrap_or_else(|| name.to_string()));
                }
            }
        }
        out
    }
}

impl std::fmt::Debug for Template {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // Its literal parts may be a secret that was written into the configuration.
        write!(f, "template of {:?}", self.names())
    }
}

/// The name at the start of `text`, if a closing brace follows it.
fn placeholder(text: &str) -> Option<&str> {
    let name = &text[..text.find('}')?];
    is_name(name).then_some(name)
}

/// Whether a text in braces is a placeholder. JSON never has one there: a letter cannot follow a brace.
pub(crate) fn is_name(text: &str) -> bool {
    let starts = text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
    starts
        && text
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || "_:-.".contains(c))
}

fn known(key: &'static str, text: &str, scope: &Scope) -> Result<Name, SettingsError> {
    let name = Name::read(text);
    let known = match &name {
        Name::Own(own) => scope.own.contains(own),
        Name::Env(variable) => !variable.is_empty(),
        _ => true,
    };
    if known {
        return Ok(name);
    }
    let all = scope.known();
    Err(SettingsError::new(
        key,
        format!(
            "{{{text}}} is not known here; known are {all} (a literal {{{text}}} is written {{{{{text}}}}})"
        ),
    ))
}

fn write(name: &Name, value: &Value, place: Place, in_quotes: bool, before: &str) -> Result<String, String> {
    match place {
        Place::Plain => Ok(text(value)),
        Place::Url => Ok(utf8_percent_encode(&text(value), RESERVED).to_string()),
        Place::Authority => {
            let text = text(value);
            if text.parse::<std::net::Ipv6Addr>().is_ok() {
                Ok(if before.ends_with('[') {
                    text
                } else {
                    format!("[{text}]")
                })
            } else if is_host(&text) {
                Ok(text)
            } else {
                Err(format!(
                    "{name} stands for something that cannot be a host or port"
                ))
            }
        }
        Place::Json if in_quotes => Ok(json_string(&text(value))),
        Place::Json => Ok(match value {
            // A number or boolean from the environment arrives as text.
            Value::String(text) => match serde_json::from_str::<Value>(text) {
                Ok(scalar) if !scalar.is_array() && !scalar.is_object() => scalar.to_string(),
                _ => value.to_string(),
            },
            other => other.to_string(),
        }),
    }
}

/// Whether a text is a host, a port, or both.
fn is_host(text: &str) -> bool {
    let of_host = |c: char| c.is_ascii_alphanumeric() || "-._".contains(c);
    let (host, port) = match text.rsplit_once(':') {
        Some((host, port)) => (host, port),
        None => (text, "0"),
    };
    let v6 = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
    let host_is_one = match v6 {
        Some(v6) => v6.parse::<std::net::Ipv6Addr>().is_ok(),
        None => !host.is_empty() && host.chars().all(of_host),
    };
    // A number with a sign is a number, and no port.
    host_is_one && port.bytes().all(|b| b.is_ascii_digit()) && port.parse::<u16>().is_ok()
}

/// Whether a position in a JSON text is within the quotes of a string.
#[derive(Debug, Default)]
struct Quotes {
    inside: bool,
    escaped: bool,
}

impl Quotes {
    fn read(&mut self, text: &str) {
        for c in text.chars() {
            match c {
                _ if self.escaped => self.escaped = false,
                '\\' if self.inside => self.escaped = true,
                '"' => self.inside = !self.inside,
                _ => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::values::Field;

    fn scope() -> Scope {
        Scope {
            own: ["id", "weight"].map(str::to_owned).into(),
        }
    }

    fn render(text: &str, place: Place, id: impl Into<Value>) -> Result<String, String> {
        let values = Values::from([(Name::Own("id".into()), Field::plain(id))]);
        Template::read("url", text, &scope())
            .expect("a template")
            .render(&values, place)
    }

    #[test]
    fn a_value_is_escaped_for_where_it_stands() {
        let value = r#"a/b?c=d&"é"#;
        assert_eq!(
            render("x{id}y", Place::Plain, value).expect("text"),
            r#"xa/b?c=d&"éy"#
        );
        assert_eq!(
            render("/{id}", Place::Url, value).expect("text"),
            "/a%2Fb%3Fc%3Dd%26%22%C3%A9"
        );
        assert_eq!(
            render(r#"{"a": "{id}"}"#, Place::Json, value).expect("text"),
            r#"{"a": "a/b?c=d&\"é"}"#
        );
        assert!(render("{id}:80", Place::Authority, value).is_err());
        assert_eq!(
            render("{id}:80", Place::Authority, "fd00::1").expect("text"),
            "[fd00::1]:80"
        );
        for host in ["lb.example:8080", "10.0.0.5:80", "[fd00::1]:80", "lb_1"] {
            assert_eq!(render("{id}", Place::Authority, host).expect("a host"), host);
        }
        for other in [
            "lb:", "lb:port", "lb:+80", "a:b:80", "lb@x", "lb/x", "", "[lb]:80",
        ] {
            assert!(render("{id}", Place::Authority, other).is_err(), "{other}");
        }
        assert_eq!(
            render("[{id}]:80", Place::Authority, "fd00::1").expect("text"),
            "[fd00::1]:80"
        );
    }

    #[test]
    fn outside_of_quotes_json_gets_a_value_and_never_a_way_out() {
        let json = |id: Value| render(r#"{"a\"{": {id}}"#, Place::Json, id).expect("text");
        assert_eq!(json(7.into()), r#"{"a\"{": 7}"#);
        assert_eq!(json("7".into()), r#"{"a\"{": 7}"#);
        assert_eq!(json(serde_json::json!({"w": 1})), r#"{"a\"{": {"w":1}}"#);
        assert_eq!(
            json(r#"1, "admin": true"#.into()),
            r#"{"a\"{": "1, \"admin\": true"}"#
        );
        assert_eq!(json("[1]".into()), r#"{"a\"{": "[1]"}"#);
    }

    #[test]
    fn json_needs_no_escaping_and_a_literal_placeholder_can_be_written() {
        for text in [r#"{"drain": true, "a": {"b": {}}}"#, "{ id }", "{}", "{", "{1}"] {
            assert_eq!(render(text, Place::Plain, 1).expect("text"), text);
        }
        assert_eq!(
            render("{{nope}} {{id}}", Place::Plain, 1).expect("text"),
            "{nope} {id}"
        );
        assert_eq!(render("{{{id}}}", Place::Plain, 1).expect("text"), "{{id}}");
    }

    #[test]
    fn an_unknown_name_is_told_with_the_known_ones() {
        let error = Template::read("deregister.url", "http://h/{host}", &scope()).expect_err("unknown");
        let text = error.to_string();
        assert!(
            text.starts_with("deregister.url: {host} is not known here; known are {hostname} "),
            "{text}"
        );
        assert!(text.contains("{env:NAME} {id} {weight}"), "{text}");
        assert!(Template::read("url", "{env:}", &scope()).is_err());
    }

    #[test]
    fn what_is_secret_or_unknown_is_shown_as_its_placeholder() {
        let template = Template::read("url", "/{env:TOKEN}/{id}/{weight}", &scope()).expect("a template");
        let values = Values::from([
            (Name::Own("id".into()), Field::plain("a b")),
            (
                Name::Env("TOKEN".into()),
                Field {
                    value: "s3cret".into(),
                    secret: true,
                },
            ),
        ]);
        assert_eq!(template.show(&values, Place::Url), "/{env:TOKEN}/a%20b/{weight}");
        assert!(!format!("{template:?}").contains('/'));
    }
}
