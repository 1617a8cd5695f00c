//! Settings as they were given, before anything is made of them.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fmt;
use std::fs;
use std::path::Path;

use super::fault::{Fault, Place};
use super::file;
use super::setting::{Kind, SETTINGS, Setting};

/// A value as it was given, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Given {
    /// One text; for a [`Kind::List`] one for each of its elements.
    pub texts: Vec<String>,
    /// Where it was given.
    pub place: Place,
}

/// Settings as they were given. What is added later counts more, so add the file, the environment and the flags, in
/// this order.
#[derive(Clone, Default)]
pub struct Raw {
    given: BTreeMap<&'static str, Given>,
    faults: Vec<Fault>,
    warnings: Vec<Fault>,
}

impl fmt::Debug for Raw {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let given = self.given.iter().map(|(key, Given { texts, place })| {
            // An address may hold a password.
            let has_password = texts.iter().any(|text| text.contains("://") && text.contains('@'));
            let secret = Setting::by_key(key).is_none_or(|setting| setting.kind == Kind::Secret);
            (key, if secret || has_password { &[] } else { texts.as_slice() }, place)
        });
        let given: Vec<_> = given.collect();
        let Self { given: _, faults, warnings } = self;
        f.debug_struct("Raw")
            .field("given", &given)
            .field("faults", faults)
            .field("warnings", warnings)
            .finish()
    }
}

