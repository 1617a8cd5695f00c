//! The default engine: redb, one file.
//!
//! A commit of little goes to a journal in that file first.

mod journal;
mod walk;

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use ::redb::{Database, Error, ReadableDatabase, ReadableTable, TableDefinition, WriteTransaction};
use bytes::Bytes;

use self::journal::{Damaged, Journal, ReplayError};
use self::walk::{Found, Walk};
use super::reopening::{Failure, Reopening};
use super::witness::{self, Witness};
use crate::engine::{Batch, Change, Engine, Entry, KeyRange};
use crate::error::{EngineError, OpenError};
use crate::folder::{self, Folder};

const NAME: &str = "redb";

const OPENING: &str = "open its files";

/// The database file inside the data folder.
pub(crate) const FILE: &str = "quire.redb";

/// The table in it that everything has its place in.
const TABLE: TableDefinition<'_, &[u8], &[u8]> = TableDefinition::new("quire");

/// Pages held in memory. redb's own default is 1 GiB.
const CACHE_BYTES: usize = 64 << 20;

/// From this size of the file on, commits also record which of its pages are in use. Without that record redb walks the
/// whole file when it is opened after an unorderly end, about 4 s for each GiB; with it, a commit of little costs about
/// three times as much. So a small store writes fast, and a large one is there at once.
const RECORDED_FROM: u64 = 128 << 20;

/// The journal may take this much memory before everything in it is put in its place. That takes one commit, which writes
/// a page of 4 KiB or two for each document in it, and commits wait meanwhile.
const JOURNAL_BYTES: usize = 1 << 20;

/// The pages of a chunk.
const CHUNK_RUN: usize = 128 << 10;

/// A batch from this size on is put in its places at once: it would be written twice for little gain.
const LARGE_BATCH: usize = 64 << 10;

/// An ordered map in one file, `quire.redb`. Each commit is one write transaction and ends with `fdatasync`.
#[derive(Debug)]
pub struct RedbEngine {
    // Before the folder, so that the file is closed before the lock ends.
    database: Reopening<Opened>,
    file: DataFile,
    /// See [`JOURNAL_BYTES`].
    journal_bytes: usize,
    /// Shared with what opens the database. `None` on a device that tests have made.
    witness: Option<Arc<Witness>>,
    _folder: Option<Folder>,
}

/// An open database, and what of it is not in its place. A commit that fails may or may not be in the file: the rows tell,
/// when it is opened anew.
#[derive(Debug)]
struct Opened {
    database: Database,
    journal: Journal,
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
            let opened = Opened::new(open_file(&opening.0)?, Some(&opening.1))?;
            opening.1.check(*opened.journal.turn())?;
            Ok(opened)
        };
        let database = Reopening::new(NAME, open)
            .map_err(|source| OpenError::Files { path: path.to_owned(), source })?;
        Ok(Self {
            database,
            file: DataFile::Path(file),
            journal_bytes: JOURNAL_BYTES,
            witness: Some(witness),
            _folder: Some(folder),
        })
    }

    fn call<R>(
        &self,
        operation: &'static str,
        call: impl FnOnce(&Opened) -> Result<R, Error>,
    ) -> Result<R, EngineError> {
        self.database.call(operation, |opened| {
            call(opened).map_err(|error| {
                // One damaged page does not keep redb from serving the others; all other errors do.
                let broken = !matches!(error, Error::Corrupted(_));
                Failure { error: engine_error(operation, error), broken }
            })
        })
    }
}

impl RedbEngine {
    /// Commits a row of the journal.
    fn note(&self, opened: &Opened, batch: Batch) -> Result<(), Error> {
        let mut last = opened.journal.turn();
        let number = *last + 1;
        let transaction = self.begin_write(&opened.database)?;
        let row = journal::encode(number, &batch);
        transaction.open_table(journal::TABLE)?.insert(number, &*row)?;
        transaction.commit()?;
        *last = number;
        opened.journal.add(batch, row.len());
        self.committed(number);
        Ok(())
    }

    /// Commits a batch to its places, and before it all that is in the journal.
    fn put(&self, opened: &Opened, batch: &Batch) -> Result<(), Error> {
        let mut last = opened.journal.turn();
        let number = *last + 1;
        let transaction = self.begin_write(&opened.database)?;
        {
            let mut table = transaction.open_table(TABLE)?;
            for (key, change) in opened.journal.pending().all() {
                match change {
                    Some(value) => table.insert(&**key, &**value)?,
                    None => table.remove(&**key)?,
                };
            }
            for change in batch.changes() {
                match change {
                    Change::Put(Entry { key, value }) => table.insert(&**key, &**value)?,
                    Change::Delete(key) => table.remove(&**key)?,
                };
            }
            table.insert(witness::KEY, number.to_be_bytes().as_slice())?;
        }
        transaction.delete_table(journal::TABLE)?;
        transaction.commit()?;
        *last = number;
        opened.journal.clear();
        self.committed(number);
        Ok(())
    }

    fn begin_write(&self, database: &Database) -> Result<WriteTransaction, Error> {
        let mut transaction = database.begin_write()?;
        transaction.set_quick_repair(self.file.size() >= RECORDED_FROM);
        Ok(transaction)
    }

    fn committed(&self, number: u64) {
        if let Some(witness) = &self.witness {
            witness.note(number);
        }
    }
}

