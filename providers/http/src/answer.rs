//! An answer, read up to a limit.

use http_body_util::BodyExt;
use reqwest::header::HeaderMap;
use reqwest::{Response, StatusCode};
use serde_json::Value;

/// The most that is read of an answer. State and configuration of a load balancer are far smaller; an
/// answer without end must not fill this host's memory.
const LIMIT: usize = 1 << 20;

/// What the asker makes of an answer, which its status decides.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Interest {
    /// The status was not expected: a redirect is followed, anything else is quoted.
    None,
    /// The status has said it all, so nobody waits for the rest.
    Status,
    /// All of it is read.
    Whole,
}

/// An answer.
#[derive(Debug)]
pub(crate) struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    body: Vec<u8>,
    /// Why the body is not whole.
    broken: Option<String>,
}

impl Answer {
    /// Reads status and headers, which are here already. A body that nobody needs may be slow, or without end.
    pub(crate) fn head(response: Response) -> Self {
        let (head, _) = hyper::http::Response::from(response).into_parts();
        Self {
            status: head.status,
            headers: head.headers,
            body: Vec::new(),
            broken: Some("its answer was not read".to_owned()),
        }
    }

    /// Reads an answer to its end or the limit. What goes wrong on the way is kept for those who need the
    /// body.
    ///
    /// Trailers count as headers: Caddy sends its ETag as one (RFC 9110, section 6.5).
    pub(crate) async fn read(response: Response) -> Self {
        let (head, mut body) = hyper::http::Response::from(response).into_parts();
        let mut answer = Self {
            status: head.status,
            headers: head.headers,
            body: Vec::new(),
            broken: None,
        };
        loop {
            let frame = match body.frame().await {
                None => return answer,
                Some(Ok(frame)) => frame,
                Some(Err(error)) => {
                    answer.broken = Some(format!("its answer broke off: {}", crate::failure::cause(&error)));
                    return answer;
                }
            };
            match frame.into_data() {
                Ok(data) if answer.body.len() + data.len() > LIMIT => {
                    answer.broken = Some("its answer is longer than 1 MiB".to_owned());
                    return answer;
                }
                Ok(data) => answer.body.extend_from_slice(&data),
                Err(frame) => {
                    let trailers = frame.into_trailers().unwrap_or_default();
                    // A repeated header has no name of its own; the first of each is enough.
                    for (name, value) in trailers
                        .into_iter()
                        .filter_map(|(name, value)| Some((name?, value)))
                    {
                        answer.headers.entry(name).or_insert(value);
                    }
                }
            }
        }
    }

    /// The whole body.
    ///
    /// # Errors
    ///
    /// A sentence where it is not whole.
    pub(crate) fn whole(&self) -> Result<&[u8], String> {
        match &self.broken {
            Some(why) => Err(why.clone()),
            None => Ok(&self.body),
        }
    }

    /// The body as JSON.
    ///
    /// # Errors
    ///
    /// A sentence where it is not whole or no JSON.
    pub(crate) fn json(&self) -> Result<Value, String> {
        serde_json::from_slice(self.whole()?).map_err(|error| match self.body.is_empty() {
            true => "its answer is empty, and no JSON".to_owned(),
            false => format!("its answer is no JSON: {error}"),
        })
    }

    /// The text of a header.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// The beginning of the body as one line, for a quote: at most 200 characters.
    pub(crate) fn beginning(&self, hide: impl Fn(&str) -> String) -> String {
        /// What fits into a line of a journal, beside what else has to be said there.
        const LONGEST: usize = 200;
        let text = hide(&String::from_utf8_lossy(&self.body));
        let mut line = String::new();
        for word in text
            .split(|c: char| c.is_whitespace() || c.is_control())
            .filter(|word| !word.is_empty())
        {
            if !line.is_empty() {
                line.push(' ');
            }
            line.push_str(word);
            if let Some((cut, _)) = line.char_indices().nth(LONGEST) {
                line.truncate(cut);
                line.push('…');
                break;
            }
        }
        line
    }
}

#[cfg(any(test, feature = "fuzzing"))]
impl Answer {
    pub(crate) fn of(status: u16, body: &str) -> Self {
        Self {
            status: StatusCode::from_u16(status).expect("a status"),
            headers: HeaderMap::new(),
            body: body.into(),
            broken: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_beginning_is_one_line_of_at_most_200_characters() {
        let answer = Answer::of(500, "  one\r\n\ttwo\u{1b}[31m\0 three ");
        assert_eq!(answer.beginning(str::to_owned), "one two [31m three");
        let long = "ä".repeat(500);
        let line = Answer::of(500, &long).beginning(str::to_owned);
        assert_eq!(line.chars().count(), 201);
        assert!(line.ends_with('…'));
    }
}
