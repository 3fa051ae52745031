//! Whose network is meant: a service may run in another network namespace than we do.

use std::fs;
use std::io;
use std::os::linux::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// The `net` folder of a process, if that process lives in another network namespace than we do.
///
/// Compares the tables themselves rather than `/proc/PID/ns/net`, which only the process's owner may read: each
/// namespace has tables of its own, with inodes of their own. A process that has ended, or that is hidden from
/// us (`hidepid`), is taken to live in ours.
///
/// # Errors
///
/// Where procfs cannot be read.
pub(super) fn foreign(pid: u32) -> io::Result<Option<PathBuf>> {
    let theirs = PathBuf::from(format!("/proc/{pid}/net"));
    let their_table = match fs::metadata(theirs.join("tcp")) {
        Ok(table) => table,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(e) => return Err(e),
    };
    let our_table = fs::metadata(Path::new("/proc/self/net/tcp"))?;
    let same = (their_table.st_dev(), their_table.st_ino()) == (our_table.st_dev(), our_table.st_ino());
    Ok((!same).then_some(theirs))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn our_own_namespace_is_not_foreign() {
        assert_eq!(foreign(std::process::id()).expect("procfs"), None);
    }

    #[test]
    fn a_process_that_has_ended_is_taken_to_live_in_ours() {
        assert_eq!(foreign(u32::MAX).expect("procfs"), None);
    }
}
