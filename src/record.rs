//! What `deregister` took out, as it was, for `register`: one small file an entry.
//!
//! Files lie below `/run`, which a reboot empties: after one, the configuration says how to come back.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use lb_drain_api::{Identity, Target};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Where root keeps the record.
const DIRECTORY: &str = "/run/lb-drain";
/// More than any provider's state needs; a larger file is not ours.
const LARGEST: u64 = 1 << 20;

/// The record of this host.
#[derive(Debug, Clone)]
pub struct Record {
    directory: Option<PathBuf>,
}

/// One entry as it was before it was taken out.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Entry {
    /// The provider's name.
    pub provider: String,
    /// The endpoint.
    pub endpoint: String,
    /// The entry's name there.
    pub target: String,
    /// Whether `lb-drain` took it out. If not, it was out already, and coming back leaves it so.
    pub by_us: bool,
    /// Its state then, in the provider's terms.
    pub before: Value,
}

impl Record {
    /// The record in `directory`, else in `/run/lb-drain`, else (without the right to write there) in the
    /// unit's `$RUNTIME_DIRECTORY` or the user's `$XDG_RUNTIME_DIR`.
    ///
    /// `$RUNTIME_DIRECTORY` comes second because systemd removes it when the unit stops, unless
    /// `RuntimeDirectoryPreserve=` says otherwise.
    #[must_use]
    pub fn open(directory: Option<PathBuf>) -> Self {
        let from_env = |name: &str| {
            let value = std::env::var_os(name)?;
            Some(PathBuf::from(value.to_str()?.split(':').next()?)).filter(|path| path.is_absolute())
        };
        let candidates = match directory {
            Some(directory) => vec![directory],
            None => std::iter::once(PathBuf::from(DIRECTORY))
                .chain(from_env("RUNTIME_DIRECTORY"))
                .chain(from_env("XDG_RUNTIME_DIR").map(|path| path.join("lb-drain")))
                .collect(),
        };
        Self {
            directory: candidates.into_iter().find(|path| usable(path)),
        }
    }

    /// Writes an entry, in one step: a reader sees the old file or the new one.
    ///
    /// An entry that was out before us does not replace what is on record: that is from an earlier run of
    /// ours, interrupted perhaps, which did take it out.
    ///
    /// # Errors
    ///
    /// Where there is no directory to write to, or writing fails.
    pub fn keep(&self, entry: &Entry) -> io::Result<()> {
        let path = self.path(&entry.provider, &entry.endpoint, &entry.target)?;
        if !entry.by_us && path.exists() {
            return Ok(());
        }
        let scratch = path.with_extension(format!("{}.tmp", std::process::id()));
        let written = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&scratch)
            .and_then(|mut file| file.write_all(&serde_json::to_vec_pretty(entry)?));
        let moved = written.and_then(|()| fs::rename(&scratch, &path));
        if moved.is_err() {
            // Best effort: the scratch file may not even exist.
            drop(fs::remove_file(&scratch));
        }
        moved
    }

    /// What is on record for an endpoint. What is damaged or not ours is left out, with the reason.
    #[must_use]
    pub fn entries(&self, identity: &Identity) -> (Vec<Entry>, Vec<String>) {
        let (mut entries, mut ignored) = (Vec::new(), Vec::new());
        let Some(files) = self
            .directory
            .as_ref()
            .and_then(|directory| fs::read_dir(directory).ok())
        else {
            return (entries, ignored);
        };
        for path in files.flatten().map(|file| file.path()) {
            if path.extension().is_none_or(|extension| extension != "json") {
                continue;
            }
            match read(&path) {
                Ok(entry) if entry.provider == identity.provider && entry.endpoint == identity.endpoint => {
                    entries.push(entry);
                }
                Ok(_) => {}
                Err(error) => ignored.push(format!("{} ignored: {error}", path.display())),
            }
        }
        entries.sort_by(|a, b| a.target.cmp(&b.target));
        (entries, ignored)
    }

    /// Forgets an entry that is back.
    pub fn forget(&self, identity: &Identity, target: &Target) {
        if let Ok(path) = self.path(identity.provider, &identity.endpoint, target.as_str()) {
            // One that cannot be removed is tried again by the next `register`; that does no harm.
            drop(fs::remove_file(path));
        }
    }

    fn path(&self, provider: &str, endpoint: &str, target: &str) -> io::Result<PathBuf> {
        let Some(directory) = &self.directory else {
            return Err(io::Error::new(
                io::ErrorKind::NotFound,
                format!("{DIRECTORY} is not writable, and there is no RuntimeDirectory="),
            ));
        };
        let key = format!("{provider}\0{endpoint}\0{target}");
        let readable: String = target
            .chars()
            .map(|c| if c.is_ascii_alphanumeric() { c } else { '_' })
            .take(64)
            .collect();
        Ok(directory.join(format!(
            "{provider}-{readable}-{:016x}.json",
            fnv1a(key.as_bytes())
        )))
    }
}

