//! The keys of a `[[load_balancer]]` section with `provider = "http"`, as they are written.
//!
//! Nothing here is interpreted: [`crate::plan`] does that. No type shows a value that may be a secret.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use serde::Deserialize;
use serde_json::Value;

use crate::source::Source;
use crate::statuses::Statuses;

/// The settings of one HTTP control endpoint. Keys are described in the provider's `README.md`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// Takes this host out: requests that run in order.
    #[serde(deserialize_with = "crate::shape::one_or_many")]
    pub(crate) deregister: Vec<Request>,
    /// Brings it back. An empty list says that it comes back by itself.
    #[serde(default, deserialize_with = "crate::shape::one_or_many_option")]
    pub(crate) register: Option<Vec<Request>>,
    /// Tells when nothing is in flight any more.
    pub(crate) drained: Option<Drained>,
    /// Headers of every request of this section.
    #[serde(default)]
    pub(crate) headers: BTreeMap<String, Source>,
    /// `Authorization: Bearer …` with every request of this section.
    pub(crate) bearer: Option<Source>,
    /// `Authorization: Basic …` with every request of this section.
    pub(crate) basic: Option<Basic>,
    /// Names of one's own for `{name}`, and what captured names stand for until they are captured.
    #[serde(default)]
    pub(crate) variables: BTreeMap<String, Text>,
    /// PEM file with the authorities to trust instead of the system's.
    pub(crate) ca_file: Option<PathBuf>,
    /// PEM file with the certificate (chain) that this host shows.
    pub(crate) client_cert: Option<PathBuf>,
    /// PEM file with its private key; unset: it is in `client_cert` too.
    pub(crate) client_key: Option<PathBuf>,
    /// How long one request may take, from connecting to the end of the answer.
    #[serde(default, deserialize_with = "lb_drain_api::duration::deserialize_option")]
    pub(crate) timeout: Option<Duration>,
}

/// User and password of basic authentication.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, expecting = "{ user = …, password = … }")]
pub(crate) struct Basic {
    pub(crate) user: Text,
    pub(crate) password: Source,
}

/// One request.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Request {
    pub(crate) method: String,
    pub(crate) url: Text,
    #[serde(default)]
    pub(crate) headers: BTreeMap<String, Source>,
    pub(crate) body: Option<Body>,
    /// Statuses that say that it is done.
    #[serde(default = "Statuses::success")]
    pub(crate) expect: Statuses,
    /// What an answer says when it had been done already: statuses or a condition. The rest of the list is not
    /// run then.
    #[serde(default, deserialize_with = "crate::shape::statuses_or_condition")]
    pub(crate) gone: Option<Condition>,
    /// Statuses after which to ask again, beside 429 and 502 to 504: the request was not carried out.
    #[serde(default)]
    pub(crate) retry: Statuses,
    /// Whether it may be sent again when it may have been carried out; default: what its method says.
    pub(crate) repeat: Option<bool>,
    /// Values of this answer, for `{name}` in later requests.
    #[serde(default)]
    pub(crate) capture: BTreeMap<String, Capture>,
    /// What the answer must say; until then it is asked again.
    pub(crate) until: Option<Condition>,
}

/// The poll that tells when nothing is in flight any more.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Drained {
    #[serde(default = "get")]
    pub(crate) method: String,
    pub(crate) url: Text,
    #[serde(default)]
    pub(crate) headers: BTreeMap<String, Source>,
    pub(crate) body: Option<Body>,
    /// Statuses with which the answer is read; without any condition, the statuses that say drained.
    #[serde(default = "Statuses::success")]
    pub(crate) expect: Statuses,
    /// Statuses that say drained, whatever the condition.
    #[serde(default)]
    pub(crate) gone: Statuses,
    // What follows are the keys of a `Condition`, written out: serde cannot refuse unknown keys through
    // `flatten`.
    pub(crate) array: Option<String>,
    #[serde(default, rename = "where")]
    pub(crate) matching: BTreeMap<String, Value>,
    pub(crate) pointer: Option<String>,
    pub(crate) op: Option<Op>,
    pub(crate) value: Option<Value>,
    pub(crate) text: Option<String>,
    /// Whether it holds too when there is no such element or value.
    #[serde(default)]
    pub(crate) or_absent: bool,
    /// Statuses and conditions that say that the drain has failed.
    pub(crate) failed: Option<Condition>,
}

/// What an answer says: of a JSON value, or of its text.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Condition {
    /// Statuses of the answer.
    pub(crate) status: Option<Statuses>,
    /// JSON pointer to the array that `where` looks through; default: the answer itself.
    pub(crate) array: Option<String>,
    /// Fields and their values by which an element of the array is found.
    #[serde(default, rename = "where")]
    pub(crate) matching: BTreeMap<String, Value>,
    /// JSON pointer into the answer, or into the element found.
    pub(crate) pointer: Option<String>,
    pub(crate) op: Option<Op>,
    pub(crate) value: Option<Value>,
    /// Text that the answer holds (with `op = "absent"`: does not hold).
    pub(crate) text: Option<String>,
    /// Whether it holds too when there is no such element or value.
    #[serde(default)]
    pub(crate) or_absent: bool,
}

/// How two values are compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub(crate) enum Op {
    #[serde(rename = "==")]
    Equal,
    #[serde(rename = "!=")]
    NotEqual,
    #[serde(rename = "<")]
    Less,
    #[serde(rename = "<=")]
    AtMost,
    #[serde(rename = ">")]
    Greater,
    #[serde(rename = ">=")]
    AtLeast,
    #[serde(rename = "exists")]
    Exists,
    #[serde(rename = "absent")]
    Absent,
}

/// Where a captured value stands in an answer.
#[derive(Debug, Clone)]
pub(crate) enum Capture {
    /// `"/pointer"` or `"header:NAME"`.
    Short(String),
    /// An element of an array by its fields.
    Element(Element),
}

/// An element of an array by its fields.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Element {
    pub(crate) array: Option<String>,
    #[serde(default, rename = "where")]
    pub(crate) matching: BTreeMap<String, Value>,
    /// JSON pointer into the element; default: the whole element.
    pub(crate) pointer: Option<String>,
    /// Whether its position in the array is wanted.
    #[serde(default)]
    pub(crate) index: bool,
}

/// A request's body.
#[derive(Clone)]
pub(crate) enum Body {
    Inline(String),
    File(PathBuf),
}

impl fmt::Debug for Body {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Inline(text) => write!(f, "[{} bytes]", text.len()),
            Self::File(path) => write!(f, "file {}", path.display()),
        }
    }
}

/// A string, number or boolean that may hold a secret in plain sight.
#[derive(Clone)]
pub(crate) struct Text(pub(crate) Value);

impl Text {
    /// Its text, whatever it is.
    pub(crate) fn text(&self) -> String {
        crate::values::text(&self.0)
    }
}

impl fmt::Debug for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[text]")
    }
}

fn get() -> String {
    "GET".to_owned()
}
