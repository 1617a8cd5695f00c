//! What is wrong with a configuration, and where.

use std::fmt;
use std::path::PathBuf;

use super::setting::Setting;

/// Where a value was given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// Nowhere: the default.
    Default,
    /// The file; a setting is named by its key and the line it stands on.
    File {
        /// The file as it was named.
        path: PathBuf,
        /// Counted from 1; `None` for the file as a whole.
        line: Option<usize>,
    },
    /// An environment variable, by its name.
    Variable(String),
    /// A flag, without its dashes.
    Flag(String),
}

impl Place {
    /// The place of `setting`'s flag.
    pub fn flag(setting: &Setting) -> Self {
        Self::Flag(setting.flag())
    }

    /// The place of `setting`'s variable.
    pub fn variable(setting: &Setting) -> Self {
        Self::Variable(setting.variable())
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::File { path, line: Some(line) } => write!(f, "{}:{line}", path.display()),
            Self::File { path, line: None } => write!(f, "{}", path.display()),
            Self::Variable(name) => f.write_str(name),
            Self::Flag(name) => write!(f, "--{name}"),
        }
    }
}

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// Where.
    pub place: Place,
    /// The TOML key of the setting, where the place does not say it.
    pub key: Option<String>,
    /// What, and what to write instead.
    pub message: String,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.key {
            Some(key) => write!(f, "{}: {key}: {}", self.place, self.message),
            None => write!(f, "{}: {}", self.place, self.message),
        }
    }
}

/// Everything that is wrong with a configuration.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct Faults(Vec<Fault>);

impl Faults {
    /// `Ok` if there are none.
    pub(super) fn check(faults: Vec<Fault>) -> Result<(), Self> {
        if faults.is_empty() { Ok(()) } else { Err(Self(faults)) }
    }

    /// At least one, in the order of [`super::SETTINGS`] after those of the file as a whole.
    pub fn iter(&self) -> impl Iterator<Item = &Fault> {
        self.0.iter()
    }
}

impl fmt::Display for Faults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, fault) in self.0.iter().enumerate() {
            if index > 0 {
                f.write_str("\n")?;
            }
            write!(f, "{fault}")?;
        }
        Ok(())
    }
}
