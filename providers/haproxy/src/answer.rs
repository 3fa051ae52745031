//! What comes back: tables, and text where something was refused.

use std::time::Duration;

use crate::table::{self, StatRow, StateRow, Unreadable};

/// All that one connection answered. Each command's part ends with an empty line; the parts are told apart by
/// how they begin, so that one refused command does not shift the others.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Answer<'a> {
    /// The rows of `show servers state`, if it was asked and allowed.
    pub(crate) states: Option<Vec<StateRow<'a>>>,
    /// The rows of `show stat`.
    pub(crate) stats: Vec<StatRow<'a>>,
    /// The pid of `show info`.
    pub(crate) pid: Option<u32>,
    /// How long that process has been running, from `show info`.
    pub(crate) uptime: Option<Duration>,
    /// The process that sent it, by its pid here; only a unix socket tells.
    pub(crate) sender: Option<u32>,
    /// Whether processes from before a reload still run, from `show proc`: only a master tells.
    pub(crate) old_workers: Option<bool>,
    /// The first line of everything else.
    pub(crate) texts: Vec<&'a str>,
}

impl<'a> Answer<'a> {
    /// Reads a whole answer.
    pub(crate) fn parse(text: &'a str) -> Result<Self, Unreadable> {
        let mut answer = Self::default();
        let mut rest = text;
        while !rest.is_empty() {
            let first = rest.lines().next().unwrap_or_default();
            rest = if first.is_empty() {
                &rest[1..]
            } else if first.starts_with("# pxname,") {
                table::stats(rest, &mut answer.stats)?
            } else if first.starts_with("# be_id ") {
                table::states(rest, answer.states.get_or_insert_default())?
            } else if first == "1" {
                // The version of the format, the line before its header.
                table::line(rest)?.1
            } else if first.starts_with("Name: ") {
                block(rest, |line| {
                    if let Some(pid) = line.strip_prefix("Pid: ") {
                        answer.pid = pid.parse().ok();
                    } else if let Some(seconds) = line.strip_prefix("Uptime_sec: ") {
                        answer.uptime = seconds.parse().ok().map(Duration::from_secs);
                    }
                })
            } else if first.starts_with("#<PID>") {
                let mut section = "";
                let old = answer.old_workers.get_or_insert(false);
                block(rest, |line| {
                    if line.starts_with('#') {
                        section = line;
                    } else {
                        *old |= section == "# old workers";
                    }
                })
            } else {
                answer.texts.push(without_severity(first));
                block(rest, |_| ())
            };
        }
        Ok(answer)
    }
}

/// Hands on the lines after the first up to an empty one, and returns what follows.
fn block<'a>(text: &'a str, mut each: impl FnMut(&'a str)) -> &'a str {
    let (body, rest) = text.split_once("\n\n").unwrap_or((text, ""));
    body.lines().skip(1).for_each(&mut each);
    rest
}

/// What HAProxy says when it does not do something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Refusal<'a> {
    /// The backend has no such server.
    NoSuchServer,
    /// There is no such backend.
    NoSuchBackend,
    /// The socket's level does not suffice.
    PermissionDenied,
    /// The backend is switched off in the configuration: nothing is routed there.
    ProxyDisabled,
    /// Not a command here: the master CLI without a prefix, or no HAProxy that we know.
    UnknownCommand,
    /// Not the name of a server.
    NotAServer,
    /// A weight that a backend with a static algorithm cannot have.
    StaticWeight,
    /// The master has no worker to pass this on to.
    NoWorker,
    /// Words that are not known.
    Other(&'a str),
}

impl<'a> Refusal<'a> {
    /// Reads a line of text, already without its severity.
    pub(crate) fn parse(text: &'a str) -> Self {
        match text {
            "No such server." => Self::NoSuchServer,
            // The words of `set server`, of `show servers state`, of `show stat`, and of the latter for a
            // backend named "domain", which it takes for an option.
            "No such backend." | "Can't find backend." | "No such proxy." | "Invalid statistics domain." => {
                Self::NoSuchBackend
            }
            "Proxy is disabled." => Self::ProxyDisabled,
            "Require 'backend/server'." => Self::NotAServer,
            _ if text.starts_with("Backend is using a static LB algorithm") => Self::StaticWeight,
            _ if text.starts_with("Permission denied") => Self::PermissionDenied,
            _ if text.starts_with("Unknown command") => Self::UnknownCommand,
            _ if text.starts_with("Can't find the target PID") => Self::NoWorker,
            _ => Self::Other(text),
        }
    }
}

/// The refusal in the answer to a command that answers nothing when it succeeds; `None`: done.
pub(crate) fn refusal(answer: &str) -> Option<Refusal<'_>> {
    let text = answer.trim();
    (!text.is_empty()).then(|| Refusal::parse(without_severity(text.lines().next().unwrap_or(text))))
}

/// Cuts `[err]: ` or `[3]: ` off, which a socket with `severity-output` puts in front.
pub(crate) fn without_severity(text: &str) -> &str {
    text.strip_prefix('[')
        .and_then(|rest| rest.split_once("]: "))
        .filter(|(severity, _)| severity.len() <= 7 && severity.bytes().all(|b| b.is_ascii_alphanumeric()))
        .map_or(text, |(_, text)| text)
}

/// So much of a text that a line of the journal stays readable, without control characters.
pub(crate) fn excerpt(text: &str) -> String {
    /// In characters.
    const LENGTH: usize = 100;
    let mut short: String = text
        .chars()
        .map(|c| if c.is_control() { '\u{fffd}' } else { c })
        .take(LENGTH)
        .collect();
    if text.chars().nth(LENGTH).is_some() {
        short.push('…');
    }
    short
}

#[cfg(test)]
mod tests;
