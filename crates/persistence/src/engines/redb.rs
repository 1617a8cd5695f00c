//! The default engine: redb, one file.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use ::redb::{Database, Error, ReadableDatabase, ReadableTable, TableDefinition};
use bytes::Bytes;

use super::reopening::{Failure, Reopening};
use super::witness::{self, Witness};
use crate::engine::{Batch, Change, Engine, Entry, KeyRange};
use crate::error::{EngineError, OpenError};
use crate::folder::{self, Folder};

const NAME: &str = "redb";

const OPENING: &str = "open its files";

/// The database file inside the data folder.
pub(crate) const FILE: &str = "quire.redb";

/// The one table in it.
const TABLE: TableDefinition<'_, &[u8], &[u8]> = TableDefinition::new("quire");

/// Pages held in memory. redb's own default is 1 GiB.
const CACHE_BYTES: usize = 64 << 20;

/// From this size of the file on, commits also record which of its pages are in use. Without that record redb walks the
/// whole file when it is opened after an unorderly end, about 4 s for each GiB; with it, a commit of little costs about
/// three times as much. So a small store writes fast, and a large one is there at once.
const RECORDED_FROM: u64 = 128 << 20;

/// An ordered map in one file, `quire.redb`. Each commit is one write transaction and ends with `fdatasync`.
#[derive(Debug)]
pub struct RedbEngine {
    // Before the folder, so that the file is closed before the lock ends.
    database: Reopening<Database>,
    file: DataFile,
    /// Shared with what opens the database. `None` on a device that tests have made.
    witness: Option<Arc<Witness>>,
    _folder: Option<Folder>,
}

/// Where the database is.
#[derive(Debug)]
enum DataFile {
    Path(PathBuf),
    /// A device that tests have made.
    #[cfg(test)]
    Disk(disk::Disk),
}

impl DataFile {
    /// Its size in bytes; 0 if that cannot be told, since nothing but speed depends on it.
    fn size(&self) -> u64 {
        match self {
            Self::Path(path) => fs::metadata(path).map_or(0, |metadata| metadata.len()),
            #[cfg(test)]
            Self::Disk(disk) => disk.claimed_size(),
        }
    }
}

impl RedbEngine {
    /// Opens the database in this folder; makes both if they are not there.
    pub fn open(path: &Path) -> Result<Self, OpenError> {
        let folder = Folder::open(path)?;
        let witness = Witness::open(path, NAME).map(Arc::new);
        let witness = witness.map_err(|source| OpenError::Folder { path: path.to_owned(), source })?;
        let file = path.join(FILE);
        let opening = (file.clone(), Arc::clone(&witness));
        let open = move || {
            let database = open_file(&opening.0)?;
            opening.1.check(commits(&database).map_err(|error| engine_error(OPENING, error))?)?;
            Ok(database)
        };
        let database = Reopening::new(NAME, open)
            .map_err(|source| OpenError::Files { path: path.to_owned(), source })?;
        Ok(Self { database, file: DataFile::Path(file), witness: Some(witness), _folder: Some(folder) })
    }

    fn call<R>(
        &self,
        operation: &'static str,
        call: impl FnOnce(&Database) -> Result<R, Error>,
    ) -> Result<R, EngineError> {
        self.database.call(operation, |database| {
            call(database).map_err(|error| {
                // One damaged page does not keep redb from serving the others; all other errors do.
                let broken = !matches!(error, Error::Corrupted(_));
                Failure { error: engine_error(operation, error), broken }
            })
        })
    }
}

fn open_file(file: &Path) -> Result<Database, EngineError> {
    let builder = || {
        let mut builder = Database::builder();
        builder.set_cache_size(CACHE_BYTES);
        builder
    };
    let make = |new: &Path| with_table(builder().create(new)?).map(drop);
    // One that has its name was whole: an empty file is a damaged one and not a new one.
    let opened = folder::make_whole(file, make).and_then(|()| Ok(builder().open(file)?));
    opened.map_err(|error| engine_error(OPENING, error))
}

/// How many commits the database holds.
fn commits(database: &Database) -> Result<u64, Error> {
    commits_in(&database.begin_read()?.open_table(TABLE)?)
}

fn commits_in(table: &impl ReadableTable<&'static [u8], &'static [u8]>) -> Result<u64, Error> {
    Ok(table.get(witness::KEY)?.map_or(0, |count| witness::stored(count.value())))
}

