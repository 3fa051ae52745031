//! An answer, read up to a limit.

use reqwest::header::HeaderMap;
use reqwest::{Response, StatusCode};
use serde_json::Value;

/// The most that is read of an answer. State and configuration of a load balancer are far smaller; an
/// answer without end must not fill this host's memory.
const LIMIT: usize = 1 << 20;

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
    /// Reads an answer to its end or the limit. What goes wrong on the way is kept for those who need the
    /// body: for everybody else the status has said it all.
    pub(crate) async fn read(mut response: Response) -> Self {
        let mut answer = Self {
            status: response.status(),
            headers: std::mem::take(response.headers_mut()),
            body: Vec::new(),
            broken: None,
        };
        loop {
            match response.chunk().await {
                Ok(Some(chunk)) if answer.body.len() + chunk.len() > LIMIT => {
                    answer.broken = Some("its answer is longer than 1 MiB".to_owned());
                    return answer;
                }
                Ok(Some(chunk)) => answer.body.extend_from_slice(&chunk),
                Ok(None) => return answer,
                Err(error) => {
                    answer.broken = Some(format!("its answer broke off: {}", crate::failure::cause(&error)));
                    return answer;
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

#[cfg(test)]
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