impl Raw {
    /// Settings from flags alone, by their TOML keys. For tests and for embedding.
    ///
    /// ```
    /// use quire_server::config::{Config, Raw};
    ///
    /// let config = Config::resolve(&Raw::of([("listen", "127.0.0.1:0"), ("store", "memory")])).unwrap();
    /// assert_eq!(config.listen().port(), 0);
    /// ```
    pub fn of<'a>(settings: impl IntoIterator<Item = (&'a str, &'a str)>) -> Self {
        let mut raw = Self::default();
        for (key, text) in settings {
            match Setting::by_key(key) {
                Some(setting) => raw.add_flag(setting, vec![text.to_owned()]),
                None => raw.fault(Fault {
                    place: Place::Flag(key.to_owned()),
                    key: None,
                    message: "no setting has this name".to_owned(),
                }),
            }
        }
        raw
    }

    /// Adds the settings of a TOML file.
    pub fn add_file(&mut self, path: &Path) {
        match fs::read_to_string(path) {
            Ok(text) => file::read(self, path, &text),
            Err(error) => self.fault(Fault {
                place: Place::File { path: path.to_owned(), line: None },
                key: None,
                message: format!("cannot be read: {error}"),
            }),
        }
    }

    /// Adds the settings among these environment variables. An empty variable counts as absent, because compose files
    /// and the like cannot leave one out.
    pub fn add_environment(&mut self, variables: impl IntoIterator<Item = (OsString, OsString)>) {
        let known: BTreeMap<String, &'static Setting> =
            SETTINGS.iter().map(|setting| (setting.variable(), setting)).collect();
        for (name, value) in variables {
            let Some(name) = name.to_str().filter(|name| name.starts_with("QUIRE_")) else { continue };
            if value.is_empty() || super::super::cli::VARIABLES.contains(&name) {
                continue;
            }
            let place = Place::Variable(name.to_owned());
            let Some(setting) = known.get(name) else {
                self.unknown_variable(name, known.keys());
                continue;
            };
            let Ok(text) = value.into_string() else {
                self.fault(Fault { place, key: None, message: "is not valid UTF-8".to_owned() });
                continue;
            };
            let texts = match setting.kind {
                Kind::List => text.split(',').map(|part| part.trim().to_owned()).collect(),
                Kind::Value | Kind::Switch | Kind::Secret => vec![text],
            };
            self.give(setting, Given { texts, place });
        }
    }

    /// Adds one setting given as a flag.
    pub fn add_flag(&mut self, setting: &'static Setting, texts: Vec<String>) {
        self.give(setting, Given { texts, place: Place::flag(setting) });
    }

    /// The value that counts, if one was given.
    pub fn given(&self, setting: &Setting) -> Option<&Given> {
        self.given.get(setting.key)
    }

    /// What could not even be read as settings.
    pub fn faults(&self) -> &[Fault] {
        &self.faults
    }

    /// What is odd but harmless.
    pub fn warnings(&self) -> &[Fault] {
        &self.warnings
    }

    pub(super) fn give(&mut self, setting: &'static Setting, given: Given) {
        self.given.insert(setting.key, given);
    }

    pub(super) fn fault(&mut self, fault: Fault) {
        self.faults.push(fault);
    }

    /// A misspelt setting is a fault. Anything else is only worth a warning: container platforms set variables of
    /// their own, such as `QUIRE_SERVICE_HOST` and `QUIRE_PORT` beside a service that is named `quire`.
    fn unknown_variable<'a>(&mut self, name: &str, known: impl Iterator<Item = &'a String>) {
        let place = Place::Variable(name.to_owned());
        match file::closest(name, known) {
            Some(close) => self.fault(Fault {
                place,
                key: None,
                message: format!("no setting has this name; did you mean {close}?"),
            }),
            None => self.warnings.push(Fault {
                place,
                key: None,
                message: "is no setting and has no effect".to_owned(),
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn environment(variables: &[(&str, &str)]) -> Raw {
        let mut raw = Raw::default();
        raw.add_environment(variables.iter().map(|(name, value)| (name.into(), value.into())));
        raw
    }

    #[test]
    fn the_environment_gives_settings() {
        let raw = environment(&[
            ("QUIRE_LISTEN", "127.0.0.1:1"),
            ("QUIRE_FAULT_INJECTION", "a, b"),
            ("QUIRE_KEEPALIVE", ""),
            ("HOME", "/"),
        ]);
        let given = |key| raw.given(Setting::by_key(key).unwrap()).map(|given| given.texts.clone());
        assert_eq!(given("listen"), Some(vec!["127.0.0.1:1".to_owned()]));
        assert_eq!(given("fault_injection"), Some(vec!["a".to_owned(), "b".to_owned()]));
        assert_eq!(given("keepalive"), None);
        assert!(raw.faults().is_empty() && raw.warnings().is_empty());
    }

    #[test]
    fn a_misspelt_variable_is_a_fault_and_a_foreign_one_a_warning() {
        let raw = environment(&[
            ("QUIRE_LISTN", "x"),
            ("QUIRE_SERVICE_HOST", "10.0.0.1"),
            ("QUIRE_PORT", "tcp://x"),
        ]);
        let texts = |faults: &[Fault]| faults.iter().map(ToString::to_string).collect::<Vec<_>>();
        assert_eq!(
            texts(raw.faults()),
            ["QUIRE_LISTN: no setting has this name; did you mean QUIRE_LISTEN?"]
        );
        assert_eq!(
            texts(raw.warnings()),
            [
                "QUIRE_SERVICE_HOST: is no setting and has no effect",
                "QUIRE_PORT: is no setting and has no effect"
            ]
        );
    }

    #[test]
    fn a_flag_counts_more_than_a_variable() {
        let mut raw = environment(&[("QUIRE_LISTEN", "127.0.0.1:1")]);
        let listen = Setting::by_key("listen").unwrap();
        raw.add_flag(listen, vec!["127.0.0.1:2".to_owned()]);
        assert_eq!(raw.given(listen).unwrap().place, Place::Flag("listen".to_owned()));
    }

    #[test]
    fn a_file_that_is_not_there_is_named() {
        let mut raw = Raw::default();
        raw.add_file(Path::new("no-such-folder/quire.toml"));
        assert!(raw.faults()[0].to_string().starts_with("no-such-folder/quire.toml: cannot be read: "));
    }
}
