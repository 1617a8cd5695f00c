//! `quire check-config`: prints the configuration, or everything that is wrong with it.

use std::io::{self, Write as _};
use std::process::ExitCode;

use crate::config::{self, Config, Fault, Faults, Raw};

/// Prints what `serve` would run with to standard output, or all faults to standard error.
pub(super) fn run(raw: &Raw) -> ExitCode {
    report_warnings(raw);
    match Config::resolve(raw) {
        Ok(_) => match io::stdout().write_all(config::print(raw).as_bytes()) {
            Ok(()) => ExitCode::SUCCESS,
            Err(_) => ExitCode::FAILURE,
        },
        Err(faults) => report(&faults),
    }
}

/// Writes all faults to standard error.
pub(super) fn report(faults: &Faults) -> ExitCode {
    for fault in faults.iter() {
        line("error", fault);
    }
    ExitCode::FAILURE
}

fn report_warnings(raw: &Raw) {
    for warning in raw.warnings() {
        line("warning", warning);
    }
}

fn line(kind: &str, fault: &Fault) {
    // Nobody is left to be told if standard error is gone.
    let _ = writeln!(io::stderr(), "{kind}: {fault}");
}
