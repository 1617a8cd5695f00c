//! Which store to use, as an operator writes it.

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::Arc;

use crate::engines::{MemoryEngine, RedbEngine, SledEngine, redb, sled};
use crate::error::OpenError;
use crate::local::LocalStore;
use crate::postgres::{PostgresStore, PostgresUrl, PostgresUrlError, Use};
use crate::store::DocumentStore;

/// Which store to use, and where. Written as `redb`, `redb:DIR`, `sled:DIR`, `memory` or `postgres://USER:PASSWORD@HOST/DATABASE`;
/// shown without the password.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StoreSpec {
    /// redb, in the file `quire.redb` in this folder. The empty path is the data folder.
    Redb(PathBuf),
    /// sled, in the folder `quire.sled` in this folder. The empty path is the data folder.
    Sled(PathBuf),
    /// Nothing is kept beyond the end of the process.
    Memory,
    /// PostgreSQL, in the schema `quire` of this database.
    Postgres(PostgresUrl),
}

impl StoreSpec {
    /// The same store with a relative path taken from the data folder.
    #[must_use]
    pub fn within(self, data: &Path) -> Self {
        // `join` keeps an absolute path, and would end an empty one with a slash.
        let resolve =
            |path: PathBuf| if path.as_os_str().is_empty() { data.to_owned() } else { data.join(path) };
        match self {
            Self::Redb(path) => Self::Redb(resolve(path)),
            Self::Sled(path) => Self::Sled(resolve(path)),
            Self::Memory | Self::Postgres(_) => self,
        }
    }
}

impl StoreSpec {
    /// The folder and, in it, the file or folder that is the store; `None` for one in memory or in a database.
    pub fn files(&self) -> Option<(&Path, &'static str)> {
        match self {
            Self::Redb(path) => Some((path, redb::FILE)),
            Self::Sled(path) => Some((path, sled::DATABASE_FOLDER)),
            Self::Memory | Self::Postgres(_) => None,
        }
    }

    /// The same kind of store in another folder.
    pub(crate) fn at(&self, path: &Path) -> Self {
        match self {
            Self::Redb(_) => Self::Redb(path.to_owned()),
            Self::Sled(_) => Self::Sled(path.to_owned()),
            Self::Memory | Self::Postgres(_) => self.clone(),
        }
    }
}

impl Default for StoreSpec {
    /// redb in the data folder.
    fn default() -> Self {
        Self::Redb(PathBuf::new())
    }
}

impl fmt::Display for StoreSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (engine, path) = match self {
            Self::Redb(path) => ("redb", path),
            Self::Sled(path) => ("sled", path),
            Self::Memory => return f.write_str("memory"),
            Self::Postgres(url) => return url.fmt(f),
        };
        if path.as_os_str().is_empty() {
            f.write_str(engine)
        } else {
            write!(f, "{engine}:{}", path.display())
        }
    }
}

impl FromStr for StoreSpec {
    type Err = StoreSpecError;

    fn from_str(text: &str) -> Result<Self, StoreSpecError> {
        if PostgresUrl::is_meant(text) {
            return Ok(Self::Postgres(PostgresUrl::parse(text)?));
        }
        let unknown = || StoreSpecError::Unknown(text.to_owned());
        let (engine, path) = match text.split_once(':') {
            Some((_, "")) => return Err(unknown()),
            Some((engine, path)) => (engine, Some(PathBuf::from(path))),
            None => (text, None),
        };
        match (engine, path) {
            ("redb", path) => Ok(Self::Redb(path.unwrap_or_default())),
            ("sled", path) => Ok(Self::Sled(path.unwrap_or_default())),
            ("memory", None) => Ok(Self::Memory),
            _ => Err(unknown()),
        }
    }
}

/// The text names no store.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StoreSpecError {
    /// It is none of those there are; holds it.
    #[error(
        "{0:?} is no store; write redb, redb:DIR, sled:DIR, memory or postgres://USER:PASSWORD@HOST/DATABASE"
    )]
    Unknown(String),
    /// It is meant for a database, and is no address of one.
    #[error(transparent)]
    Postgres(#[from] PostgresUrlError),
}

/// Opens a store, which is made if it is not there, for this process alone.
///
/// Folder or database are locked until the store is dropped or the process ends; meanwhile a second open is
/// [`OpenError::InUse`] or [`OpenError::DatabaseInUse`].
pub fn open(spec: &StoreSpec) -> Result<Arc<dyn DocumentStore>, OpenError> {
    open_for(spec, Use::Sole)
}

/// The same for a process that may share it with others. Only a database can be shared; all else is opened for this process alone.
pub fn open_for(spec: &StoreSpec, mode: Use) -> Result<Arc<dyn DocumentStore>, OpenError> {
    Ok(match spec {
        StoreSpec::Postgres(url) => Arc::new(PostgresStore::open(url, mode)?),
        StoreSpec::Redb(path) => Arc::new(LocalStore::open(RedbEngine::open(path)?)?),
        StoreSpec::Sled(path) => Arc::new(LocalStore::open(SledEngine::open(path)?)?),
        StoreSpec::Memory => Arc::new(LocalStore::open(MemoryEngine::new())?),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn specs_are_read_as_they_are_written() {
        for (text, spec) in [
            ("redb", StoreSpec::Redb(PathBuf::new())),
            ("redb:/a", StoreSpec::Redb("/a".into())),
            ("sled", StoreSpec::Sled(PathBuf::new())),
            ("sled:a:b", StoreSpec::Sled("a:b".into())),
            ("memory", StoreSpec::Memory),
            ("postgres://db/q", StoreSpec::Postgres(PostgresUrl::parse("postgres://db/q").unwrap())),
        ] {
            assert_eq!(text.parse(), Ok(spec.clone()));
            assert_eq!(spec.to_string(), text);
        }
        for text in ["", "Redb", "sled:", "memory:x", "memory:"] {
            assert_eq!(text.parse::<StoreSpec>(), Err(StoreSpecError::Unknown(text.to_owned())));
        }
    }

    #[test]
    fn relative_folders_lie_in_the_data_folder() {
        let within = |text: &str| text.parse::<StoreSpec>().unwrap().within(Path::new("/data")).to_string();
        assert_eq!(within("redb"), "redb:/data");
        assert_eq!(within("sled:s"), "sled:/data/s");
        assert_eq!(within("sled:/s"), "sled:/s");
        assert_eq!(within("memory"), "memory");
        assert_eq!(StoreSpec::default().to_string(), "redb");
    }
}
