//! The program: parse, run, print an error once, and leave with an exit code that means something.

use std::process::ExitCode;

fn main() -> ExitCode {
    ExitCode::from(regend::cli::main())
}
