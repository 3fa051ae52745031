//! What leaving AWS target groups costs, side by side with what people use, and how a fleet fares:
//! `cargo bench --bench aws` prints tables of numbers measured in this one run. It takes about six minutes,
//! five of them for the fleet; `cargo bench --bench aws -- cost` or `-- fleet` runs one part.
//!
//! The cost needs `tests/setup-python`, and GNU time for the memory.

mod cost;
mod fleet;

fn main() {
    let wanted: Vec<String> = std::env::args()
        .skip(1)
        .filter(|argument| !argument.starts_with('-'))
        .collect();
    let runs = |part: &str| wanted.is_empty() || wanted.iter().any(|name| name == part);
    if runs("cost") {
        cost::run();
    }
    if runs("fleet") {
        fleet::run();
    }
}
