//! Revocations where they last, so that what was taken back stays so over a restart, and on every server that shares the store.

use std::fmt;
use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use quire_persistence::{DocumentStore, EngineError, SharedRecord, StoreError};
use tokio::time::{MissedTickBehavior, interval};
use tracing::warn;

use super::live::Live;
use super::revocation::{Revocation, Revocations};

/// How often a shared store is asked for what others have revoked.
const REFRESH: Duration = Duration::from_secs(5);

/// How often somebody else may change what is shared while this server does.
const TRIES: u32 = 32;

/// Where revocations are kept. Cheap to clone; the clones take turns. All calls but [`Self::keep_fresh`] block.
#[derive(Clone, Debug)]
pub(crate) struct Ledger {
    place: Arc<Mutex<Place>>,
}

#[derive(Debug)]
enum Place {
    /// Nowhere, for a server that keeps nothing.
    Nowhere,
    /// In a file of this server's own.
    File(PathBuf),
    /// In the store, which other servers share.
    Shared(Shared),
}

#[derive(Debug)]
struct Shared {
    store: Arc<dyn DocumentStore>,
    /// The version that is in force here.
    known: u64,
    /// What holds here, and could not be stored yet.
    unkept: Vec<Revocation>,
}

/// The revocations that were kept cannot be read. Without them the server would let in whom it should not.
#[derive(Debug, thiserror::Error)]
pub enum LedgerError {
    /// Those in a file.
    #[error("{} cannot be read: {source}; without it, what was revoked would be valid again", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// The system's error, or what is wrong with the content.
        source: io::Error,
    },
    /// Those in a store.
    #[error("{0}; without it, what was revoked would be valid again")]
    Store(#[from] StoreError),
    /// Those in a store are not what a server writes.
    #[error(
        "the revocations in the store cannot be read: {0}; without them, what was revoked would be valid again"
    )]
    Content(#[from] serde_json::Error),
}

/// Why a revocation is not, or not for good, what it should be.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ChangeError {
    /// There are as many as there may be.
    #[error("there are too many revocations")]
    TooMany,
    /// It holds on this server, and may not hold after a restart or elsewhere.
    #[error("{0}")]
    NotKept(String),
}

impl Ledger {
    /// In the store where that is shared, else in this file.
    pub(crate) fn new(path: Option<PathBuf>, store: Arc<dyn DocumentStore>) -> Self {
        let place = match path {
            _ if store.revocations().is_some() => {
                Place::Shared(Shared { store, known: 0, unkept: Vec::new() })
            }
            Some(path) => Place::File(path),
            None => Place::Nowhere,
        };
        Self { place: Arc::new(Mutex::new(place)) }
    }

    /// What was kept.
    pub(crate) fn read(&self) -> Result<Revocations, LedgerError> {
        match &mut *self.lock() {
            Place::Nowhere => Ok(Revocations::default()),
            Place::File(path) => read_file(path),
            Place::Shared(shared) => {
                let (version, revocations) = shared.read()?;
                shared.known = version;
                Ok(revocations)
            }
        }
    }

    /// Takes rights back: at once from who is connected here, and for good. Gives how many connections it concerned.
    pub(crate) fn revoke(&self, live: &Live, revocation: Revocation) -> Result<usize, ChangeError> {
        let mut place = self.lock();
        // What becomes of the store, it holds here from now on.
        let connections = live.revoke(revocation.clone()).ok_or(ChangeError::TooMany)?;
        match &mut *place {
            Place::Nowhere => {}
            Place::File(path) => write_file(path, &live.revocations()).map_err(not_kept)?,
            Place::Shared(shared) => {
                shared.unkept.push(revocation);
                shared.keep(live)?;
            }
        }
        Ok(connections)
    }

    /// Gives back what the revocation of this number took; `false` if there is none.
    pub(crate) fn restore(&self, live: &Live, number: u64) -> Result<bool, ChangeError> {
        match &mut *self.lock() {
            Place::Nowhere => Ok(live.restore(number)),
            Place::File(path) => {
                let is_known = live.restore(number);
                if is_known {
                    write_file(path, &live.revocations()).map_err(not_kept)?;
                }
                Ok(is_known)
            }
            Place::Shared(shared) => {
                let mut is_known = false;
                shared.change(live, |revocations| {
                    is_known = revocations.remove(number);
                    Ok(is_known)
                })?;
                Ok(is_known)
            }
        }
    }

