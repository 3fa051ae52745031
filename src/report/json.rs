//! One JSON object on stdout when a command ends.

use std::io::Write;

use rustix::fd::AsFd;
use serde_json::Value;

/// Prints the object. Straight to the file descriptor: nothing stays behind in a buffer that would be
/// written, and could block, at exit.
pub fn print(object: &Value) {
    let mut text = object.to_string().into_bytes();
    text.push(b'\n');
    let stdout = std::io::stdout();
    if let Ok(fd) = stdout.as_fd().try_clone_to_owned() {
        // A reader that is gone has no use for the answer; the exit code still tells.
        drop(std::fs::File::from(fd).write_all(&text));
    }
}
