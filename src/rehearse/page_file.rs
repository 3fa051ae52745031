//! The file of the page: what was there before stays until the new one is whole.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// Where the page will be.
#[derive(Debug)]
pub struct PageFile {
    path: PathBuf,
    /// A file beside it that is to take its place; `None` where it is none that could be replaced, such as a pipe.
    scratch: Option<Scratch>,
}

#[derive(Debug)]
struct Scratch {
    path: PathBuf,
    file: File,
}

impl PageFile {
    /// Finds out whether the page can be written, and leaves what is there as it is.
    ///
    /// # Errors
    ///
    /// Why not.
    pub fn prepare(path: &Path) -> io::Result<Self> {
        // The file that a link leads to, so that the link stays.
        let path = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
        let scratch = match fs::metadata(&path) {
            Ok(meta) if meta.is_dir() => return Err(io::ErrorKind::IsADirectory.into()),
            Ok(meta) if !meta.is_file() => None,
            _ => Some(Scratch::beside(&path)?),
        };
        Ok(Self { path, scratch })
    }

    /// Writes the page, in one step where that is possible.
    ///
    /// # Errors
    ///
    /// Why it is not written. What was there before still is.
    pub fn write(mut self, page: &str) -> io::Result<()> {
        match &mut self.scratch {
            Some(scratch) => {
                scratch.file.write_all(page.as_bytes())?;
                fs::rename(&scratch.path, &self.path)
            }
            None => fs::write(&self.path, page),
        }
    }
}

impl Scratch {
    fn beside(path: &Path) -> io::Result<Self> {
        let mut name = path.file_name().ok_or(io::ErrorKind::InvalidInput)?.to_owned();
        name.push(format!(".{}.tmp", std::process::id()));
        let path = path.with_file_name(name);
        let file = OpenOptions::new().write(true).create_new(true).open(&path)?;
        Ok(Self { path, file })
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // Once it has taken its place there is none left.
        drop(fs::remove_file(&self.path));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_old_page_stays_until_the_new_one_is_there() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("drain.html");
        fs::write(&path, "old").expect("writes");
        drop(PageFile::prepare(&path).expect("it can be written"));
        assert_eq!(fs::read_to_string(&path).expect("it is there"), "old");
        let page = PageFile::prepare(&path).expect("it can be written");
        page.write("new").expect("writes");
        assert_eq!(fs::read_to_string(&path).expect("it is there"), "new");
        assert_eq!(
            fs::read_dir(folder.path()).expect("a folder").count(),
            1,
            "nothing else"
        );
    }

    #[test]
    fn what_cannot_be_written_is_told() {
        let folder = tempfile::tempdir().expect("a folder");
        PageFile::prepare(folder.path()).expect_err("a folder is no page");
        PageFile::prepare(&folder.path().join("missing/drain.html")).expect_err("there is no such folder");
    }
}
