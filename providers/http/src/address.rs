//! URLs with placeholders: `https://host/path?query` and `unix:/run/x.sock:/path?query`.

use std::collections::BTreeSet;
use std::path::PathBuf;

use lb_drain_api::SettingsError;
use reqwest::Url;

use crate::template::{Place, Scope, Template};
use crate::values::{Name, Values};

/// A URL with placeholders, cut into the places that escape differently.
#[derive(Debug, Clone)]
pub(crate) struct Address {
    server: Server,
    path: Template,
    query: Option<Template>,
}

#[derive(Debug, Clone)]
enum Server {
    Tcp {
        scheme: &'static str,
        authority: Template,
    },
    Unix(Template),
}

/// A URL with the values in it.
#[derive(Debug, Clone)]
pub(crate) struct Located {
    pub url: Url,
    /// The socket to use instead of the URL's host.
    pub unix: Option<PathBuf>,
}

impl Address {
    /// Reads a URL. Captured values may stand in path and query only: what an answer says must not decide
    /// who is sent the credentials.
    ///
    /// # Errors
    ///
    /// What is wrong with it; an unknown placeholder.
    pub(crate) fn read(
        text: &str,
        scope: &Scope,
        captured: &BTreeSet<String>,
    ) -> Result<Self, SettingsError> {
        let wrong = |message: &str| SettingsError::new("url", message);
        let (server, rest) = if let Some(rest) = text.strip_prefix("unix:") {
            let (socket, path) = split_outside_braces(rest, &[':'])
                .ok_or_else(|| wrong("a unix socket is written unix:/run/x.sock:/path"))?;
            if !socket.starts_with('/') || !path[1..].starts_with('/') {
                return Err(wrong("a unix socket is written unix:/run/x.sock:/path"));
            }
            (Server::Unix(Template::read("url", socket, scope)?), &path[1..])
        } else {
            let (scheme, rest) = [("http", "http://"), ("https", "https://")]
                .into_iter()
                .find_map(|(scheme, prefix)| Some((scheme, text.strip_prefix(prefix)?)))
                .ok_or_else(|| wrong("starts with http://, https:// or unix:"))?;
            let (authority, path) = split_outside_braces(rest, &['/', '?', '#']).unwrap_or((rest, "/"));
            if authority.is_empty() {
                return Err(wrong("names no host"));
            }
            if authority.contains('@') {
                return Err(wrong(
                    "holds a user name; write basic = { user = …, password = … } instead",
                ));
            }
            let authority = Template::read("url", authority, scope)?;
            (Server::Tcp { scheme, authority }, path)
        };
        if rest.contains('#') {
            return Err(wrong("holds a #, which is never sent; write %23 if it is meant"));
        }
        let (path, query) = match split_outside_braces(rest, &['?']) {
            Some((path, query)) => (path, Some(&query[1..])),
            None => (rest, None),
        };
        let address = Self {
            server,
            path: Template::read("url", if path.is_empty() { "/" } else { path }, scope)?,
            query: query
                .map(|query| Template::read("url", query, scope))
                .transpose()?,
        };
        let of_server = match &address.server {
            Server::Tcp { authority, .. } => authority.names(),
            Server::Unix(socket) => socket.names(),
        };
        for name in of_server {
            if let Name::Own(own) = &name
                && captured.contains(own)
            {
                return Err(wrong(&format!(
                    "{name} is captured from an answer, which must not choose the host"
                )));
            }
        }
        Ok(address)
    }

    pub(crate) fn names(&self) -> BTreeSet<Name> {
        let server = match &self.server {
            Server::Tcp { authority, .. } => authority.names(),
            Server::Unix(socket) => socket.names(),
        };
        let query = self.query.iter().flat_map(Template::names);
        server.into_iter().chain(self.path.names()).chain(query).collect()
    }

    /// # Errors
    ///
    /// A sentence without any value: what cannot stand where it would.
    pub(crate) fn render(&self, values: &Values) -> Result<Located, String> {
        let (mut text, unix) = match &self.server {
            Server::Tcp { scheme, authority } => (
                format!("{scheme}://{}", authority.render(values, Place::Authority)?),
                None,
            ),
            // Servers on a unix socket want some host; this is what curl's users write.
            Server::Unix(socket) => (
                "http://localhost".to_owned(),
                Some(PathBuf::from(socket.render(values, Place::Plain)?)),
            ),
        };
        let path = self.path.render(values, Place::Url)?;
        if path.split('/').any(is_dots) {
            return Err("its path would hold a . or .. segment, which names another path".to_owned());
        }
        text.push_str(&path);
        if let Some(query) = &self.query {
            text.push('?');
            text.push_str(&query.render(values, Place::Url)?);
        }
        let url = Url::parse(&text).map_err(|error| format!("it is no URL: {error}"))?;
        Ok(Located { url, unix })
    }

