//! A security token service: it gives credentials for a role, or says no.
//!
//! Source: the API reference (2011-06-15), AssumeRole and AssumeRoleWithWebIdentity. The latter is not signed:
//! the token is what vouches for the caller.

use std::net::Ipv4Addr;

use crate::server::{Answer, Server};

/// The running service.
#[derive(Debug)]
pub struct Sts {
    server: Server,
}

impl Sts {
    /// Starts one that gives credentials.
    #[must_use]
    pub fn start() -> Self {
        Self::answering(200, |action| {
            format!(
                "<{action}Response><{action}Result><Credentials><AccessKeyId>ASIAFAKESTS</AccessKeyId>\
                 <SecretAccessKey>fake-secret</SecretAccessKey><SessionToken>fake-token</SessionToken>\
                 <Expiration>2199-01-01T00:00:00Z</Expiration></Credentials></{action}Result></{action}Response>"
            )
        })
    }

    /// Starts one that answers every call with this error.
    #[must_use]
    pub fn refusing(status: u16, code: &'static str) -> Self {
        Self::answering(status, move |_| {
            format!(
                "<ErrorResponse><Error><Type>Sender</Type><Code>{code}</Code><Message>as the test wants it\
                 </Message></Error></ErrorResponse>"
            )
        })
    }

    fn answering(status: u16, body: impl Fn(&str) -> String + Send + Sync + 'static) -> Self {
        let server = Server::start((Ipv4Addr::LOCALHOST, 0).into(), None, move |asked| {
            let action = form_urlencoded::parse(&asked.body)
                .find_map(|(key, value)| (key == "Action").then(|| value.into_owned()));
            let answer =
                Answer::new(status, body(&action.unwrap_or_default())).with("content-type", "text/xml");
            async { Some(answer) }
        });
        Self {
            server: server.expect("a free port on the loopback"),
        }
    }

    /// Where it answers, for `AWS_ENDPOINT_URL_STS`.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.server.address())
    }
}
