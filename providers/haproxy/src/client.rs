//! One HAProxy: its failures told so that an operator can act.

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};

use lb_drain_api::{Error, Result};

use crate::answer::{self, Answer, Refusal, excerpt};
use crate::command::{Command, Commands};
use crate::endpoint::{Address, Endpoint};
use crate::table::Unreadable;
use crate::transport::{Failure, Reply, Transport};

/// What to do about an answer that HAProxy would not give.
const ELSEWHERE: &str = "is this HAProxy's runtime API?";

/// What the master CLI passes on to its current worker (management guide, section 9.4).
const TO_WORKER: &str = "@1 ";

/// One runtime API socket, and whether it turned out to be the master's.
#[derive(Debug)]
pub(crate) struct Client {
    transport: Transport,
    is_master: AtomicBool,
}

impl Client {
    /// A client of this socket. Nothing is sent.
    pub(crate) fn new(endpoint: Endpoint) -> Self {
        Self {
            transport: Transport::new(endpoint),
            is_master: AtomicBool::new(false),
        }
    }

    /// Asks for tables with states among them, on one connection. A backend that does not exist has no rows;
    /// anything else that HAProxy refuses is an error.
    ///
    /// The master CLI does not know these commands: then they are asked again for its worker, and it is
    /// remembered as a master. Nothing is written before something was read, by this verb or by the one whose sight it
    /// is handed, so a write is never sent to find that out.
    pub(crate) async fn read<T>(&self, all: &[Command<'_>], take: impl Fn(&Answer<'_>) -> T) -> Result<T> {
        if !self.is_master.load(Ordering::Relaxed) {
            let commands = Commands { all, prefix: "" };
            let reply = self.exchange(commands).await?;
            let answer = self.parse(commands, &reply)?;
            if !understood_nothing(&answer) {
                return self.known(commands, &answer).map(|()| take(&answer));
            }
        }
        let commands = Commands {
            all,
            prefix: TO_WORKER,
        };
        let reply = self.exchange(commands).await?;
        let answer = self.parse(commands, &reply)?;
        self.known(commands, &answer)?;
        self.is_master.store(true, Ordering::Relaxed);
        Ok(take(&answer))
    }

    /// Has a change made.
    pub(crate) async fn write(&self, command: Command<'_>) -> Result<()> {
        let commands = Commands {
            all: &[command],
            prefix: self.prefix(),
        };
        let reply = self.exchange(commands).await?;
        self.made(commands, &reply.text)
    }

