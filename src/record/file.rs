//! One entry as a file.

use std::fs::{self, File, OpenOptions, Permissions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::OFlags;
use serde_json::Value;

use super::Entry;

/// More than any provider's state needs; a larger file is not ours.
const LARGEST: u64 = 1 << 20;

/// Writes it in one step.
///
/// Units with a `User=` must be able to see what a person keeps out, so anybody may read that. How it was before
/// is nobody else's: what a load balancer answered may be in it. Then that is a file of its own, and there first.
pub(super) fn write(path: &Path, entry: &Entry) -> io::Result<()> {
    if !entry.kept_out {
        let lasts = match entry.lasting {
            true => Lasts::Forever,
            false => Lasts::UntilReboot,
        };
        return replace(path, &serde_json::to_vec_pretty(entry)?, 0o600, lasts);
    }
    let before = before(path);
    if entry.before.is_null() {
        remove(&before)?;
    } else {
        replace(
            &before,
            &serde_json::to_vec(&entry.before)?,
            0o600,
            Lasts::Forever,
        )?;
    }
    let mut seen = entry.clone();
    seen.before = Value::Null;
    replace(path, &serde_json::to_vec_pretty(&seen)?, 0o644, Lasts::Forever)
}

/// Reads it, if it is ours or root's.
pub(super) fn read(path: &Path) -> io::Result<Entry> {
    let mut entry: Entry = parsed(path)?;
    if entry.kept_out && entry.before.is_null() {
        entry.before = match parsed(&before(path)) {
            Ok(before) => before,
            // There is none; or it is not for us to see, who leave out what is kept out.
            Err(error)
                if matches!(
                    error.kind(),
                    io::ErrorKind::NotFound | io::ErrorKind::PermissionDenied
                ) =>
            {
                Value::Null
            }
            Err(error) => return Err(error),
        };
    }
    Ok(entry)
}

/// Removes it, if it is there.
pub(super) fn forget(path: &Path) -> io::Result<()> {
    remove(path)?;
    remove(&before(path))
}

/// Where it lies how an entry was that a person keeps out.
fn before(path: &Path) -> PathBuf {
    path.with_extension("before")
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Lasts {
    /// The page cache will do.
    UntilReboot,
    /// Even if the power fails in the next moment.
    Forever,
}

fn replace(path: &Path, text: &[u8], mode: u32, lasts: Lasts) -> io::Result<()> {
    let scratch = path.with_extension(format!("{}.tmp", std::process::id()));
    // What was killed while it wrote may have had our number.
    remove(&scratch)?;
    let written = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&scratch)
        .and_then(|mut file| {
            // The umask has no say in it.
            file.set_permissions(Permissions::from_mode(mode))?;
            file.write_all(text)?;
            if lasts == Lasts::Forever {
                file.sync_all()?;
            }
            Ok(())
        });
    let moved = written.and_then(|()| fs::rename(&scratch, path));
    if moved.is_err() {
        // Best effort: the scratch file may not even exist.
        drop(fs::remove_file(&scratch));
    }
    moved?;
    match path.parent() {
        Some(folder) if lasts == Lasts::Forever => File::open(folder)?.sync_all(),
        _ => Ok(()),
    }
}

fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

fn parsed<T: serde::de::DeserializeOwned>(path: &Path) -> io::Result<T> {
    // A pipe that nobody writes to would be waited for.
    let flags = (OFlags::NOFOLLOW | OFlags::NONBLOCK).bits().cast_signed();
    let file = File::options().read(true).custom_flags(flags).open(path)?;
    let meta = file.metadata()?;
    if !meta.is_file() || !super::place::is_ours(&meta) {
        return Err(io::Error::other("not a file of ours"));
    }
    let mut text = String::new();
    file.take(LARGEST).read_to_string(&mut text)?;
    Ok(serde_json::from_str(&text)?)
}
