//! One request: validated, filled in, sent.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::time::Duration;

use base64::Engine as _;
use lb_drain_api::{Error, Result, SettingsError};
use reqwest::header::{
    AUTHORIZATION, CONTENT_LENGTH, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, LOCATION,
};
use reqwest::{Method, Url};
use secrecy::ExposeSecret;

use crate::address::Address;
use crate::answer::Answer;
use crate::client::{Clients, Route};
use crate::failure;
use crate::settings::{Basic, Body};
use crate::source::{Secrets, Source};
use crate::template::{Place, Scope, Template};
use crate::values::{Captured, Facts, Missing, Name, Values};

/// How many redirects are followed. A control endpoint has no reason for more than one.
const REDIRECTS: usize = 5;

/// One request, validated.
#[derive(Debug, Clone)]
pub(crate) struct Call {
    method: Method,
    address: Address,
    headers: Vec<(HeaderName, Content)>,
    body: Option<Text>,
    scope: Scope,
    /// Whether it may be sent again when it may have been carried out.
    pub repeatable: bool,
}

/// A header's value.
#[derive(Debug, Clone)]
enum Content {
    Template(Template),
    Source(Source),
    Bearer(Box<Content>),
    Basic(Template, Box<Content>),
}

/// A body and how values are written in it.
#[derive(Debug, Clone)]
struct Text {
    from: From,
    /// The `Content-Type` that the configuration gives it.
    kind: Option<String>,
}

#[derive(Debug, Clone)]
enum From {
    Inline(Template, Place),
    File(PathBuf),
}

/// What every request of a section carries.
#[derive(Debug, Clone, Default)]
pub(crate) struct Common {
    pub headers: BTreeMap<String, Source>,
    pub bearer: Option<Source>,
    pub basic: Option<Basic>,
}

/// What one request is made of, as configured.
pub(crate) struct Parts<'a> {
    pub method: &'a str,
    pub url: &'a str,
    pub headers: &'a BTreeMap<String, Source>,
    pub body: Option<&'a Body>,
    pub repeat: Option<bool>,
}

/// A request on its way, as failures tell of it.
#[derive(Debug)]
pub(crate) struct Sent<'a> {
    /// Scheme, host and port, or the socket.
    pub origin: String,
    /// Method and path.
    pub line: String,
    pub url: Url,
    pub secrets: Secrets,
    pub limit: Duration,
    pub repeatable: bool,
    call: &'a Call,
    route: Route,
    headers: HeaderMap,
    body: Option<Vec<u8>>,
}

impl Call {
    /// # Errors
    ///
    /// What is wrong with which key.
    pub(crate) fn read(
        parts: &Parts<'_>,
        common: &Common,
        scope: &Scope,
        captured: &BTreeSet<String>,
    ) -> Result<Self, SettingsError> {
        let method = parts
            .method
            .parse::<Method>()
            .ok()
            .filter(|_| parts.method == parts.method.to_uppercase());
        let Some(method) = method.filter(|method| *method != Method::CONNECT) else {
            let message = format!(
                r#""{}" is no method; write one such as GET, PUT or POST"#,
                parts.method
            );
            return Err(SettingsError::new("method", message));
        };
        let headers = headers(parts.headers, common, scope)?;
        let kind = headers.iter().find_map(|(name, content)| match content {
            Content::Template(template) if *name == CONTENT_TYPE => {
                Some(template.show(&Values::new(), Place::Plain))
            }
            _ => None,
        });
        Ok(Self {
            repeatable: parts.repeat.unwrap_or_else(|| method.is_idempotent()),
            address: Address::read(parts.url, scope, captured)?,
            body: parts.body.map(|body| Text::read(body, kind, scope)).transpose()?,
            scope: scope.clone(),
            headers,
            method,
        })
    }

    /// Whether it changes nothing (RFC 9110, section 9.2.1).
    pub(crate) fn is_safe(&self) -> bool {
        self.method.is_safe()
    }

    /// The names that it uses. Those of a body's file are known only when it is sent.
    pub(crate) fn names(&self) -> BTreeSet<Name> {
        let mut names = self.address.names();
        for (_, content) in &self.headers {
            names.extend(content.names());
        }
        if let Some(Text {
            from: From::Inline(template, _),
            ..
        }) = &self.body
        {
            names.extend(template.names());
        }
        names
    }