    /// Scheme, host and port, or the socket, for people.
    pub(crate) fn origin(&self, values: &Values) -> String {
        match &self.server {
            Server::Tcp { scheme, authority } => {
                format!("{scheme}://{}", authority.show(values, Place::Authority))
            }
            Server::Unix(socket) => format!("unix:{}", socket.show(values, Place::Plain)),
        }
    }

    /// The path for people. The query stays unsaid: that is where tokens are put.
    pub(crate) fn path(&self, values: &Values) -> String {
        self.path.show(values, Place::Url)
    }
}

/// Cuts before the first of these characters that does not stand in braces.
fn split_outside_braces<'a>(text: &'a str, at: &[char]) -> Option<(&'a str, &'a str)> {
    let mut in_braces = false;
    let found = |c: char| {
        match c {
            '{' => in_braces = true,
            '}' => in_braces = false,
            _ => {}
        }
        !in_braces && at.contains(&c)
    };
    Some(text.split_at(text.find(found)?))
}

/// URL parsers resolve these, percent-encoded ones too (WHATWG URL standard, "double-dot URL path segment").
fn is_dots(segment: &str) -> bool {
    matches!(
        segment.to_ascii_lowercase().replace("%2e", ".").as_str(),
        "." | ".."
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::values::Field;

    fn address(text: &str) -> Result<Address, SettingsError> {
        let own = ["host", "id"].map(str::to_owned);
        let scope = Scope { own: own.into() };
        Address::read(text, &scope, &BTreeSet::from(["id".to_owned()]))
    }

    fn values(id: &str) -> Values {
        let named = |name: &str, value: &str| (Name::Own(name.into()), Field::plain(value));
        Values::from([named("id", id), named("host", "fd00::1")])
    }

    fn render(text: &str, id: &str) -> Result<String, String> {
        let located = address(text).expect("a URL").render(&values(id))?;
        Ok(match located.unix {
            Some(socket) => format!("{} {}", socket.display(), located.url),
            None => located.url.to_string(),
        })
    }

    #[test]
    fn each_part_escapes_in_its_own_way() {
        assert_eq!(
            render("https://{host}:8443/a/{id}/b?x={id}&y=1", "a/b?&c").expect("a URL"),
            "https://[fd00::1]:8443/a/a%2Fb%3F%26c/b?x=a%2Fb%3F%26c&y=1"
        );
        assert_eq!(render("http://h", "").expect("a URL"), "http://h/");
        assert_eq!(render("http://h?x=1", "").expect("a URL"), "http://h/?x=1");
    }

    #[test]
    fn a_unix_socket_has_a_path_of_its_own() {
        assert_eq!(
            render("unix:/run/caddy.sock:/v1/x?y=z", "").expect("a URL"),
            "/run/caddy.sock http://localhost/v1/x?y=z"
        );
        assert_eq!(
            address("unix:/run/caddy.sock:/v1")
                .expect("a URL")
                .origin(&Values::new()),
            "unix:/run/caddy.sock"
        );
    }

    #[test]
    fn a_value_never_climbs_out_of_its_path() {
        for id in ["..", "."] {
            assert!(render("http://h/a/{id}/b", id).is_err(), "{id}");
        }
        assert_eq!(
            render("http://h/a/{id}/b", "../..").expect("a URL"),
            "http://h/a/..%2F../b"
        );
    }

    #[test]
    fn what_is_no_url_is_told_what_to_write() {
        for (text, says) in [
            ("ftp://h/", "starts with http://, https:// or unix:"),
            ("http://u:p@h/", "basic = "),
            ("http:///x", "no host"),
            ("http://h/#x", "never sent"),
            ("unix:/run/x.sock", "unix:/run/x.sock:/path"),
            ("unix:run/x.sock:/p", "unix:/run/x.sock:/path"),
            ("http://{id}/", "must not choose the host"),
            ("unix:/run/{id}.sock:/", "must not choose the host"),
            ("http://h/{nope}", "{nope} is not known here"),
        ] {
            let error = address(text).expect_err(text).to_string();
            assert!(error.contains(says), "{text}: {error}");
        }
    }

    #[test]
    fn a_query_is_not_for_people() {
        let address = address("http://h:1/a/{id}?token=secret").expect("a URL");
        assert_eq!(address.path(&values("7")), "/a/7");
        assert_eq!(address.origin(&values("7")), "http://h:1");
    }
}
