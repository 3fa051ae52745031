//! The corpus of the targets in `fuzz/`, for tests that need no fuzzer.

use std::fs;
use std::path::Path;

/// Hands every input of a target to what it tests. The last name printed is that of the input with a finding.
///
/// # Panics
///
/// With a finding, and where there is no corpus.
pub fn replay(target: &str, read: impl Fn(&[u8])) {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let seeds = fs::read_to_string(root.join("fuzz/seeds")).expect("the list of folders");
    let folders = seeds
        .lines()
        .filter_map(|line| line.strip_prefix(target)?.strip_prefix(' '))
        .flat_map(str::split_whitespace);
    let mut inputs = 0;
    for folder in folders {
        for input in fs::read_dir(root.join(folder)).expect("a folder of inputs") {
            let path = input.expect("an input").path();
            println!("{}", path.display());
            read(&fs::read(&path).expect("a file"));
            inputs += 1;
        }
    }
    assert!(inputs > 0, "no input for {target}");
}