impl Opened {
    /// A file whose journal is damaged has lost commits. It is opened if there is no witness to say that they were confirmed.
    fn new(database: Database, witness: Option<&Witness>) -> Result<Self, EngineError> {
        let damaged = |damaged: Damaged| match witness {
            Some(witness) if !witness.is_known() => {
                let Damaged { row, fault } = damaged;
                tracing::error!(row, %fault, "a damaged row of the journal is left out");
                Ok(())
            }
            _ => Err(damaged),
        };
        match Journal::replay(&database, TABLE, damaged) {
            Ok(journal) => Ok(Self { database, journal }),
            Err(ReplayError::Engine(error)) => Err(engine_error(OPENING, error)),
            Err(ReplayError::Damaged(Damaged { row, fault })) => Err(EngineError::Failed {
                engine: NAME,
                operation: OPENING,
                message: format!(
                    "row {row} of the journal is damaged ({fault}), and with it what was confirmed; to go on with what is left, \
                     remove {}",
                    witness.map_or_else(String::new, |witness| witness.path().display().to_string())
                ),
            }),
        }
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

/// How many commits the table holds; those in the journal come after them.
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
        // A value is kept in one run of pages whose number is rounded up to a power of two, and read with all of them: what is put
        // around it has to fit in beside it.
        CHUNK_RUN - 1024
    }

    fn value(&self, key: &[u8]) -> Result<Option<Bytes>, EngineError> {
        self.call("read", |Opened { database, journal }| {
            let pending = journal.pending();
            if let Some(change) = pending.change(&Bytes::copy_from_slice(key)) {
                return Ok(change.clone());
            }
            let transaction = database.begin_read()?;
            drop(pending);
            let value = transaction.open_table(TABLE)?.get(key)?;
            Ok(value.map(|value| Bytes::copy_from_slice(value.value())))
        })
    }

    fn values(&self, keys: &[Bytes]) -> Result<Vec<Option<Bytes>>, EngineError> {
        self.call("read", |Opened { database, journal }| {
            let pending = journal.pending();
            let changes: Vec<_> = keys.iter().map(|key| pending.change(key).cloned()).collect();
            if changes.iter().all(Option::is_some) {
                return Ok(changes.into_iter().flatten().collect());
            }
            let transaction = database.begin_read()?;
            drop(pending);
            let table = transaction.open_table(TABLE)?;
            let value = |(key, change): (&Bytes, Option<Option<Bytes>>)| match change {
                Some(value) => Ok(value),
                None => Ok(table.get(&**key)?.map(|value| Bytes::copy_from_slice(value.value()))),
            };
            keys.iter().zip(changes).map(value).collect()
        })
    }

    fn page(&self, range: &KeyRange, bytes: usize) -> Result<Vec<Entry>, EngineError> {
        if range.is_empty() {
            return Ok(Vec::new());
        }
        self.call("read", |Opened { database, journal }| {
            let pending = journal.pending();
            let table = database.begin_read()?.open_table(TABLE)?;
            let stored = table.range::<&[u8]>(range.bounds())?;
            let (mut page, mut size) = (Vec::new(), 0);
            for found in Walk::forward(stored, pending.range(range)) {
                let found = found?;
                let entry = Entry { key: found.key(), value: found.value() };
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
        self.call("read", |Opened { database, journal }| {
            let pending = journal.pending();
            let table = database.begin_read()?.open_table(TABLE)?;
            let stored = table.range::<&[u8]>(range.bounds())?;
            let found = Walk::forward(stored, pending.range(range)).take(limit);
            found.map(|found| found.map(|found| found.key())).collect()
        })
    }

    fn last_key(&self, range: &KeyRange) -> Result<Option<Bytes>, EngineError> {
        if range.is_empty() {
            return Ok(None);
        }
        self.call("read", |Opened { database, journal }| {
            let pending = journal.pending();
            let table = database.begin_read()?.open_table(TABLE)?;
            let stored = table.range::<&[u8]>(range.bounds())?.rev();
            let last = Walk::backward(stored, pending.range(range).rev()).next().transpose()?;
            Ok(last.map(|found: Found<'_, '_>| found.key()))
        })
    }

    fn commit(&self, batch: Batch) -> Result<(), EngineError> {
        let size = batch.bytes();
        self.call("commit", |opened| {
            let is_full = opened.journal.pending().is_full_for(size, self.journal_bytes);
            if is_full || size >= LARGE_BATCH { self.put(opened, &batch) } else { self.note(opened, batch) }
        })
    }

    fn flush(&self) -> Result<(), EngineError> {
        // Nothing is left unsynced by a commit; but a file without a journal is opened faster.
        self.call("flush", |opened| {
            let is_empty = opened.journal.pending().is_empty();
            if is_empty { Ok(()) } else { self.put(opened, &Batch::new()) }
        })
    }

    fn disk_bytes(&self) -> Option<u64> {
        Some(self.file.size())
    }

    fn reclaim(&self) -> Result<(), EngineError> {
        const RECLAIMING: &str = "give space back";
        // What the journal removes takes space until then.
        self.flush()?;
        // redb cuts free space off the end of its file by itself; this moves what stands there to the front.
        self.database.call_alone(RECLAIMING, |opened| match opened.database.compact() {
            Ok(_) => Ok(()),
            Err(error) => Err(Failure { error: engine_error(RECLAIMING, error.into()), broken: true }),
        })
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