/// Makes the table in a new file.
fn with_table(database: Database) -> Result<Database, Error> {
    let transaction = database.begin_write()?;
    let new = transaction.list_tables()?.next().is_none();
    if new {
        transaction.open_table(TABLE)?;
        transaction.commit()?;
    } else {
        transaction.abort()?;
    }
    Ok(database)
}

impl Engine for RedbEngine {
    fn chunk_bytes(&self) -> usize {
        // A value is kept in one run of pages whose number is rounded up to a power of two: large ones would waste space and
        // need large holes.
        256 << 10
    }

    fn value(&self, key: &[u8]) -> Result<Option<Bytes>, EngineError> {
        self.call("read", |database| {
            let table = database.begin_read()?.open_table(TABLE)?;
            Ok(table.get(key)?.map(|value| Bytes::copy_from_slice(value.value())))
        })
    }

    fn values(&self, keys: &[Bytes]) -> Result<Vec<Option<Bytes>>, EngineError> {
        self.call("read", |database| {
            let table = database.begin_read()?.open_table(TABLE)?;
            let value =
                |key: &Bytes| Ok(table.get(&**key)?.map(|value| Bytes::copy_from_slice(value.value())));
            keys.iter().map(value).collect()
        })
    }

    fn page(&self, range: &KeyRange, bytes: usize) -> Result<Vec<Entry>, EngineError> {
        if range.is_empty() {
            return Ok(Vec::new());
        }
        self.call("read", |database| {
            let table = database.begin_read()?.open_table(TABLE)?;
            let (mut page, mut size) = (Vec::new(), 0);
            for entry in table.range::<&[u8]>(range.bounds())? {
                let (key, value) = entry?;
                let entry = Entry {
                    key: Bytes::copy_from_slice(key.value()),
                    value: Bytes::copy_from_slice(value.value()),
                };
                size += entry.key.len() + entry.value.len();
                page.push(entry);
                if size >= bytes {
                    break;
                }
            }
            Ok(page)
        })
    }

    fn keys(&self, range: &KeyRange, limit: usize) -> Result<Vec<Bytes>, EngineError> {
        if range.is_empty() {
            return Ok(Vec::new());
        }
        self.call("read", |database| {
            let table = database.begin_read()?.open_table(TABLE)?;
            let entries = table.range::<&[u8]>(range.bounds())?.take(limit);
            entries.map(|entry| Ok(Bytes::copy_from_slice(entry?.0.value()))).collect()
        })
    }

    fn last_key(&self, range: &KeyRange) -> Result<Option<Bytes>, EngineError> {
        if range.is_empty() {
            return Ok(None);
        }
        self.call("read", |database| {
            let table = database.begin_read()?.open_table(TABLE)?;
            let last = table.range::<&[u8]>(range.bounds())?.next_back().transpose()?;
            Ok(last.map(|(key, _)| Bytes::copy_from_slice(key.value())))
        })
    }

    fn commit(&self, batch: Batch) -> Result<(), EngineError> {
        self.call("commit", |database| {
            let mut transaction = database.begin_write()?;
            transaction.set_quick_repair(self.file.size() >= RECORDED_FROM);
            let count;
            {
                let mut table = transaction.open_table(TABLE)?;
                count = commits_in(&table)? + 1;
                table.insert(witness::KEY, count.to_be_bytes().as_slice())?;
                for change in batch.changes() {
                    match change {
                        Change::Put(Entry { key, value }) => table.insert(&**key, &**value)?,
                        Change::Delete(key) => table.remove(&**key)?,
                    };
                }
            }
            transaction.commit()?;
            if let Some(witness) = &self.witness {
                witness.note(count);
            }
            Ok(())
        })
    }

    fn disk_bytes(&self) -> Option<u64> {
        Some(self.file.size())
    }

    fn reclaim(&self) -> Result<(), EngineError> {
        const RECLAIMING: &str = "give space back";
        // redb cuts free space off the end of its file by itself; this moves what stands there to the front.
        self.database.call_alone(RECLAIMING, |database| match database.compact() {
            Ok(_) => Ok(()),
            Err(error) => Err(Failure { error: engine_error(RECLAIMING, error.into()), broken: true }),
        })
    }

    fn flush(&self) -> Result<(), EngineError> {
        // Nothing is left unsynced by a commit.
        Ok(())
    }
}

fn engine_error(operation: &'static str, error: Error) -> EngineError {
    match error {
        Error::Io(source) => EngineError::Io { engine: NAME, operation, source },
        other => EngineError::Failed { engine: NAME, operation, message: other.to_string() },
    }
}

#[cfg(test)]
mod disk;
#[cfg(test)]
mod tests;
