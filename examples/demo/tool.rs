//! The real `lb-drain`: built if need be, and run as a unit's `ExecStop=` would run it.

use std::path::PathBuf;
use std::process::Stdio;

use serde_json::Value;
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::Command;

use crate::Result;
use crate::screen::Screen;

/// Builds `lb-drain` of this tree, where the demo itself was built, and says where it is.
///
/// Building the demo along costs nothing (it is there), and makes cargo choose the same features for all
/// dependencies: else a first run would build each of them twice.
pub(crate) async fn build() -> Result<PathBuf> {
    let demo = std::env::current_exe()?;
    let (Some(profile), Some(target)) = (demo.ancestors().nth(2), demo.ancestors().nth(3)) else {
        return Err(format!("{} is not where cargo puts an example", demo.display()).into());
    };
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    command
        .args(["build", "--quiet", "--bin", "lb-drain", "--example", "demo"])
        .args([
            "--profile",
            if cfg!(debug_assertions) { "dev" } else { "release" },
        ])
        .args([
            "--manifest-path",
            concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml"),
        ])
        .arg("--target-dir")
        .arg(target)
        .kill_on_drop(true);
    let remedy = "name one with --lb-drain PATH";
    match command.status().await {
        Ok(status) if status.success() => Ok(profile.join("lb-drain")),
        Ok(status) => Err(format!("lb-drain does not build ({status}); {remedy}").into()),
        Err(error) => Err(format!("cargo does not run ({error}); {remedy}").into()),
    }
}

/// A file where cargo put the demo: `target/release/demo.html`.
pub(crate) fn beside_the_demo(name: &str) -> Result<PathBuf> {
    let demo = std::env::current_exe()?;
    let folder = demo.ancestors().nth(2);
    Ok(folder.ok_or("the demo has no folder")?.join(name))
}

/// `lb-drain`, and what it keeps between two runs.
pub(crate) struct LbDrain {
    program: PathBuf,
    state: TempDir,
}

impl LbDrain {
    /// The one at `program`.
    pub(crate) fn new(program: PathBuf) -> Result<Self> {
        let state = tempfile::Builder::new().prefix("lb-drain-demo-").tempdir()?;
        Ok(Self { program, state })
    }

    /// Runs it with `arguments`, shows its lines as they come, and returns its exit code and what it reports.
    pub(crate) async fn run(&self, arguments: &[&str], screen: &Screen) -> Result<(i32, Value)> {
        let mut command = Command::new(&self.program);
        // Settings of the reader's own have no place here, nor have traces of the demo in theirs.
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("LB_DRAIN_") {
                command.env_remove(name);
            }
        }
        let mut child = command
            .env("LB_DRAIN_STATE_DIR", self.state.path())
            .args(arguments)
            .env("LB_DRAIN_OUTPUT", "json")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .map_err(|error| format!("{}: {error}", self.program.display()))?;
        if let Some(stderr) = child.stderr.take() {
            let mut lines = BufReader::new(stderr).lines();
            while let Some(line) = lines.next_line().await? {
                screen.quote(&line);
            }
        }
        // One line, which fits into the pipe.
        let ended = child.wait_with_output().await?;
        let code = ended
            .status
            .code()
            .ok_or_else(|| format!("lb-drain was killed: {}", ended.status))?;
        Ok((code, serde_json::from_slice(&ended.stdout)?))
    }
}