    /// Takes over what other servers have changed, and stores what could not be stored before. Does nothing where nobody else can.
    pub(crate) fn refresh(&self, live: &Live) {
        if let Place::Shared(shared) = &mut *self.lock()
            && let Err(error) = shared.refresh(live)
        {
            warn!(%error, "what other servers have revoked is not known; it will be asked for again");
        }
    }

    /// Keeps `live` up to date, for as long as it is polled: what one server has revoked holds on all within seconds.
    pub(crate) async fn keep_fresh(self, live: Live) {
        if !matches!(*self.lock(), Place::Shared(_)) {
            return;
        }
        let mut turns = interval(REFRESH);
        turns.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            turns.tick().await;
            let (ledger, live) = (self.clone(), live.clone());
            // One at a time, however long the store takes. A panic in it is told by its thread.
            let _ = tokio::task::spawn_blocking(move || ledger.refresh(&live)).await;
        }
    }

    fn lock(&self) -> MutexGuard<'_, Place> {
        self.place.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Shared {
    fn record(&self) -> Result<&dyn SharedRecord, LedgerError> {
        // It had one when this was made.
        let none = || EngineError::Failed {
            engine: "server",
            operation: "keep revocations",
            message: "the store has no place for them".to_owned(),
        };
        self.store.revocations().ok_or_else(|| LedgerError::Store(none().into()))
    }

    fn read(&self) -> Result<(u64, Revocations), LedgerError> {
        let found = self.record()?.read(None)?;
        match found {
            Some(found) if found.version > 0 => Ok((found.version, serde_json::from_slice(&found.record)?)),
            _ => Ok((0, Revocations::default())),
        }
    }

    /// Changes what is shared, unless `change` says that there is nothing to change, and takes it over.
    fn change(
        &mut self,
        live: &Live,
        mut change: impl FnMut(&mut Revocations) -> Result<bool, ChangeError>,
    ) -> Result<(), ChangeError> {
        for _ in 0..TRIES {
            let (version, mut revocations) = self.read().map_err(not_kept)?;
            if !change(&mut revocations)? {
                return Ok(());
            }
            let record = serde_json::to_vec(&revocations).map_err(not_kept)?;
            let record_of = self.record().map_err(not_kept)?;
            if let Some(version) = record_of.replace(version, &record).map_err(not_kept)? {
                self.known = version;
                live.replace(revocations);
                return Ok(());
            }
        }
        Err(not_kept("other servers change the revocations all the time"))
    }

    /// Stores what is not stored yet.
    fn keep(&mut self, live: &Live) -> Result<(), ChangeError> {
        let unkept = std::mem::take(&mut self.unkept);
        let kept = self.change(live, |revocations| {
            for revocation in &unkept {
                revocations.add(revocation.clone(), SystemTime::now()).ok_or(ChangeError::TooMany)?;
            }
            Ok(true)
        });
        if let Err(ChangeError::NotKept(_)) = &kept {
            self.unkept = unkept;
        }
        kept
    }

    fn refresh(&mut self, live: &Live) -> Result<(), ChangeError> {
        if !self.unkept.is_empty() {
            return self.keep(live);
        }
        let found = self.record().map_err(not_kept)?.read(Some(self.known)).map_err(not_kept)?;
        if let Some(found) = found {
            let revocations = match found.version {
                0 => Revocations::default(),
                _ => serde_json::from_slice(&found.record).map_err(not_kept)?,
            };
            self.known = found.version;
            live.replace(revocations);
        }
        Ok(())
    }
}

fn not_kept(error: impl fmt::Display) -> ChangeError {
    ChangeError::NotKept(error.to_string())
}

fn read_file(path: &Path) -> Result<Revocations, LedgerError> {
    let error = |source| LedgerError::File { path: path.to_owned(), source };
    match fs::read(path) {
        Ok(bytes) => serde_json::from_slice(&bytes).map_err(|source| error(source.into())),
        Err(missing) if missing.kind() == io::ErrorKind::NotFound => Ok(Revocations::default()),
        Err(source) => Err(error(source)),
    }
}

/// Whole or not at all, and on the device when this returns.
fn write_file(path: &Path, revocations: &Revocations) -> io::Result<()> {
    let folder = path.parent().unwrap_or(Path::new("."));
    fs::create_dir_all(folder)?;
    let new = path.with_extension("json.new");
    let mut file = File::create(&new)?;
    file.write_all(&serde_json::to_vec(revocations)?)?;
    file.sync_all()?;
    fs::rename(&new, path)?;
    File::open(folder)?.sync_all()
}

