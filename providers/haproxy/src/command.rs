//! What may be said to HAProxy.
//!
//! `;` separates commands, `\` escapes and `<<` starts a payload, so no name gets into a command that
//! HAProxy itself would not accept for a backend or a server.

use std::fmt;

/// A server by the name under which HAProxy keeps it: `web/app1`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Server<'a> {
    /// The backend it belongs to.
    pub(crate) backend: &'a str,
    /// Its name there.
    pub(crate) name: &'a str,
}

impl<'a> Server<'a> {
    /// Reads `backend/server`.
    ///
    /// # Errors
    ///
    /// A sentence that says what to write instead.
    pub(crate) fn parse(text: &'a str) -> Result<Self, String> {
        let Some((backend, name)) = text.split_once('/') else {
            return Err(format!(
                r#"{text:?} is not a server; write backend and server, such as "web/app1""#
            ));
        };
        if !is_name(backend) || !is_name(name) {
            return Err(format!(
                r#"{text:?} is not a server: names in HAProxy are made of letters, digits, "-", "_", "." and ":"; write backend and server, such as "web/app1""#
            ));
        }
        Ok(Self { backend, name })
    }
}

impl fmt::Display for Server<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.backend, self.name)
    }
}

/// The characters of `invalid_char()` in HAProxy's `src/tools.c` (configuration manual, section 2.2).
fn is_name(text: &str) -> bool {
    !text.is_empty()
        && text
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b"-_.:".contains(&b))
}

/// One command (HAProxy management guide, section 9.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Command<'a> {
    /// The process: here for its pid.
    ShowInfo,
    /// What this connection may do: `user`, `operator` or `admin`.
    ShowLevel,
    /// The states of the servers of one backend, or of all.
    ShowState(Option<&'a str>),
    /// The statistics of the servers of one proxy: its name, its number or `-1` for all.
    ShowStat(&'a str),
    /// A server's administrative state.
    SetState(Server<'a>, State),
    /// A server's weight.
    SetWeight(Server<'a>, Weight),
    /// The end of all sessions of a server.
    ShutdownSessions(Server<'a>),
}

/// An administrative state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum State {
    /// In rotation, as far as health checks agree.
    Ready,
    /// No new traffic except sticky traffic; health checks go on.
    Drain,
    /// No traffic, no health checks.
    Maint,
}

/// A weight to set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Weight {
    /// 0 to 256. Backends with a static algorithm refuse it.
    Absolute(u32),
    /// The configured weight.
    Configured,
    /// Zero, also where the algorithm is static.
    Zero,
}

impl fmt::Display for Command<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ShowInfo => f.write_str("show info"),
            Self::ShowLevel => f.write_str("show cli level"),
            Self::ShowState(None) => f.write_str("show servers state"),
            Self::ShowState(Some(backend)) => write!(f, "show servers state {backend}"),
            // Type 4: servers alone. Server -1: all of them.
            Self::ShowStat(proxy) => write!(f, "show stat {proxy} 4 -1"),
            Self::SetState(server, state) => write!(f, "set server {server} state {state}"),
            Self::SetWeight(server, weight) => write!(f, "set server {server} weight {weight}"),
            Self::ShutdownSessions(server) => write!(f, "shutdown sessions server {server}"),
        }
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Ready => "ready",
            Self::Drain => "drain",
            Self::Maint => "maint",
        })
    }
}

impl fmt::Display for Weight {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Absolute(weight) => write!(f, "{weight}"),
            Self::Configured => f.write_str("100%"),
            Self::Zero => f.write_str("0%"),
        }
    }
}

/// Several commands that cost one connection.
#[derive(Clone, Copy)]
pub(crate) struct Commands<'a> {
    /// The commands.
    pub(crate) all: &'a [Command<'a>],
    /// What stands before each of them: the master CLI passes on only what carries a prefix.
    pub(crate) prefix: &'static str,
}

impl fmt::Display for Commands<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, command) in self.all.iter().enumerate() {
            let separator = if index == 0 { "" } else { ";" };
            write!(f, "{separator}{}{command}", self.prefix)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_is_named_by_its_backend_and_its_own_name() {
        let server = Server::parse("we:b.x_y-z/app-1.a:b_2").expect("reads");
        assert_eq!((server.backend, server.name), ("we:b.x_y-z", "app-1.a:b_2"));
        assert_eq!(server.to_string(), "we:b.x_y-z/app-1.a:b_2");
    }

    #[test]
    fn no_name_can_carry_a_second_command() {
        for text in [
            "web/app1;shutdown sessions server web/app2",
            "web/app1\nshow info",
            "web/app1 state ready",
            "web/app1\\",
            "web/<<",
            "web/app1\0",
            "web/app1\t",
            "web;x/app1",
            "web /app1",
            "web/app/1",
            "wéb/app1",
            "@1 web/app1",
            "web/#1",
        ] {
            let error = Server::parse(text).expect_err(text);
            assert!(error.contains("are made of letters"), "{error}");
            assert!(!error.contains('\n'), "{error}");
        }
    }

    #[test]
    fn a_name_without_backend_is_told_to_get_one() {
        assert_eq!(
            Server::parse("app1").expect_err("no backend"),
            r#""app1" is not a server; write backend and server, such as "web/app1""#
        );
        assert!(Server::parse("/app1").is_err());
        assert!(Server::parse("web/").is_err());
    }

    #[test]
    fn commands_are_spelled_as_the_management_guide_does() {
        let app1 = Server::parse("web/app1").expect("reads");
        for (command, text) in [
            (Command::ShowInfo, "show info"),
            (Command::ShowLevel, "show cli level"),
            (Command::ShowState(None), "show servers state"),
            (Command::ShowState(Some("web")), "show servers state web"),
            (Command::ShowStat("web"), "show stat web 4 -1"),
            (
                Command::SetState(app1, State::Drain),
                "set server web/app1 state drain",
            ),
            (
                Command::SetState(app1, State::Maint),
                "set server web/app1 state maint",
            ),
            (
                Command::SetState(app1, State::Ready),
                "set server web/app1 state ready",
            ),
            (
                Command::SetWeight(app1, Weight::Absolute(7)),
                "set server web/app1 weight 7",
            ),
            (
                Command::SetWeight(app1, Weight::Configured),
                "set server web/app1 weight 100%",
            ),
            (
                Command::SetWeight(app1, Weight::Zero),
                "set server web/app1 weight 0%",
            ),
            (
                Command::ShutdownSessions(app1),
                "shutdown sessions server web/app1",
            ),
        ] {
            assert_eq!(command.to_string(), text);
        }
    }

    #[test]
    fn several_commands_are_one_line_each_with_its_prefix() {
        let all = &[Command::ShowInfo, Command::ShowStat("web")];
        let line = |prefix| Commands { all, prefix }.to_string();
        assert_eq!(line(""), "show info;show stat web 4 -1");
        assert_eq!(line("@1 "), "@1 show info;@1 show stat web 4 -1");
    }
}