/// Whether we may write here. The directory is made if it can be; one that others may write to could be
/// made to restore anything.
fn usable(directory: &Path) -> bool {
    // An error here shows up again below.
    drop(fs::DirBuilder::new().mode(0o755).create(directory));
    fs::symlink_metadata(directory).is_ok_and(|meta| meta.is_dir() && meta.mode() & 0o002 == 0)
        && rustix::fs::access(directory, rustix::fs::Access::WRITE_OK).is_ok()
}

fn read(path: &Path) -> io::Result<Entry> {
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

/// FNV-1a, 64 bits: names files apart, nothing more.
fn fnv1a(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn identity() -> Identity {
        Identity {
            provider: "haproxy",
            endpoint: "/run/a.sock".to_owned(),
        }
    }

    fn entry(target: &str, by_us: bool, state: &str) -> Entry {
        Entry {
            provider: "haproxy".to_owned(),
            endpoint: "/run/a.sock".to_owned(),
            target: target.to_owned(),
            by_us,
            before: Value::from(state),
        }
    }

    #[test]
    fn what_was_kept_is_there_until_forgotten() {
        let directory = tempfile::tempdir().expect("a directory");
        let record = Record::open(Some(directory.path().to_owned()));
        record.keep(&entry("web/app1", true, "up")).expect("kept");
        assert_eq!(record.entries(&identity()).0, [entry("web/app1", true, "up")]);
        record.forget(&identity(), &Target::new("web/app1"));
        assert!(record.entries(&identity()).0.is_empty());
    }

    #[test]
    fn one_that_was_out_already_does_not_replace_what_we_took_out() {
        let directory = tempfile::tempdir().expect("a directory");
        let record = Record::open(Some(directory.path().to_owned()));
        record.keep(&entry("web/app1", true, "up")).expect("kept");
        record.keep(&entry("web/app1", false, "drain")).expect("kept");
        assert_eq!(record.entries(&identity()).0, [entry("web/app1", true, "up")]);
    }

    #[test]
    fn names_that_look_alike_are_kept_apart() {
        let directory = tempfile::tempdir().expect("a directory");
        let record = Record::open(Some(directory.path().to_owned()));
        record.keep(&entry("web/app_1", true, "a")).expect("kept");
        record.keep(&entry("web_app/1", true, "b")).expect("kept");
        assert_eq!(record.entries(&identity()).0.len(), 2);
    }

    #[test]
    fn damaged_files_and_links_are_ignored_with_the_reason() {
        let directory = tempfile::tempdir().expect("a directory");
        let record = Record::open(Some(directory.path().to_owned()));
        fs::write(directory.path().join("haproxy-x.json"), "{").expect("written");
        std::os::unix::fs::symlink("/etc/passwd", directory.path().join("haproxy-y.json")).expect("linked");
        let (entries, ignored) = record.entries(&identity());
        assert!(entries.is_empty());
        assert_eq!(ignored.len(), 2, "{ignored:?}");
    }

    #[test]
    fn without_a_directory_keeping_says_so() {
        let record = Record::open(Some(PathBuf::from("/proc/nowhere")));
        assert!(record.keep(&entry("a", true, "b")).is_err());
    }
}
