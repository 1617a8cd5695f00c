//! The binary `quire`.

use std::process::ExitCode;

fn main() -> ExitCode {
    quire_server::cli::main()
}
