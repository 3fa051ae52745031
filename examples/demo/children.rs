//! Processes that end with the demo, however it ends.
//!
//! Dropping a handle kills its process; that covers every orderly end, Ctrl-C included. For the rest (the demo is
//! killed) the kernel is asked to kill the child with its parent. That can only be asked by the child itself, so each
//! child starts as the demo's own binary.

use std::convert::Infallible;
use std::ffi::OsStr;
use std::os::unix::process::CommandExt as _;
use std::path::Path;

use rustix::process::{Signal, set_parent_process_death_signal};
use tokio::process::Command;

use crate::Result;

/// A command that runs this binary again in another role. The file may be replaced by a build while the demo runs;
/// this path leads to the running one.
pub(crate) fn own_role(role: &str) -> Command {
    let mut command = Command::new("/proc/self/exe");
    command.arg(role).kill_on_drop(true);
    command
}

/// A command that runs another program with `arguments`.
pub(crate) fn follower(program: &Path, arguments: &[&OsStr]) -> Command {
    let mut command = own_role("follow");
    command.arg("--").arg(program).args(arguments);
    command
}

/// Called by a child: from now on it is killed when its parent is gone.
pub(crate) fn end_with_parent() -> Result<()> {
    Ok(set_parent_process_death_signal(Some(Signal::KILL))?)
}

/// The other side of [`follower`]: returns only if `program` cannot be run.
pub(crate) fn become_follower(program: &Path, arguments: &[String]) -> Result<Infallible> {
    end_with_parent()?;
    let error = std::process::Command::new(program).args(arguments).exec();
    Err(format!("{}: {error}", program.display()).into())
}
