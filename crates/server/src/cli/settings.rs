//! The flags, made from the table of settings, and the three places of settings read together.

use std::env;
use std::path::PathBuf;

use clap::{Arg, ArgAction, ArgMatches, Args, Command, Error, FromArgMatches};

use super::CONFIG_VARIABLE;
use crate::config::{Kind, Raw, SETTINGS, Setting};

/// The settings named on the command line, as texts. They are parsed together with those of the environment and the
/// file, so that all faults are found at once.
#[derive(Clone, Debug, Default)]
pub(super) struct SettingArgs {
    config: Option<PathBuf>,
    given: Vec<(&'static Setting, Vec<String>)>,
}

impl SettingArgs {
    /// Everything that was given: in the file, in the environment, as flags.
    pub(super) fn raw(self) -> Raw {
        let mut raw = base(self.config);
        for (setting, texts) in self.given {
            raw.add_flag(setting, texts);
        }
        raw
    }
}

/// What the file, this one or else the one of the environment, and the environment give.
pub(super) fn base(config: Option<PathBuf>) -> Raw {
    let mut raw = Raw::default();
    let named = || env::var_os(CONFIG_VARIABLE).filter(|path| !path.is_empty()).map(PathBuf::from);
    if let Some(path) = config.or_else(named) {
        raw.add_file(&path);
    }
    raw.add_environment(env::vars_os());
    raw
}

impl Args for SettingArgs {
    fn augment_args(command: Command) -> Command {
        let config = Arg::new("config")
            .long("config")
            .value_name("FILE")
            .value_parser(clap::value_parser!(PathBuf))
            .help(format!("TOML file with settings [env: {CONFIG_VARIABLE}]"));
        with_flags().fold(command.arg(config), |command, setting| command.arg(arg(setting)))
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

/// The settings that have a flag.
fn with_flags() -> impl Iterator<Item = &'static Setting> {
    SETTINGS.iter().filter(|setting| setting.kind != Kind::Secret)
}

fn arg(setting: &'static Setting) -> Arg {
    let default = match (setting.kind, setting.default) {
        (Kind::Switch, _) | (_, "") => String::new(),
        (_, default) => format!(" [default: {default}]"),
    };
    let arg = Arg::new(setting.key)
        .long(setting.flag())
        .value_name(setting.placeholder)
        .help(format!("{}{default}", setting.help))
        .help_heading(setting.group);
    match setting.kind {
        Kind::Value | Kind::Secret => arg.action(ArgAction::Set),
        Kind::List => arg.action(ArgAction::Append),
        Kind::Switch => {
            arg.action(ArgAction::Set).num_args(0..=1).require_equals(true).default_missing_value("true")
        }
    }
}

impl FromArgMatches for SettingArgs {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, Error> {
        let mut settings = Self::default();
        settings.update_from_arg_matches(matches)?;
        Ok(settings)
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), Error> {
        self.config = matches.get_one("config").cloned();
        self.given = with_flags()
            .filter_map(|setting| Some((setting, matches.get_many(setting.key)?.cloned().collect())))
            .collect();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;

    fn parse(arguments: &[&str]) -> Result<SettingArgs, Error> {
        let command = SettingArgs::augment_args(Command::new("test").no_binary_name(true));
        SettingArgs::from_arg_matches(&command.try_get_matches_from(arguments)?)
    }

    fn resolve(arguments: &[&str]) -> Config {
        let mut raw = Raw::default();
        for (setting, texts) in parse(arguments).unwrap().given {
            raw.add_flag(setting, texts);
        }
        Config::resolve(&raw).unwrap()
    }

    #[test]
    fn flags_become_settings() {
        let config =
            resolve(&["--listen", "0.0.0.0:1", "--allow-anonymous", "--fault-injection", "store-delay=1s"]);
        assert_eq!(config.listen().to_string(), "0.0.0.0:1");
        assert_eq!(config.injection.store_delay.as_secs(), 1);
        assert_eq!(resolve(&["--allow-anonymous=false"]).listen().port(), 1234);
        assert_eq!(parse(&["--config", "a.toml"]).unwrap().config, Some("a.toml".into()));
    }

    #[test]
    fn a_misspelt_flag_gets_a_suggestion() {
        assert!(parse(&["--lisen", "x"]).unwrap_err().to_string().contains("--listen"));
    }
}
