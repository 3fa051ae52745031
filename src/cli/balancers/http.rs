//! Options for an HTTP endpoint.

use clap::Args;
use lb_drain_api::SettingsError;
use lb_drain_http::Settings;
use serde::Deserialize;
use serde_json::{Value, json};

use super::HEADING;

/// `--http…`.
#[derive(Debug, Args)]
pub struct HttpFlags {
    /// The request that takes this host out
    #[arg(long = "http-deregister", id = "http_deregister", help_heading = HEADING, value_name = "METHOD URL", env = "LB_DRAIN_HTTP_DEREGISTER", hide_env_values = true)]
    pub deregister: Option<String>,

    /// The request that brings it back
    #[arg(long = "http-register", help_heading = HEADING, value_name = "METHOD URL", env = "LB_DRAIN_HTTP_REGISTER", hide_env_values = true, requires = "http_deregister")]
    register: Option<String>,

    /// A header of these requests; repeat for more. Secrets belong in a file: see the configuration
    #[arg(long = "http-header", help_heading = HEADING, value_name = "NAME: VALUE", env = "LB_DRAIN_HTTP_HEADER", hide_env_values = true, requires = "http_deregister")]
    headers: Vec<String>,

    /// The body of the request that takes this host out
    #[arg(long = "http-body", help_heading = HEADING, value_name = "BODY", env = "LB_DRAIN_HTTP_BODY", hide_env_values = true, requires = "http_deregister")]
    body: Option<String>,

    /// Statuses that say that it is out
    #[arg(
        long = "http-expect",
        help_heading = HEADING,
        value_name = "STATUS",
        num_args = 1..,
        value_delimiter = ',',
        env = "LB_DRAIN_HTTP_EXPECT",
        default_value = "200-299",
        requires = "http_deregister"
    )]
    expect: Vec<String>,

    /// A request that succeeds once nothing is in flight
    #[arg(long = "http-drained", help_heading = HEADING, value_name = "METHOD URL", env = "LB_DRAIN_HTTP_DRAINED", hide_env_values = true, requires = "http_deregister")]
    drained: Option<String>,
}

impl HttpFlags {
    /// The provider's settings, if options give any.
    ///
    /// # Errors
    ///
    /// When an option is not as it has to be.
    pub fn settings(&self) -> Result<Option<Settings>, SettingsError> {
        let Some(deregister) = &self.deregister else {
            return Ok(None);
        };
        let mut headers = serde_json::Map::new();
        for header in &self.headers {
            let (name, value) = header.split_once(':').ok_or_else(|| {
                SettingsError::new("headers", r#"--http-header has no colon; write "NAME: VALUE""#)
            })?;
            headers.insert(name.trim().to_owned(), Value::from(value.trim()));
        }
        let expect: Vec<Value> = self
            .expect
            .iter()
            .map(|status| {
                status
                    .parse::<u16>()
                    .map_or_else(|_| Value::from(status.as_str()), Value::from)
            })
            .collect();
        let mut out = request("--http-deregister", deregister)?;
        out["expect"] = Value::from(expect);
        if let Some(body) = &self.body {
            out["body"] = Value::from(body.as_str());
        }
        let mut settings = json!({ "headers": headers, "deregister": out });
        // The settings' own shape, as in a file, so that a file can say whatever options can.
        if let Some(register) = &self.register {
            settings["register"] = request("--http-register", register)?;
        }
        if let Some(drained) = &self.drained {
            settings["drained"] = request("--http-drained", drained)?;
        }
        Settings::deserialize(settings)
            .map(Some)
            .map_err(|error| SettingsError::new("http", error.to_string()))
    }
}

fn request(option: &str, text: &str) -> Result<Value, SettingsError> {
    match text.trim().split_once(char::is_whitespace) {
        Some((method, url)) => Ok(json!({ "method": method, "url": url.trim() })),
        None => Err(SettingsError::new(
            "http",
            // What was written may hold a secret.
            format!(r#"{option} is not a method and a URL; write one like "PUT http://127.0.0.1:8500/…""#),
        )),
    }
}
