//! The query protocol: a form in, XML out.

use std::collections::BTreeMap;

use crate::server::{Answer, Asked};

const NAMESPACE: &str = "http://elasticloadbalancing.amazonaws.com/doc/2015-12-01/";

/// In each answer, in the head and in the XML.
const REQUEST_ID: &str = "00000000-0000-0000-0000-000000000000";

/// A call, read from its form.
#[derive(Debug)]
pub(super) struct Call {
    pub(super) action: String,
    /// The region that the request is signed for: on the real service, the region of the host name.
    pub(super) region: String,
    form: BTreeMap<String, String>,
}

/// A target, as a caller names it.
#[derive(Debug)]
pub(super) struct Named {
    pub(super) id: String,
    pub(super) port: Option<u16>,
    pub(super) zone: Option<String>,
}

impl Call {
    pub(super) fn read(asked: &Asked) -> Result<Self, Refusal> {
        let authorization = asked
            .headers
            .get("authorization")
            .and_then(|value| value.to_str().ok());
        // AWS4-HMAC-SHA256 Credential=KEY/DATE/REGION/SERVICE/aws4_request, …
        let scope: Vec<&str> = authorization
            .and_then(|value| value.split("Credential=").nth(1))
            .and_then(|value| value.split(',').next())
            .map(|value| value.split('/').collect())
            .unwrap_or_default();
        let [_, _, region, "elasticloadbalancing", _] = scope[..] else {
            return Err(Refusal::new(
                403,
                "MissingAuthenticationToken",
                "Request is missing Authentication Token",
            ));
        };
        let form: BTreeMap<String, String> = form_urlencoded::parse(&asked.body).into_owned().collect();
        let action = form.get("Action").cloned().unwrap_or_default();
        if form.get("Version").map(String::as_str) != Some("2015-12-01") {
            return Err(Refusal::new(400, "InvalidAction", "No such version"));
        }
        Ok(Self {
            action,
            region: region.to_owned(),
            form,
        })
    }

    pub(super) fn get(&self, key: &str) -> Option<&str> {
        self.form.get(key).map(String::as_str)
    }

    /// `KEY.member.1`, `KEY.member.2`, …; `None` where there is none.
    pub(super) fn list(&self, key: &str) -> Option<Vec<&str>> {
        let list: Vec<&str> = (1..)
            .map_while(|n| self.get(&format!("{key}.member.{n}")))
            .collect();
        (!list.is_empty()).then_some(list)
    }

    pub(super) fn targets(&self) -> Option<Vec<Named>> {
        let targets: Vec<Named> = (1..)
            .map_while(|n| {
                let part = |name: &str| self.get(&format!("Targets.member.{n}.{name}"));
                Some(Named {
                    id: part("Id")?.to_owned(),
                    port: part("Port").and_then(|port| port.parse().ok()),
                    zone: part("AvailabilityZone").map(str::to_owned),
                })
            })
            .collect();
        (!targets.is_empty()).then_some(targets)
    }
}

/// An error answer.
#[derive(Debug)]
pub(super) struct Refusal {
    status: u16,
    code: String,
    message: String,
}

impl Refusal {
    pub(super) fn new(status: u16, code: &str, message: &str) -> Self {
        Self {
            status,
            code: code.to_owned(),
            message: message.to_owned(),
        }
    }

    pub(super) fn answer(&self) -> Answer {
        let origin = if self.status < 500 { "Sender" } else { "Receiver" };
        let error = format!(
            r#"<ErrorResponse xmlns="{NAMESPACE}"><Error>{}{}{}</Error>{}</ErrorResponse>"#,
            element("Type", origin),
            element("Code", &self.code),
            element("Message", &self.message),
            element("RequestId", REQUEST_ID),
        );
        Answer::new(self.status, error)
            .with("content-type", "text/xml")
            .with("x-amzn-requestid", REQUEST_ID)
    }
}

/// A success, with the inside of its result.
pub(super) fn success(action: &str, result: &str) -> Answer {
    let body = format!(
        r#"<{action}Response xmlns="{NAMESPACE}"><{action}Result>{result}</{action}Result><ResponseMetadata>{}</ResponseMetadata></{action}Response>"#,
        element("RequestId", REQUEST_ID),
    );
    Answer::new(200, body)
        .with("content-type", "text/xml")
        .with("x-amzn-requestid", REQUEST_ID)
}

/// `<name>text</name>`
pub(super) fn element(name: &str, text: &str) -> String {
    let text = text
        .replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;");
    format!("<{name}>{text}</{name}>")
}
