//! The binary `lb-drain`.

use std::process::ExitCode;

use lb_drain::cli;
use lb_drain::exit::Exit;

fn main() -> ExitCode {
    match cli::parse(std::env::args_os()) {
        Ok(parsed) => lb_drain::run(&parsed).into(),
        Err(error) => {
            // Help and version go to stdout and are no failure.
            let exit = if error.use_stderr() {
                Exit::Usage
            } else {
                Exit::Done
            };
            drop(error.print());
            exit.into()
        }
    }
}
