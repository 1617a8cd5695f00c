//! Revocations on the disk, so that what was taken back stays so over a restart.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use super::revocation::Revocations;

/// Where revocations are kept; nowhere, for a server that keeps nothing.
#[derive(Clone, Debug)]
pub(crate) struct Ledger {
    path: Option<PathBuf>,
}

/// The revocations that were kept cannot be read. Without them the server would let in whom it should not.
#[derive(Debug, thiserror::Error)]
#[error("{} cannot be read: {source}; without it, what was revoked would be valid again", path.display())]
pub struct LedgerError {
    path: PathBuf,
    source: io::Error,
}

impl Ledger {
    pub(crate) fn new(path: Option<PathBuf>) -> Self {
        Self { path }
    }

    /// What was kept. Blocking.
    pub(crate) fn read(&self) -> Result<Revocations, LedgerError> {
        let Some(path) = &self.path else { return Ok(Revocations::default()) };
        let error = |source| LedgerError { path: path.clone(), source };
        match fs::read(path) {
            Ok(bytes) => serde_json::from_slice(&bytes).map_err(|source| error(source.into())),
            Err(missing) if missing.kind() == io::ErrorKind::NotFound => Ok(Revocations::default()),
            Err(source) => Err(error(source)),
        }
    }

    /// Keeps these: whole or not at all, and on the device when this returns. Blocking.
    pub(crate) fn write(&self, revocations: &Revocations) -> io::Result<()> {
        let Some(path) = &self.path else { return Ok(()) };
        let folder = path.parent().unwrap_or(Path::new("."));
        fs::create_dir_all(folder)?;
        let new = path.with_extension("json.new");
        let mut file = File::create(&new)?;
        file.write_all(&serde_json::to_vec(revocations)?)?;
        file.sync_all()?;
        fs::rename(&new, path)?;
        File::open(folder)?.sync_all()
    }
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use super::super::revocation::Revocation;
    use super::*;

    #[test]
    fn what_is_kept_is_read_again() {
        let folder = tempfile::tempdir().unwrap();
        let ledger = Ledger::new(Some(folder.path().join("new/revocations.json")));
        assert_eq!(ledger.read().unwrap().in_force(SystemTime::now()).count(), 0);
        let mut revocations = Revocations::default();
        let one = Revocation { user: Some("ada".into()), ..Revocation::for_tests() };
        revocations.add(one, SystemTime::now()).unwrap();
        ledger.write(&revocations).unwrap();
        let again = ledger.read().unwrap();
        let found: Vec<_> = again.in_force(SystemTime::now()).collect();
        assert_eq!(found, revocations.in_force(SystemTime::now()).collect::<Vec<_>>());
    }

    #[test]
    fn a_damaged_file_is_an_error_and_not_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("revocations.json");
        fs::write(&path, "{").unwrap();
        let error = Ledger::new(Some(path)).read().unwrap_err().to_string();
        assert!(error.contains("revocations.json cannot be read"), "{error}");
        Ledger::new(None).write(&Revocations::default()).unwrap();
    }
}
