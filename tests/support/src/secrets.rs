//! No secret in anything that people read: every secret of the tests holds the same word.

/// The word. None of its forms in a URL or in JSON is another.
pub const WORD: &str = "s3cret";

/// Looks through what people can read.
///
/// # Panics
///
/// Where a secret is in it.
pub fn assert_none(text: &str) {
    if let Some(line) = text.lines().find(|line| line.contains(WORD)) {
        panic!("a secret can be read in: {line}");
    }
}