#[cfg(test)]
mod tests {
    use quire_persistence::engines::MemoryEngine;
    use quire_persistence::{LocalStore, StoreSpec, Use};
    use quire_testkit::postgres::Database;

    use super::*;

    fn taken_from(user: &str) -> Revocation {
        Revocation { user: Some(user.into()), ..Revocation::for_tests() }
    }

    fn users(revocations: &Revocations) -> Vec<String> {
        let users =
            revocations.in_force(SystemTime::now()).map(|one| one.user.as_deref().unwrap().to_owned());
        users.collect()
    }

    fn in_file(path: Option<PathBuf>) -> Ledger {
        Ledger::new(path, Arc::new(LocalStore::open(MemoryEngine::new()).unwrap()))
    }

    /// A server as far as revocations go.
    fn server(database: &Database) -> (Ledger, Live) {
        let spec: StoreSpec = database.url().parse().unwrap();
        let store = quire_persistence::open_for(&spec, Use::Shared).unwrap();
        let ledger = Ledger::new(None, store);
        let live = Live::with(ledger.read().unwrap());
        (ledger, live)
    }

    #[test]
    fn what_is_kept_is_read_again() {
        let folder = tempfile::tempdir().unwrap();
        let path = Some(folder.path().join("new/revocations.json"));
        let (ledger, live) = (in_file(path.clone()), Live::default());
        assert_eq!(users(&ledger.read().unwrap()), [""; 0]);
        for user in ["ada", "bob"] {
            ledger.revoke(&live, taken_from(user)).unwrap();
        }
        assert_eq!(users(&in_file(path.clone()).read().unwrap()), ["ada", "bob"]);
        assert!(ledger.restore(&live, 1).unwrap() && !ledger.restore(&live, 1).unwrap());
        assert_eq!(users(&in_file(path).read().unwrap()), ["bob"]);
    }

    #[test]
    fn a_damaged_file_is_an_error_and_not_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("revocations.json");
        fs::write(&path, "{").unwrap();
        let error = in_file(Some(path)).read().unwrap_err().to_string();
        assert!(error.contains("revocations.json cannot be read"), "{error}");
        in_file(None).revoke(&Live::default(), taken_from("ada")).unwrap();
    }

    #[test]
    fn what_one_server_revokes_holds_on_all() {
        let database = Database::new();
        let ((first, here), (second, there)) = (server(&database), server(&database));
        first.revoke(&here, taken_from("ada")).unwrap();
        assert_eq!(users(&there.revocations()), [""; 0]);
        second.refresh(&there);
        assert_eq!(users(&there.revocations()), ["ada"]);
        // The second does not write over what it has not seen.
        first.revoke(&here, taken_from("bob")).unwrap();
        second.revoke(&there, taken_from("eve")).unwrap();
        assert_eq!(users(&there.revocations()), ["ada", "bob", "eve"]);
        assert!(second.restore(&there, 2).unwrap() && !second.restore(&there, 2).unwrap());
        first.refresh(&here);
        assert_eq!(users(&here.revocations()), ["ada", "eve"]);
        // Who comes later knows as well.
        assert_eq!(users(&server(&database).1.revocations()), ["ada", "eve"]);
    }

    #[test]
    fn what_cannot_be_stored_holds_here_and_is_stored_later() {
        let database = Database::new();
        let ((first, here), (second, there)) = (server(&database), server(&database));
        database.sql("ALTER TABLE quire.revocations RENAME TO away");
        let error = first.revoke(&here, taken_from("ada")).unwrap_err();
        assert!(matches!(error, ChangeError::NotKept(_)), "{error}");
        first.refresh(&here);
        assert_eq!(users(&here.revocations()), ["ada"]);
        database.sql("ALTER TABLE quire.away RENAME TO revocations");
        first.refresh(&here);
        second.refresh(&there);
        assert_eq!(users(&there.revocations()), ["ada"]);
    }

    #[test]
    fn damage_in_the_store_is_an_error_and_not_nothing() {
        let database = Database::new();
        let (first, here) = server(&database);
        first.revoke(&here, taken_from("ada")).unwrap();
        database.sql("UPDATE quire.revocations SET record = set_byte(record, 9, 0), version = version + 1");
        first.refresh(&here);
        assert_eq!(users(&here.revocations()), ["ada"]);
        let error = first.read().unwrap_err().to_string();
        assert!(error.contains("damaged"), "{error}");
    }
}
