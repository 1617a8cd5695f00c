//! The command line.

mod backup;
mod check_config;
mod compact;
mod outcome;
mod place;
mod progress;
mod remote;
mod repair;
mod serve;
mod settings;
mod token;
mod transfer;
mod verify;

use std::process::ExitCode;

use anyhow::Result;
use clap::{Parser, Subcommand};
use quire_persistence::DocumentStore;
use quire_sync_protocol::DocId;

use settings::SettingArgs;
use token::TokenCommand;

/// The variable that names the configuration file. Not a setting of its own, since no file can hold it.
pub(crate) const CONFIG_VARIABLE: &str = "QUIRE_CONFIG";

/// Variables that are no settings.
pub(crate) const VARIABLES: [&str; 2] = [CONFIG_VARIABLE, place::TOKEN_VARIABLE];

/// A server for documents that several people edit at once, for every Yjs editor.
#[derive(Debug, Parser)]
#[command(name = "quire", version, max_term_width = 100, arg_required_else_help = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the server.
    ///
    /// Every setting has a flag, an environment variable (for `--keepalive`, `QUIRE_KEEPALIVE`) and a key in
    /// the file of `--config` (`keepalive`). A flag counts more than a variable, a variable more than the file. OPERATIONS.md says more.
    Serve(SettingArgs),
    /// Print the configuration that `serve` would run with and where each value comes from, or everything that is wrong
    /// with it.
    CheckConfig(SettingArgs),
    /// Make tokens, and explain them.
    #[command(subcommand)]
    Token(TokenCommand),
    /// Read everything that is stored, and name each document that is damaged.
    ///
    /// Ends with 0 if all is sound, with 3 if there is damage, and with 1 if the store cannot be read. Changes nothing. A store
    /// that a server uses cannot be opened: stop the server, or back it up and verify the archive.
    Verify(verify::Args),
    /// Write everything that is stored into one archive.
    ///
    /// With --url a running server writes it, and goes on serving. Each document in the archive is whole, as it was at some moment
    /// meanwhile; all that was confirmed before is in it. The archive gets its name when it is complete, synced and read through.
    /// Ends with 0, with 3 if documents are damaged, which are named and left out, and with 1 if there is no archive.
    Backup(backup::BackupArgs),
    /// Make a store of an archive.
    ///
    /// The folder must not hold a store. The new one appears when all of it is there, and not at all after an error.
    Restore(backup::RestoreArgs),
    /// Write one document as a Yjs update, or all as JSON lines.
    ///
    /// A line is {"doc": NAME, "update": UPDATE}, the update in v1 encoding and base64.
    Export(transfer::ExportArgs),
    /// Unite documents with updates that `quire export` or a Yjs client has written.
    Import(transfer::ImportArgs),
    /// Replace the logs of one document, or of all, by snapshots.
    ///
    /// The server does so by itself where a log is long.
    Compact(compact::Args),
    /// Make what is sound of a damaged document the document.
    ///
    /// What is damaged is lost for good, unless an editor still has it: its edits come back with the editor. Copy the data
    /// folder first.
    Repair(repair::Args),
    /// Read documents for a server. The server starts this by itself.
    #[command(hide = true)]
    ViewWorker,
}

/// Runs the program that the command line asks for.
pub fn main() -> ExitCode {
    match Cli::parse().command {
        Command::Serve(settings) => serve::run(&settings.raw()),
        Command::CheckConfig(settings) => check_config::run(&settings.raw()),
        Command::Token(command) => token::run(command),
        Command::Verify(args) => outcome::exit(verify::run(&args)),
        Command::Backup(args) => outcome::exit(backup::backup(&args)),
        Command::Restore(args) => outcome::exit(backup::restore(&args)),
        Command::Export(args) => outcome::exit(transfer::export(&args)),
        Command::Import(args) => outcome::exit(transfer::import(&args)),
        Command::Compact(args) => outcome::exit(compact::run(&args)),
        Command::Repair(args) => outcome::exit(repair::run(&args)),
        Command::ViewWorker => quire_view::run_worker(),
    }
}

/// The names of all documents in a store.
fn names(store: &dyn DocumentStore) -> Result<Vec<DocId>> {
    const PAGE: usize = 1000;
    let mut names: Vec<DocId> = Vec::new();
    loop {
        let page = store.list(names.last(), PAGE)?;
        let is_last = page.len() < PAGE;
        names.extend(page.into_iter().map(|listed| listed.doc));
        if is_last {
            return Ok(names);
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_command_line_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn the_help_fits_a_terminal() {
        let mut command = Cli::command();
        for (name, word) in [
            ("serve", "--allow-anonymous"),
            ("verify", "--backup"),
            ("backup", "--url"),
            ("restore", "--data"),
            ("export", "--salvage"),
            ("import", "--from"),
            ("compact", "--token-file"),
            ("repair", "DOC"),
        ] {
            let help = command.find_subcommand_mut(name).unwrap().render_long_help().to_string();
            assert!(help.contains(word), "{help}");
            assert!(help.lines().all(|line| line.len() <= 100), "{help}");
        }
    }
}
