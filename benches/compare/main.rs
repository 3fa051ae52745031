//! What a run costs, side by side with what people use: `cargo bench --bench compare` prints tables of ratios, each of
//! numbers measured in this one run. `-- haproxy`, `-- http` or `-- aws` runs one part.
//!
//! Whole processes are measured: wall time, processor time, peak memory. All sides of a table take turns, so that all
//! see the same machine. The binary is built as it is installed (the profile `bench` is `dist`).
//!
//! Needs what `tests/run` installs: haproxy, socat, curl, cc, and the Python environment of `tests/setup-python`.

mod aws;
mod haproxy;
mod http;
mod side;

fn main() {
    let wanted: Vec<String> = std::env::args()
        .skip(1)
        .filter(|argument| !argument.starts_with('-'))
        .collect();
    let parts: [(&str, fn()); 3] = [("haproxy", haproxy::run), ("http", http::run), ("aws", aws::run)];
    for (name, run) in parts {
        if wanted.is_empty() || wanted.iter().any(|part| part == name) {
            run();
        }
    }
}
