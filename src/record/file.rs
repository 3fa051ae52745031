//! One entry as a file.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;

use super::Entry;

/// More than any provider's state needs; a larger file is not ours.
const LARGEST: u64 = 1 << 20;

/// Writes it in one step.
pub(super) fn write(path: &Path, entry: &Entry) -> io::Result<()> {
    let scratch = path.with_extension(format!("{}.tmp", std::process::id()));
    let written = OpenOptions::new()
        .write(true)
        .create_new(true)
        // Units with a `User=` must be able to see what a person keeps out. Nothing in it is secret.
        .mode(if entry.kept_out { 0o644 } else { 0o600 })
        .open(&scratch)
        .and_then(|mut file| file.write_all(&serde_json::to_vec_pretty(entry)?));
    let moved = written.and_then(|()| fs::rename(&scratch, path));
    if moved.is_err() {
        // Best effort: the scratch file may not even exist.
        drop(fs::remove_file(&scratch));
    }
    moved
}

/// Reads it, if it is ours or root's.
pub(super) fn read(path: &Path) -> io::Result<Entry> {
    let no_follow = rustix::fs::OFlags::NOFOLLOW.bits().cast_signed();
    let file = File::options().read(true).custom_flags(no_follow).open(path)?;
    let meta = file.metadata()?;
    let owner = meta.uid();
    if !meta.is_file() || (owner != 0 && owner != rustix::process::geteuid().as_raw()) {
        return Err(io::Error::other("not a file of ours"));
    }
    let mut text = String::new();
    file.take(LARGEST).read_to_string(&mut text)?;
    Ok(serde_json::from_str(&text)?)
}
