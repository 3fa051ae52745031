//! What `deregister` took out, as it was, for `register`: one small file an entry.
//!
//! Files lie below `/run`, which a reboot empties: after one, the configuration says how to come back. What is
//! to stay out until somebody brings it back by hand is kept beyond a reboot.

mod file;
mod lock;
mod place;

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use lb_drain_api::{Identity, Target};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use place::Places;

/// The record of this host, as one configuration sees it.
#[derive(Debug, Clone)]
pub struct Record {
    places: Places,
    scope: String,
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
    /// The configuration that it belongs to: services of one host may share an endpoint.
    pub scope: String,
    /// Its section there: sections may share an endpoint too.
    pub section: String,
    /// Whether `lb-drain` took it out. If not, it was out already, and coming back leaves it so.
    pub by_us: bool,
    /// Whether it stays out until somebody brings it back by hand.
    pub kept_out: bool,
    /// Whether it is remembered beyond a reboot: only what is on record may undo how far out it was taken.
    pub lasting: bool,
    /// Its state then, in the provider's terms.
    pub before: Value,
}

impl Record {
    /// The record in `directory`, or where [`place`] says. `scope` names the configuration.
    #[must_use]
    pub fn open(directory: Option<PathBuf>, scope: &str) -> Self {
        Self {
            places: Places::new(directory),
            scope: scope.to_owned(),
        }
    }

    /// The configuration's name.
    #[must_use]
    pub fn scope(&self) -> &str {
        &self.scope
    }

    /// Writes an entry, in one step: a reader sees the old file or the new one.
    ///
    /// How the entry was when it was first taken out outlives later runs: an entry that was out before us, or that
    /// was not `seen` in rotation and may have been out, does not replace what is on record, and what is kept out
    /// stays so. Returns what is on record and ignored, with the reason.
    ///
    /// # Errors
    ///
    /// Where there is no directory to write to, or writing fails.
    pub fn keep(&self, entry: &Entry, seen: bool) -> io::Result<Vec<String>> {
        let name = name(&entry.provider, &entry.endpoint, &entry.target);
        let _lock = lock::take(self.places.to_lock());
        let (known, ignored) = self.read_one(&name);
        let mut entry = entry.clone();
        if let Some(known) = &known {
            entry.kept_out |= known.kept_out;
            entry.lasting |= known.lasting;
            if !entry.by_us || (known.by_us && !seen) {
                entry.by_us = known.by_us;
                entry.before = known.before.clone();
            }
        }
        if known.as_ref() == Some(&entry) {
            return Ok(ignored);
        }
        let place = self.places.to_write(entry.kept_out || entry.lasting)?;
        file::write(&place.join(&name), &entry)?;
        // It has moved from one place to the other.
        for other in self.places.to_read().filter(|other| *other != place) {
            drop(file::forget(&other.join(&name)));
        }
        Ok(ignored)
    }

    /// What a section of this configuration has on record for its endpoint. What is damaged or not ours is left out, with the
    /// reason.
    #[must_use]
    pub fn entries(&self, identity: &Identity, section: &str) -> (Vec<Entry>, Vec<String>) {
        let (mut entries, mut ignored) = (Vec::<Entry>::new(), Vec::new());
        let mut files = Vec::new();
        for place in self.places.to_read() {
            match fs::read_dir(place) {
                Ok(folder) => files.extend(folder.flatten().map(|file| file.path())),
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => ignored.push(ignoring(place, &error)),
            }
        }
        for path in files {
            if path.extension().is_none_or(|extension| extension != "json") {
                continue;
            }
            match file::read(&path) {
                Ok(entry) if self.is_ours(&entry, identity) && entry.section == section => {
                    if entries.iter().all(|known| known.target != entry.target) {
                        entries.push(entry);
                    }
                }
                Ok(_) => {}
                Err(error) => ignored.push(ignoring(&path, &error)),
            }
        }
        entries.sort_by(|a, b| a.target.cmp(&b.target));
        (entries, ignored)
    }

    fn is_ours(&self, entry: &Entry, identity: &Identity) -> bool {
        entry.provider == identity.provider
            && entry.endpoint == identity.endpoint
            && entry.scope == self.scope
    }

    /// What any configuration has on record for this entry.
    #[must_use]
    pub fn entry(&self, identity: &Identity, target: &Target) -> Option<Entry> {
        let name = name(identity.provider, &identity.endpoint, target.as_str());
        self.read_one(&name).0
    }

    /// Forgets an entry that is back.
    ///
    /// # Errors
    ///
    /// Where it stays on record: the next `register` will find it there.
    pub fn forget(&self, identity: &Identity, target: &Target) -> io::Result<()> {
        let name = name(identity.provider, &identity.endpoint, target.as_str());
        let _lock = lock::take(self.places.to_lock());
        self.places
            .to_read()
            .try_for_each(|place| file::forget(&place.join(&name)))
    }

    /// The file of this name in the first place that has a right one, and what is wrong with the others.
    fn read_one(&self, name: &Path) -> (Option<Entry>, Vec<String>) {
        let mut ignored = Vec::new();
        for path in self.places.to_read().map(|place| place.join(name)) {
            match file::read(&path) {
                Ok(entry) => return (Some(entry), ignored),
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => ignored.push(ignoring(&path, &error)),
            }
        }
        (None, ignored)
    }
}

fn ignoring(path: &Path, why: &io::Error) -> String {
    format!("{} ignored: {why}", path.display())
}

/// The name of an entry's file: readable, and one for each entry.
fn name(provider: &str, endpoint: &str, target: &str) -> PathBuf {
    let readable: String = target
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() { c } else { '_' })
        .take(64)
        .collect();
    let key = format!("{provider}\0{endpoint}\0{target}");
    format!("{provider}-{readable}-{:016x}.json", fnv1a(key.as_bytes())).into()
}

/// FNV-1a, 64 bits: names things apart, nothing more.
#[must_use]
pub fn fnv1a(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}

#[cfg(test)]
mod tests;
