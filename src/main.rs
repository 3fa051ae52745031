//! The binary `lb-drain`.

use std::panic;
use std::process::ExitCode;

use lb_drain::cli;
use lb_drain::exit::Exit;
use lb_drain::report::log;

/// musl's own asks the kernel for each few pages and gives them back at once: a hundred calls in a short run.
#[cfg(target_env = "musl")]
#[global_allocator]
static ALLOCATOR: dlmalloc::GlobalDlmalloc = dlmalloc::GlobalDlmalloc;

fn main() -> ExitCode {
    match cli::parse(std::env::args_os()) {
        // A panic out here, tokio's where file descriptors run out for example, has been told. No unit file knows
        // its exit code, 101.
        Ok(parsed) => panic::catch_unwind(|| lb_drain::run(&parsed))
            .unwrap_or(Exit::Failed)
            .into(),
        Err(error) => {
            if error.use_stderr() {
                log::usage(error.to_string());
                return Exit::Usage.into();
            }
            // Help and version go to stdout and are no failure.
            drop(error.print());
            Exit::Done.into()
        }
    }
}
