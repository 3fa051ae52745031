//! Restarts the service, as an operator would.

use std::fmt;
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};
use std::str::FromStr;

use tokio::task::JoinHandle;

/// The unit to restart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unit(String);

impl FromStr for Unit {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        if name.is_empty() || name.starts_with('-') || name.contains(char::is_whitespace) {
            return Err(format!(
                r#""{name}" is no unit; write its name, such as web.service"#
            ));
        }
        Ok(Self(name.to_owned()))
    }
}

impl fmt::Display for Unit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Unit {
    /// Restarts it, and ends when it has started again. Ctrl-C does not reach `systemctl`: a service half way
    /// through a restart is none to come back with.
    pub(super) fn restart(&self) -> JoinHandle<Result<(), String>> {
        let name = self.0.clone();
        tokio::task::spawn_blocking(move || {
            let ended = Command::new("systemctl")
                .args(["--no-ask-password", "restart", "--", &name])
                .stdin(Stdio::null())
                .process_group(0)
                .output()
                .map_err(|error| format!("systemctl does not run: {error}"))?;
            if ended.status.success() {
                return Ok(());
            }
            let said = String::from_utf8_lossy(&ended.stderr);
            let said = said.lines().next().unwrap_or("it says nothing").trim().to_owned();
            Err(format!(
                "systemctl restart {name} failed ({}): {said}",
                ended.status
            ))
        })
    }
}