    /// Scheme, host and port, or the socket, with what is at hand.
    pub(crate) fn origin(&self, facts: &Facts) -> String {
        self.address
            .origin(&facts.at_hand(&self.address.names(), &Captured::new()))
    }

    /// Method and path with what is at hand.
    pub(crate) fn line(&self, facts: &Facts) -> String {
        let values = facts.at_hand(&self.address.names(), &Captured::new());
        format!("{} {}", self.method, self.address.path(&values))
    }

    /// Whether it would carry a secret in plain text to another host, as far as that can be told without
    /// reading any.
    pub(crate) fn exposes(&self, facts: &Facts) -> bool {
        let secret_header = |(name, content): &(HeaderName, Content)| match content {
            Content::Template(_) => !is_harmless(name),
            Content::Source(_) | Content::Bearer(_) | Content::Basic(..) => true,
        };
        let secret = self.headers.iter().any(secret_header)
            || self.names().iter().any(|name| matches!(name, Name::Env(_)));
        let origin = self.origin(facts);
        let other_host = Url::parse(&origin).is_ok_and(|url| !crate::client::is_loopback(&url));
        secret && origin.starts_with("http://") && other_host
    }

    /// Fills in what the placeholders stand for, and reads the files.
    ///
    /// # Errors
    ///
    /// What is missing, or cannot stand where it would.
    pub(crate) async fn fill(
        &self,
        facts: &Facts,
        clients: &Clients,
        captured: &Captured,
    ) -> Result<Sent<'_>> {
        self.try_fill(facts, clients, captured).await.map_err(|missing| {
            let what = format!(
                r#"http {} cannot be asked "{}""#,
                self.origin(facts),
                self.line(facts)
            );
            match missing.temporary {
                true => Error::temporary(what, missing.why),
                false => Error::permanent(what, missing.why),
            }
        })
    }

    async fn try_fill(
        &self,
        facts: &Facts,
        clients: &Clients,
        captured: &Captured,
    ) -> Result<Sent<'_>, Missing> {
        let body = self
            .body
            .as_ref()
            .map(|body| body.template(&self.scope))
            .transpose();
        let body = body.map_err(Missing::permanent)?;
        let mut names = self.names();
        if let Some((template, _)) = &body {
            names.extend(template.names());
        }
        let values = facts.resolve(&names, captured).await?;
        let mut secrets = Secrets::default();
        for field in values.values().filter(|field| field.secret) {
            secrets.add(&crate::values::text(&field.value));
        }
        let fail = Missing::permanent;
        let located = self
            .address
            .render(&values)
            .map_err(|why| fail(format!("url: {why}")))?;
        let query = located.url.query().unwrap_or_default();
        secrets.add_likely(
            query
                .split('&')
                .filter_map(|pair| pair.split_once('='))
                .map(|(_, value)| value),
        );
        let mut headers = HeaderMap::new();
        for (name, content) in &self.headers {
            let value = content
                .render(&values, &mut secrets)
                .map_err(|why| fail(format!("{name}: {why}")))?;
            let mut value = HeaderValue::from_str(&value)
                .map_err(|_| fail(format!("{name}: holds what no header may, such as a line break")))?;
            value.set_sensitive(true);
            if !is_harmless(name) {
                secrets.add_header(&String::from_utf8_lossy(value.as_bytes()));
            }
            headers.insert(name.clone(), value);
        }
        let mut bytes = None;
        if let Some((template, place)) = body {
            let text = template
                .render(&values, place)
                .map_err(|why| fail(format!("body: {why}")))?;
            if place == Place::Json {
                // Not the parser's own words: they quote what may be a secret.
                serde_json::from_str::<serde::de::IgnoredAny>(&text).map_err(|error| {
                    fail(format!(
                        "body: no JSON at column {} of line {}",
                        error.column(),
                        error.line()
                    ))
                })?;
            }
            if place == Place::Json && !headers.contains_key(CONTENT_TYPE) {
                headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
            }
            if matches!(
                self.body,
                Some(Text {
                    from: From::File(_),
                    ..
                })
            ) {
                secrets.add_likely(text.split(|c: char| c == '"' || c.is_whitespace()));
            }
            bytes = Some(text.into_bytes());
        }
        Ok(Sent {
            origin: self.address.origin(&values),
            line: format!("{} {}", self.method, self.address.path(&values)),
            route: Route::to(&located.url, located.unix),
            url: located.url,
            limit: clients.limit(),
            repeatable: self.repeatable,
            call: self,
            secrets,
            headers,
            body: bytes,
        })
    }
}

