//! The command line.

mod check_config;
mod serve;
mod settings;
mod token;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use settings::SettingArgs;
use token::TokenCommand;

/// The variable that names the configuration file. Not a setting of its own, since no file can hold it.
pub(crate) const CONFIG_VARIABLE: &str = "QUIRE_CONFIG";

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
        Command::ViewWorker => quire_view::run_worker(),
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
        let help = command.find_subcommand_mut("serve").unwrap().render_long_help().to_string();
        assert!(help.contains("--allow-anonymous"));
        assert!(help.lines().all(|line| line.len() <= 100), "{help}");
    }
}
