//! Restarts the service, as an operator would.

use std::env;
use std::ffi::OsString;
use std::fmt;
use std::io::Read;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::str::FromStr;
use std::time::{Duration, Instant};

use lb_drain_api::duration::human;
use tokio::task::JoinHandle;

/// The unit has time-outs of its own, which are shorter; one that has none is not waited for without end.
const LIMIT: Duration = Duration::from_secs(900);

/// How often to look whether `systemctl` has ended.
const LOOK: Duration = Duration::from_millis(20);

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
    /// Its name as given.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.0
    }

    /// Restarts it, and ends when it has started again. Ctrl-C does not reach `systemctl`: a service half way
    /// through a restart is none to come back with.
    pub(super) fn restart(&self) -> JoinHandle<Result<(), String>> {
        let name = self.0.clone();
        tokio::task::spawn_blocking(move || {
            let mut systemctl = systemctl(&name, env::vars_os())
                .spawn()
                .map_err(|error| format!("systemctl does not run: {error}"))?;
            let status = ended(&mut systemctl, LIMIT)
                .map_err(|error| format!("systemctl restart {name} cannot be waited for: {error}"))?;
            match status {
                Some(status) if status.success() => Ok(()),
                Some(status) => {
                    let said = said(&mut systemctl);
                    Err(format!("systemctl restart {name} failed ({status}): {said}"))
                }
                None => Err(format!(
                    "systemctl restart {name} has not ended within {}; see systemctl status {name}",
                    human(LIMIT)
                )),
            }
        })
    }
}

/// With what it needs to find systemd, and nothing else of our environment: there may be secrets in it, and a
/// password agent or pager of its own has no business with them.
fn systemctl(name: &str, environment: impl Iterator<Item = (OsString, OsString)>) -> Command {
    let needed = environment.filter(|(name, _)| {
        let name = name.to_string_lossy();
        ["PATH", "XDG_RUNTIME_DIR", "LANG"].contains(&&*name) || name.starts_with("DBUS_")
    });
    let mut command = Command::new("systemctl");
    command
        .args(["--no-ask-password", "restart", "--", name])
        .env_clear()
        .envs(needed)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .process_group(0);
    command
}

/// How it ended; `None` where it has not within `limit`, and is ended.
fn ended(child: &mut Child, limit: Duration) -> std::io::Result<Option<ExitStatus>> {
    let until = Instant::now() + limit;
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(Some(status));
        }
        if Instant::now() >= until {
            // The job goes on in systemd; only the one who waits for it ends.
            child.kill()?;
            child.wait()?;
            return Ok(None);
        }
        std::thread::sleep(LOOK);
    }
}

/// The first line of what it had to say. It has ended, and a few lines fit into the pipe.
fn said(child: &mut Child) -> String {
    let mut said = String::new();
    if let Some(stderr) = &mut child.stderr {
        // Without it only the reason is missing.
        drop(stderr.take(4096).read_to_string(&mut said));
    }
    said.lines().next().unwrap_or("it says nothing").trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn systemctl_is_given_no_secret_of_the_environment() {
        let ours = [
            ("PATH", "/usr/bin"),
            ("DBUS_SYSTEM_BUS_ADDRESS", "unix:path=/run/bus"),
            ("LB_DRAIN_HEADER", "Authorization: s3cret"),
            ("AWS_SECRET_ACCESS_KEY", "s3cret"),
            ("SYSTEMD_PAGER", "s3cret"),
        ];
        let command = systemctl(
            "web.service",
            ours.iter().map(|(name, value)| (name.into(), value.into())),
        );
        let given: Vec<_> = command.get_envs().filter_map(|(name, _)| name.to_str()).collect();
        assert_eq!(given, ["DBUS_SYSTEM_BUS_ADDRESS", "PATH"]);
        assert!(
            format!("{command:?}").starts_with("env -i"),
            "the rest is cleared: {command:?}"
        );
    }

    #[test]
    fn one_that_does_not_end_is_ended() {
        let mut child = Command::new("sleep").arg("60").spawn().expect("sleep starts");
        let ended = ended(&mut child, Duration::from_millis(50)).expect("it is our child");
        assert_eq!(ended, None);
        assert!(child.try_wait().expect("it is our child").is_some());
    }
}
