//! The binary `lb-drain`.

fn main() {}
