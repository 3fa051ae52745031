//! What is printed: a line per phase, and on a terminal colours and a live line below.

use std::io::IsTerminal;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::Result;

/// How often the live line changes.
const REFRESH: Duration = Duration::from_millis(100);

/// Standard output.
pub(crate) struct Screen {
    colours: bool,
    live: ProgressBar,
}

/// What a piece of text is to the reader.
#[derive(Clone, Copy)]
pub(crate) enum Tone {
    Heading,
    Aside,
    Good,
    Bad,
}

impl Screen {
    /// Colours and the live line only on a terminal that wants them (`NO_COLOR`, `TERM=dumb`).
    pub(crate) fn new() -> Self {
        let plain = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty())
            || std::env::var_os("TERM").is_some_and(|value| value == "dumb");
        let colours = std::io::stdout().is_terminal() && !plain;
        let target = if colours {
            ProgressDrawTarget::stdout()
        } else {
            ProgressDrawTarget::hidden()
        };
        let live = ProgressBar::with_draw_target(None, target);
        if let Ok(style) = ProgressStyle::with_template("   {spinner} {msg}") {
            live.set_style(style);
        }
        Self { colours, live }
    }

    /// One line.
    pub(crate) fn print(&self, line: &str) {
        self.live.suspend(|| println!("{line}"));
    }

    /// `text` in the colour of `tone`, where there are colours.
    pub(crate) fn paint(&self, tone: Tone, text: &str) -> String {
        let code = match tone {
            Tone::Heading => "1",
            Tone::Aside => "2",
            Tone::Good => "1;32",
            Tone::Bad => "1;31",
        };
        if self.colours {
            format!("\x1b[{code}m{text}\x1b[0m")
        } else {
            text.to_owned()
        }
    }

    /// Who plays, a line each.
    pub(crate) fn introduce(&self, players: &[(&str, &str)]) {
        for (player, about) in players {
            self.print(&format!(
                "{} {about}",
                self.paint(Tone::Heading, &format!("{player:14}"))
            ));
        }
    }

    /// A phase of the demo begins.
    pub(crate) fn heading(&self, text: &str) {
        self.print(&format!("\n{}", self.paint(Tone::Heading, text)));
    }

    /// What happens, and when.
    pub(crate) fn event(&self, at: Duration, text: &str) {
        let at = self.paint(Tone::Aside, &format!("{:6.2} s", at.as_secs_f64()));
        self.print(&format!("{at}  {text}"));
    }

    /// A line that another program printed.
    pub(crate) fn quote(&self, line: &str) {
        let bar = self.paint(Tone::Aside, "          |");
        self.print(&format!("{bar} {line}"));
    }

    /// Runs `work` to its end, with `status` in a live line below.
    pub(crate) async fn watch<T>(
        &self,
        work: impl Future<Output = Result<T>>,
        status: impl Fn() -> String,
    ) -> Result<T> {
        self.live.reset();
        let mut refresh = tokio::time::interval(REFRESH);
        tokio::pin!(work);
        let outcome = loop {
            tokio::select! {
                outcome = &mut work => break outcome,
                _ = refresh.tick() => {
                    self.live.set_message(status());
                    self.live.tick();
                }
            }
        };
        self.live.finish_and_clear();
        outcome
    }
}
