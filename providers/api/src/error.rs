//! Why a verb failed.

use std::fmt;
use std::time::Duration;

/// A failed request to a load balancer, told so that one line suffices at 3 a.m.: what was tried and
/// where, what the answer was, what to do.
///
/// Displayed as `{what}: {why}; {remedy}`, for example
/// `haproxy tcp://10.0.0.5:9999 refused "set server web/app1 state drain": Permission denied; the socket
/// needs "level admin"`. Secrets never go into any of the parts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Error {
    lifetime: Lifetime,
    what: String,
    why: String,
    remedy: Option<String>,
}

/// Whether asking again can help.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lifetime {
    /// It may pass: the engine asks again until late in the budget.
    Temporary {
        /// The least time to wait first, where the load balancer asks for one.
        retry_after: Option<Duration>,
    },
    /// It will not pass by itself.
    Permanent,
}

impl Error {
    /// A failure that may pass. `what` names the operation and whom it was asked of, `why` the answer.
    pub fn temporary(what: impl Into<String>, why: impl fmt::Display) -> Self {
        Self::new(Lifetime::Temporary { retry_after: None }, what, why)
    }

    /// A failure that will not pass by itself. `what` names the operation and whom it was asked of, `why`
    /// the answer.
    pub fn permanent(what: impl Into<String>, why: impl fmt::Display) -> Self {
        Self::new(Lifetime::Permanent, what, why)
    }

    fn new(lifetime: Lifetime, what: impl Into<String>, why: impl fmt::Display) -> Self {
        Self {
            lifetime,
            what: what.into(),
            why: why.to_string(),
            remedy: None,
        }
    }

    /// Adds what the operator can do about it.
    #[must_use]
    pub fn advise(mut self, remedy: impl Into<String>) -> Self {
        self.remedy = Some(remedy.into());
        self
    }

    /// Adds the least time to wait before asking again. Makes the failure temporary.
    #[must_use]
    pub fn retry_after(mut self, wait: Duration) -> Self {
        self.lifetime = Lifetime::Temporary {
            retry_after: Some(wait),
        };
        self
    }

    /// Whether asking again can help.
    #[must_use]
    pub fn lifetime(&self) -> Lifetime {
        self.lifetime
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.what, self.why)?;
        match &self.remedy {
            Some(remedy) => write!(f, "; {remedy}"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for Error {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_as_what_why_and_remedy() {
        let error = Error::permanent(r#"haproxy /s refused "x""#, "Permission denied").advise("do y");
        assert_eq!(
            error.to_string(),
            r#"haproxy /s refused "x": Permission denied; do y"#
        );
    }

    #[test]
    fn a_wished_wait_makes_it_temporary() {
        let error = Error::permanent("a", "b").retry_after(Duration::from_secs(1));
        assert_eq!(
            error.lifetime(),
            Lifetime::Temporary {
                retry_after: Some(Duration::from_secs(1))
            }
        );
    }
}