    /// Has a change made and asks for tables, states among them, on one connection: HAProxy does one after the other.
    pub(crate) async fn change<T>(
        &self,
        change: Command<'_>,
        then: &[Command<'_>],
        take: impl Fn(&Answer<'_>) -> T,
    ) -> Result<T> {
        let prefix = self.prefix();
        let all = [&[change], then].concat();
        let commands = Commands { all: &all, prefix };
        let reply = self.exchange(commands).await?;
        // A change that is made answers with an empty line.
        if !reply.text.starts_with('\n') {
            let all = &[change];
            self.made(Commands { all, prefix }, &reply.text)?;
        }
        let answer = self.parse(commands, &reply)?;
        self.known(commands, &answer)?;
        Ok(take(&answer))
    }

    fn prefix(&self) -> &'static str {
        match self.is_master.load(Ordering::Relaxed) {
            true => TO_WORKER,
            false => "",
        }
    }

    /// An error where the answer to a change is a refusal.
    fn made(&self, commands: Commands<'_>, text: &str) -> Result<()> {
        match answer::refusal(text) {
            // With a static algorithm the weight is that of HAProxy's configuration, and nobody is kept out by it.
            None | Some(Refusal::StaticWeight) => Ok(()),
            Some(refusal) => Err(self.refused(commands, refusal)),
        }
    }

    fn refused(&self, commands: Commands<'_>, refusal: Refusal<'_>) -> Error {
        let what = format!(r#"{self} refused "{}""#, plain(commands));
        match refusal {
            Refusal::NoSuchServer => Error::permanent(what, "No such server"),
            Refusal::NoSuchBackend => Error::permanent(what, "No such backend"),
            Refusal::PermissionDenied => {
                Error::permanent(what, "Permission denied").advise(r#"the socket needs "level admin""#)
            }
            Refusal::NotAServer => Error::permanent(what, "Require 'backend/server'")
                .advise(r#"write backend and server, such as "web/app1""#),
            Refusal::StaticWeight => Error::permanent(what, "its algorithm is static"),
            Refusal::ProxyDisabled => Error::permanent(what, "Proxy is disabled")
                .advise(r#"the backend has "disabled" in HAProxy's configuration: nothing is routed there"#),
            Refusal::UnknownCommand => Error::permanent(what, "Unknown command")
                .advise("is this the runtime API of HAProxy 2.0 or later?"),
            Refusal::NoWorker => Error::temporary(what, "its master has no worker now"),
            // A refusal in words that we do not know may pass; and should it be no refusal but a remark,
            // then the next try finds the state as it was asked for.
            Refusal::Other(text) => Error::temporary(what, excerpt(text)),
        }
    }

    async fn exchange(&self, commands: Commands<'_>) -> Result<Reply> {
        let line = format!("{commands}\n");
        let reply = self
            .transport
            .exchange(&line)
            .await
            .map_err(|failure| self.failed(commands, failure))?;
        if reply.text.is_empty() {
            // Success is an empty line; nothing at all means that HAProxy went away.
            return Err(self.unexpected(commands, "it closed the connection without an answer"));
        }
        Ok(reply)
    }

    fn parse<'a>(&self, commands: Commands<'_>, reply: &'a Reply) -> Result<Answer<'a>> {
        let answer = Answer::parse(&reply.text).map_err(|unreadable| {
            let why = match unreadable {
                Unreadable::CutShort => "its answer ends in the middle".to_owned(),
                Unreadable::Odd(why) => why,
            };
            self.unexpected(commands, why)
        })?;
        let sender = reply.sender;
        Ok(Answer { sender, ..answer })
    }

    /// An error where an answer has words in it that cannot be counted on to mean "no such name".
    fn known(&self, commands: Commands<'_>, answer: &Answer<'_>) -> Result<()> {
        let levels = ["user", "operator", "admin"];
        match answer.texts.iter().find(|text| !levels.contains(text)) {
            None if answer.states.is_some() => Ok(()),
            None => Err(self.unexpected(commands, "the answer is empty")),
            Some(text) => match Refusal::parse(text) {
                Refusal::NoSuchBackend => Ok(()),
                // Neither the table that was asked for nor a refusal that HAProxy has.
                Refusal::Other(text) if answer.states.is_none() => {
                    Err(self.unexpected(commands, excerpt(text)))
                }
                refusal => Err(self.refused(commands, refusal)),
            },
        }
    }

    fn asked(&self, commands: Commands<'_>) -> String {
        format!(r#"{self} did not answer "{}" as expected"#, plain(commands))
    }

    fn unexpected(&self, commands: Commands<'_>, why: impl fmt::Display) -> Error {
        Error::temporary(self.asked(commands), why).advise(ELSEWHERE)
    }

    fn failed(&self, commands: Commands<'_>, failure: Failure) -> Error {
        use std::io::ErrorKind;
        let error = match failure {
            Failure::Connect(error) => error,
            Failure::Broken(error) => {
                return self.unexpected(commands, without_number(&error));
            }
            Failure::Endless(length) => {
                let what = self.asked(commands);
                let why = format!("it goes on after {} kB", length >> 10);
                return Error::permanent(what, why).advise(ELSEWHERE);
            }
            Failure::Several(addresses) => {
                let addresses: Vec<String> = addresses.iter().map(ToString::to_string).collect();
                return Error::permanent(
                    format!("{self} is not asked"),
                    format!("its name has several addresses, {}", addresses.join(", ")),
                )
                .advise("write each HAProxy with an address of its own in sockets: members of an HA pair share nothing");
            }
        };
        let what = format!("{self} cannot be reached");
        let why = without_number(&error);
        let is_path = matches!(self.transport.endpoint().address(), Address::Unix(_));
        match error.kind() {
            // Missing sockets come back when HAProxy does.
            ErrorKind::NotFound if is_path => Error::temporary(what, why).advise(format!(
                r#"is HAProxy running, and is there "stats socket {} level admin" in its "global" section?"#,
                self.transport.endpoint()
            )),
            ErrorKind::PermissionDenied if is_path => Error::permanent(what, why).advise(
                r#"add "mode 660 group GROUP" to its "stats socket" line and "SupplementaryGroups=GROUP" to the unit, or run as root"#,
            ),
            ErrorKind::ConnectionRefused => Error::temporary(what, why).advise("is HAProxy running?"),
            _ => Error::temporary(what, why).advise("check its address, the route to it and the firewall"),
        }
    }
}

impl fmt::Display for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "haproxy {}", self.transport.endpoint())
    }
}

/// As an operator would type it: without the prefix that is ours.
fn plain<'a>(commands: Commands<'a>) -> Commands<'a> {
    Commands {
        prefix: "",
        ..commands
    }
}

fn understood_nothing(answer: &Answer<'_>) -> bool {
    answer.states.is_none()
        && answer
            .texts
            .iter()
            .any(|text| Refusal::parse(text) == Refusal::UnknownCommand)
}

/// `Connection refused`, without the number that Rust adds.
fn without_number(error: &std::io::Error) -> String {
    let mut text = error.to_string();
    if let Some(end) = text.find(" (os error") {
        text.truncate(end);
    }
    text
}

#[cfg(test)]
mod tests;