impl Sent<'_> {
    /// How the server is reached.
    pub(crate) fn route(&self) -> &Route {
        &self.route
    }

    /// Whether it carries what must not be read on the way, on a way where it can be.
    pub(crate) fn is_exposed(&self) -> bool {
        let plain = self.url.scheme() == "http" && !matches!(self.route, Route::Unix(_));
        plain && self.secrets.is_any() && !crate::client::is_loopback(&self.url)
    }

    /// Sends it and reads the answer, through redirects within the same server. `expected` says whether a
    /// status is one to hand back whatever it means.
    ///
    /// # Errors
    ///
    /// No connection, no answer, or a redirect that is not followed.
    pub(crate) async fn send(&self, clients: &Clients, expected: impl Fn(u16) -> bool) -> Result<Answer> {
        let tried = || format!(r#"http {} cannot be asked "{}""#, self.origin, self.line);
        let client = clients.get(&self.route, &self.url).map_err(|why| {
            Error::permanent(tried(), why).advise("correct ca_file, client_cert or client_key")
        })?;
        let mut url = self.url.clone();
        for _ in 0..=REDIRECTS {
            // Without a body, its length is said all the same where there could be one (RFC 9110, section 8.6):
            // some servers answer 411 or 500 otherwise.
            let could = matches!(self.call.method, Method::POST | Method::PUT | Method::PATCH);
            let mut request = client
                .request(self.call.method.clone(), url.clone())
                .headers(self.headers.clone());
            match &self.body {
                Some(body) => request = request.body(body.clone()),
                None if could => request = request.header(CONTENT_LENGTH, 0),
                None => {}
            }
            let response = request
                .send()
                .await
                .map_err(|error| failure::no_answer(self, &error))?;
            let answer = Answer::read(response).await;
            let status = answer.status.as_u16();
            if !matches!(status, 301 | 302 | 303 | 307 | 308) || expected(status) {
                return Ok(answer);
            }
            url = self.follow(&url, &answer)?;
        }
        let what = format!(r#"http {} redirected "{}" in circles"#, self.origin, self.line);
        Err(Error::permanent(what, format!("more than {REDIRECTS} times")).advise("check url"))
    }

    /// Where a redirect points, if that is followed: within the same server, with the same method. Another
    /// server would get the credentials; another method would not do what was asked for, and look as if it
    /// had (a login page answers 200 to anything).
    fn follow(&self, from: &Url, answer: &Answer) -> Result<Url> {
        let status = answer.status.as_u16();
        let what = format!(r#"http {} redirected "{}" ({status})"#, self.origin, self.line);
        let location = answer
            .header(LOCATION.as_str())
            .and_then(|location| from.join(location).ok());
        let Some(to) = location else {
            return Err(Error::permanent(what, "to nowhere: its Location cannot be read"));
        };
        let shown = self
            .secrets
            .hide(&format!("{}{}", to.origin().ascii_serialization(), to.path()));
        if to.origin() != from.origin() {
            return Err(
                Error::permanent(what, format!("to {shown}, another server, which is sent nothing"))
                    .advise("if that is the right one, write it into url"),
            );
        }
        if matches!(status, 307 | 308) || self.call.is_safe() {
            return Ok(to);
        }
        Err(Error::permanent(
            what,
            format!("to {shown}, which would be asked with another method"),
        )
        .advise("write the right address into url, or the status into expect"))
    }
}

impl Content {
    fn read(key: &'static str, source: &Source, scope: &Scope) -> Result<Self, SettingsError> {
        Ok(match source {
            Source::Inline(text) => Self::Template(Template::read(key, text, scope)?),
            other => Self::Source(other.clone()),
        })
    }

    fn names(&self) -> BTreeSet<Name> {
        match self {
            Self::Template(template) => template.names(),
            Self::Source(_) => BTreeSet::new(),
            Self::Bearer(token) => token.names(),
            Self::Basic(user, password) => user.names().into_iter().chain(password.names()).collect(),
        }
    }

    fn render(&self, values: &Values, secrets: &mut Secrets) -> Result<String, String> {
        match self {
            Self::Template(template) => template.render(values, Place::Plain),
            Self::Source(source) => source.read().map(|secret| secret.expose_secret().to_owned()),
            Self::Bearer(token) => Ok(format!("Bearer {}", token.render(values, secrets)?)),
            Self::Basic(user, password) => {
                let user = user.render(values, Place::Plain)?;
                if user.contains(':') {
                    return Err("a user name holds no colon (RFC 7617)".to_owned());
                }
                let password = password.render(values, secrets)?;
                secrets.add(&password);
                Ok(format!(
                    "Basic {}",
                    base64::prelude::BASE64_STANDARD.encode(format!("{user}:{password}"))
                ))
            }
        }
    }
}

/// The headers of one request: its own win over those of the section.
fn headers(
    own: &BTreeMap<String, Source>,
    common: &Common,
    scope: &Scope,
) -> Result<Vec<(HeaderName, Content)>, SettingsError> {
    let mut all: BTreeMap<String, (HeaderName, Content)> = BTreeMap::new();
    let mut add = |name: HeaderName, content| {
        all.insert(name.as_str().to_owned(), (name, content));
    };
    match (&common.bearer, &common.basic) {
        (Some(_), Some(_)) => return Err(SettingsError::new("basic", "does not go with bearer: choose one")),
        (Some(token), None) => {
            add(
                AUTHORIZATION,
                Content::Bearer(Box::new(Content::read("bearer", token, scope)?)),
            );
        }
        (None, Some(basic)) => {
            let user = Template::read("basic", &basic.user.text(), scope)?;
            add(
                AUTHORIZATION,
                Content::Basic(user, Box::new(Content::read("basic", &basic.password, scope)?)),
            );
        }
        (None, None) => {}
    }
    for (name, source) in common.headers.iter().chain(own) {
        let parsed = HeaderName::from_bytes(name.as_bytes())
            .map_err(|_| SettingsError::new("headers", format!(r#""{name}" is no header's name"#)))?;
        if matches!(
            parsed.as_str(),
            "content-length" | "transfer-encoding" | "connection"
        ) {
            let message = format!("{name} is set by the connection; leave it out");
            return Err(SettingsError::new("headers", message));
        }
        add(parsed, Content::read("headers", source, scope)?);
    }
    Ok(all.into_values().collect())
}

/// Headers that say nothing worth hiding, so that a server's words about them stay readable.
fn is_harmless(name: &HeaderName) -> bool {
    matches!(
        name.as_str(),
        "accept" | "content-type" | "host" | "if-match" | "if-none-match" | "prefer" | "user-agent"
    )
}

impl Text {
    fn read(body: &Body, kind: Option<String>, scope: &Scope) -> Result<Self, SettingsError> {
        let from = match body {
            Body::Inline(text) => {
                From::Inline(Template::read("body", text, scope)?, place(kind.as_deref(), text))
            }
            Body::File(path) => {
                // One that cannot be read now may be there when it is needed; `check` tells of it.
                if let Ok(text) = std::fs::read_to_string(path) {
                    Template::read("body", &text, scope)?;
                }
                From::File(path.clone())
            }
        };
        Ok(Self { from, kind })
    }

    fn template(&self, scope: &Scope) -> Result<(Template, Place), String> {
        match &self.from {
            From::Inline(template, place) => Ok((template.clone(), *place)),
            From::File(path) => {
                let text = std::fs::read_to_string(path)
                    .map_err(|error| format!("body: {} cannot be read: {error}", path.display()))?;
                let template = Template::read("body", &text, scope).map_err(|error| error.to_string())?;
                Ok((template, place(self.kind.as_deref(), &text)))
            }
        }
    }
}

/// How values are written in a body: as its type says, else as it begins.
fn place(kind: Option<&str>, text: &str) -> Place {
    match kind {
        Some(kind) if kind.contains("json") => Place::Json,
        Some(kind) if kind.contains("x-www-form-urlencoded") => Place::Url,
        Some(_) => Place::Plain,
        None if text.trim_start().starts_with(['{', '[']) => Place::Json,
        None => Place::Plain,
    }
}
