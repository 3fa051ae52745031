//! Where the record lies.

use std::fs::{self, Metadata, Permissions};
use std::io;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

/// Where root keeps the record until the next reboot.
const DIRECTORY: &str = "/run/lb-drain";
/// Where root keeps what stays out until somebody brings it back.
const LASTING: &str = "/var/lib/lb-drain";

/// The folders of a run.
#[derive(Debug, Clone)]
pub(super) struct Places {
    usual: Option<PathBuf>,
    lasting: PathBuf,
}

impl Places {
    /// `directory` for everything. Else `/run/lb-drain`, or (without the right to write there) the unit's
    /// `$RUNTIME_DIRECTORY` or the user's `$XDG_RUNTIME_DIR`; and `/var/lib/lb-drain` for what is to last.
    ///
    /// `$RUNTIME_DIRECTORY` comes second because systemd removes it when the unit stops, unless
    /// `RuntimeDirectoryPreserve=` says otherwise.
    pub(super) fn new(directory: Option<PathBuf>) -> Self {
        let from_env = |name: &str| {
            let value = std::env::var_os(name)?;
            let path = Path::new(value.to_str()?.split(':').next()?).to_owned();
            // With DynamicUser= it is a link that systemd made.
            Some(fs::canonicalize(&path).unwrap_or(path)).filter(|path| path.is_absolute())
        };
        let lasting = directory.clone().unwrap_or_else(|| PathBuf::from(LASTING));
        let candidates = match directory {
            Some(directory) => vec![directory],
            None => std::iter::once(PathBuf::from(DIRECTORY))
                .chain(from_env("RUNTIME_DIRECTORY"))
                .chain(from_env("XDG_RUNTIME_DIR").map(|path| path.join("lb-drain")))
                .collect(),
        };
        Self {
            usual: candidates.into_iter().find(|path| usable(path)),
            lasting,
        }
    }

    /// These two.
    #[cfg(test)]
    pub(super) fn at(usual: &Path, lasting: &Path) -> Self {
        Self {
            usual: Some(usual.to_owned()).filter(|path| usable(path)),
            lasting: lasting.to_owned(),
        }
    }

    /// Where to look, the lasting place first. We may not be able to write there, and see it all the same.
    pub(super) fn to_read(&self) -> impl Iterator<Item = &Path> {
        let usual = self.usual.iter().filter(|usual| **usual != self.lasting);
        std::iter::once(&self.lasting).chain(usual).map(PathBuf::as_path)
    }

    /// Where runs of this user agree on who changes the record.
    pub(super) fn to_lock(&self) -> &Path {
        self.usual.as_deref().unwrap_or(&self.lasting)
    }

    /// Where to write.
    ///
    /// # Errors
    ///
    /// Where there is no such place.
    pub(super) fn to_write(&self, lasting: bool) -> io::Result<&Path> {
        // Made only where it is needed.
        if lasting && usable(&self.lasting) {
            return Ok(&self.lasting);
        }
        self.usual.as_deref().ok_or_else(|| {
            io::Error::new(
                io::ErrorKind::NotFound,
                format!("{DIRECTORY} is not writable, and there is no RuntimeDirectory="),
            )
        })
    }
}

/// Whether we may write here. The directory is made if it can be, and then others may look into it, whatever the
/// umask says. One that is another user's, or that others may write to, could be made to restore anything.
fn usable(directory: &Path) -> bool {
    // An error here shows up again below.
    if fs::create_dir(directory).is_ok() {
        drop(fs::set_permissions(directory, Permissions::from_mode(0o755)));
    }
    fs::symlink_metadata(directory)
        .is_ok_and(|meta| meta.is_dir() && is_ours(&meta) && meta.mode() & 0o022 == 0)
        && rustix::fs::access(directory, rustix::fs::Access::WRITE_OK).is_ok()
}

/// Whether it belongs to root or to the user that we run as.
pub(super) fn is_ours(meta: &Metadata) -> bool {
    [0, rustix::process::geteuid().as_raw()].contains(&meta.uid())
}
