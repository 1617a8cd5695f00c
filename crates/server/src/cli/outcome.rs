//! How a command ends.

use std::io::{self, Write as _};
use std::process::ExitCode;

use anyhow::Result;

/// The exit code of a command that has done its work and found damage.
const DAMAGE: u8 = 3;

/// What a command that has done its work found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// All is well.
    Sound,
    /// Some documents are damaged; their names are told.
    Damaged,
}

impl Outcome {
    pub(super) fn damaged_if(damaged: bool) -> Self {
        if damaged { Self::Damaged } else { Self::Sound }
    }
}

/// Tells an error, and gives the exit code: 0, 1 if the command could not do its work, 3 if it has found damage.
pub(super) fn exit(result: Result<Outcome>) -> ExitCode {
    match result {
        Ok(Outcome::Sound) => ExitCode::SUCCESS,
        Ok(Outcome::Damaged) => ExitCode::from(DAMAGE),
        Err(error) => {
            // Nobody is left to be told if standard error is gone.
            let _ = writeln!(io::stderr(), "error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
