//! `quire token`: makes tokens and explains them.

use std::io::{self, Read as _, Write as _};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, SystemTime};

use clap::{Args, Subcommand};

use super::check_config;
use super::settings;
use crate::auth::{self, Grant, Right, Scope, TokenClaims};
use crate::config::{self, Config, Raw, Setting};

/// What to do with tokens.
#[derive(Debug, Subcommand)]
pub(super) enum TokenCommand {
    /// Make a token, signed with the secret of the configuration (`QUIRE_AUTH_SECRET`).
    Make(Make),
    /// Say what a token holds, and whether this configuration would take it, or why not.
    Explain(Explain),
}

/// Where the keys stand.
#[derive(Debug, Args)]
struct Keys {
    /// TOML file with settings.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// File with the secret that tokens are signed with.
    #[arg(long, value_name = "FILE")]
    auth_secret_file: Option<String>,
}

/// What a token is to say.
#[derive(Debug, Args)]
pub(super) struct Make {
    /// The user (sub); without one the token is for whoever holds it.
    #[arg(long, value_name = "TEXT")]
    user: Option<String>,
    /// What others are shown of the user.
    #[arg(long, value_name = "TEXT")]
    name: Option<String>,
    /// The colour of the user's cursor.
    #[arg(long, value_name = "COLOR")]
    color: Option<String>,
    /// A right on one document, such as `write:notes`: read, write or admin. May be repeated.
    #[arg(long, value_name = "RIGHT:NAME", value_parser = grant)]
    grant: Vec<(Right, String)>,
    /// A right on all documents whose names begin so, such as `read:team/`. `admin:` administers the server.
    #[arg(long, value_name = "RIGHT:PREFIX", value_parser = grant)]
    grant_prefix: Vec<(Right, String)>,
    /// Let it post notifications for any user.
    #[arg(long)]
    notify: bool,
    /// How long it holds.
    #[arg(long, value_name = "TIME", default_value = "1h", value_parser = config::duration)]
    expires: Duration,
    #[command(flatten)]
    keys: Keys,
}

/// What to explain.
#[derive(Debug, Args)]
pub(super) struct Explain {
    /// The token. Without it, it is read from standard input, where other users of the machine do not see it.
    token: Option<String>,
    #[command(flatten)]
    keys: Keys,
}

fn grant(text: &str) -> Result<(Right, String), String> {
    let (right, name) = text.split_once(':').unwrap_or((text, ""));
    let right = match right {
        "read" => Right::Read,
        "write" => Right::Write,
        "admin" => Right::Admin,
        _ => return Err(format!("{right:?} is no right; write read:NAME, write:NAME or admin:NAME")),
    };
    Ok((right, name.to_owned()))
}

/// Runs the command.
pub(super) fn run(command: TokenCommand) -> ExitCode {
    match command {
        TokenCommand::Make(make) => make.run(),
        TokenCommand::Explain(explain) => explain.run(),
    }
}

impl Keys {
    fn config(self) -> Result<Config, ExitCode> {
        let mut raw: Raw = settings::base(self.config);
        if let (Some(path), Some(setting)) = (self.auth_secret_file, Setting::by_key("auth_secret_file")) {
            raw.add_flag(setting, vec![path]);
        }
        Config::resolve(&raw).map_err(|faults| check_config::report(&faults))
    }
}

impl Make {
    fn run(self) -> ExitCode {
        let scoped = |(right, name): (Right, String), scope: fn(Box<str>) -> Scope| Grant {
            scope: scope(name.into()),
            right,
            presence: true,
        };
        let names = self.grant.into_iter().map(|grant| scoped(grant, |name| Scope::Name(name.into())));
        let prefixes = self.grant_prefix.into_iter();
        let prefixes = prefixes.map(|grant| scoped(grant, |prefix| Scope::Prefix(prefix.into())));
        let claims = TokenClaims {
            user: self.user,
            name: self.name,
            color: self.color,
            grants: names.chain(prefixes).collect(),
            notify: self.notify,
            expires: self.expires,
        };
        let config = match self.keys.config() {
            Ok(config) => config,
            Err(code) => return code,
        };
        match auth::make_token(&config.access, claims, SystemTime::now()) {
            Ok(token) => print(&token),
            Err(message) => fail(&message),
        }
    }
}

impl Explain {
    fn run(self) -> ExitCode {
        let mut token = self.token.unwrap_or_default();
        if token.is_empty()
            && let Err(error) = io::stdin().read_to_string(&mut token)
        {
            return fail(&format!("standard input cannot be read: {error}"));
        }
        let config = match self.keys.config() {
            Ok(config) => config,
            Err(code) => return code,
        };
        let explained = auth::explain_token(&config.access, token.trim(), SystemTime::now());
        let code = print(&explained.text);
        if explained.holds { code } else { ExitCode::FAILURE }
    }
}

fn print(text: &str) -> ExitCode {
    match writeln!(io::stdout(), "{text}") {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}

fn fail(message: &str) -> ExitCode {
    // Nobody is left to be told if standard error is gone.
    let _ = writeln!(io::stderr(), "error: {message}");
    ExitCode::FAILURE
}
