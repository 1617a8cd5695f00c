//! A view worker and nothing else.

use std::process::ExitCode;

fn main() -> ExitCode {
    quire_view::run_worker()
}
