//! Changes that are on the device but not in their places yet.
//!
//! Every document has pages of its own, and a commit writes every page that it touches: put in their places at once, the edits
//! of forty documents, a few dozen bytes each, would be eighty pages of 4 KiB. So a commit of little is one row of a second table, the
//! journal, and its changes are held in memory, over what is in its places, until there is a megabyte of them. Then one
//! commit puts all of them in their places and removes the rows. What a key was set to in between, or a row of a log that a
//! compaction has removed by then, is never written to its place at all.
//!
//! The rows are numbered as the commits are. A file that is opened has the changes in its rows read into memory again.

use std::collections::{BTreeMap, btree_map};
use std::sync::{Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard};

use ::redb::{Database, Error, ReadableDatabase, ReadableTable, TableDefinition, TableError};
use bytes::{Buf as _, BufMut as _, Bytes, BytesMut};

use super::commits_in;
use crate::engine::{Batch, Change, Entry, KeyRange};
use crate::error::Fault;
use crate::record::{self, Kind};

/// The table of rows: the number of a commit, and a record of what it changed.
pub(super) const TABLE: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("journal");

/// Beside each of its parts a change takes about this much memory.
const CHANGE_BYTES: usize = 88;

/// The rows may take so many times what their changes may take in memory: where few keys are set all the time, they are all that grows,
/// and a file that is opened reads all of them.
const ROWS: usize = 4;

/// What a change begins with.
const DELETE: u8 = 0;
const PUT: u8 = 1;

/// The journal of an open database.
#[derive(Debug)]
pub(super) struct Journal {
    /// The number of the last commit. Held during a commit, so that changes come into memory in the order of the rows.
    last: Mutex<u64>,
    pending: RwLock<Pending>,
}

/// Changes by their keys: the value that is set, or `None` where the key is removed.
#[derive(Debug, Default)]
pub(super) struct Pending {
    changes: BTreeMap<Key, Option<Bytes>>,
    /// About what they take.
    bytes: usize,
    /// What the rows take in the file: more, where a key is set again and again.
    row_bytes: usize,
}

/// A key, with its beginning beside it: there are thousands, and most comparisons are decided without a look at memory elsewhere.
/// A log's key has 22 bytes.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Key {
    /// The first 24 bytes, followed by zeros if there are fewer. Where these differ, the keys differ in the same direction.
    beginning: [u64; 3],
    whole: Bytes,
}

/// Why the rows of a file are not those that were written.
#[derive(Debug)]
pub(super) struct Damaged {
    /// The number of the row.
    pub(super) row: u64,
    pub(super) fault: Fault,
}

/// A file could not be read, or holds damaged rows.
#[derive(Debug)]
pub(super) enum ReplayError {
    Damaged(Damaged),
    Engine(Error),
}

impl Journal {
    /// Reads the rows of a database that has just been opened. What is damaged goes to `damaged`, which may say that the rest
    /// is to be taken nevertheless.
    pub(super) fn replay(
        database: &Database,
        table: TableDefinition<'_, &'static [u8], &'static [u8]>,
        damaged: impl Fn(Damaged) -> Result<(), Damaged>,
    ) -> Result<Self, ReplayError> {
        let transaction = database.begin_read().map_err(Error::from)?;
        let mut last = commits_in(&transaction.open_table(table).map_err(Error::from)?)?;
        let mut pending = Pending::default();
        match transaction.open_table(TABLE) {
            // It comes with the first row.
            Err(TableError::TableDoesNotExist(_)) => {}
            Err(error) => return Err(Error::from(error).into()),
            Ok(rows) => {
                for row in rows.iter().map_err(Error::from)? {
                    let (number, record) = row.map_err(Error::from)?;
                    let number = number.value();
                    for missing in last + 1..number {
                        damaged(Damaged { row: missing, fault: Fault::Missing })?;
                    }
                    let record = Bytes::copy_from_slice(record.value());
                    let row_bytes = record.len();
                    match decode(number, record) {
                        Ok(batch) => pending.add(batch, row_bytes),
                        Err(fault) => damaged(Damaged { row: number, fault })?,
                    }
                    last = last.max(number);
                }
            }
        }
        Ok(Self { last: Mutex::new(last), pending: RwLock::new(pending) })
    }

    /// For a commit: the number of the one before it, to be set to its own when it is on the device.
    pub(super) fn turn(&self) -> MutexGuard<'_, u64> {
        // A commit that panics has the database opened anew, and this with it.
        self.last.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What is not in its place. A reader takes this first and then looks at the database, before it lets go of this: what it does
    /// not find here is in its place by then.
    pub(super) fn pending(&self) -> RwLockReadGuard<'_, Pending> {
        self.pending.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// A row of this size with these changes is on the device.
    pub(super) fn add(&self, batch: Batch, row_bytes: usize) {
        self.pending.write().unwrap_or_else(PoisonError::into_inner).add(batch, row_bytes);
    }

    /// Everything is in its place, on the device.
    pub(super) fn clear(&self) {
        // Readers are not held up by what takes its time.
        let former = std::mem::take(&mut *self.pending.write().unwrap_or_else(PoisonError::into_inner));
        drop(former);
    }
}

impl Pending {
    fn add(&mut self, batch: Batch, row_bytes: usize) {
        self.row_bytes += row_bytes;
        for change in batch {
            let (key, value) = match change {
                Change::Put(Entry { key, value }) => (key, Some(value)),
                Change::Delete(key) => (key, None),
            };
            let length = |value: &Option<Bytes>| value.as_ref().map_or(0, Bytes::len);
            self.bytes += length(&value);
            match self.changes.entry(Key::new(key)) {
                btree_map::Entry::Vacant(vacant) => {
                    self.bytes += CHANGE_BYTES + vacant.key().whole.len();
                    vacant.insert(value);
                }
                btree_map::Entry::Occupied(mut occupied) => {
                    self.bytes -= length(&occupied.insert(value));
                }
            }
        }
    }

    /// Whether it would take more than so much memory with a batch of this size, or takes more than [`ROWS`] times that in the file.
    pub(super) fn is_full_for(&self, batch_bytes: usize, most: usize) -> bool {
        self.bytes + batch_bytes > most || self.row_bytes > most.saturating_mul(ROWS)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.changes.is_empty()
    }

    /// What becomes of a key: `None` if nothing does.
    pub(super) fn change(&self, key: &Bytes) -> Option<&Option<Bytes>> {
        self.changes.get(&Key::new(key.clone()))
    }

    /// The changes in a range that is not empty, in the order of their keys.
    pub(super) fn range(
        &self,
        range: &KeyRange,
    ) -> impl DoubleEndedIterator<Item = (&Bytes, &Option<Bytes>)> {
        let key = |bound: &[u8]| Key::new(Bytes::copy_from_slice(bound));
        let (from, to) = range.bounds();
        self.changes.range((from.map(key), to.map(key))).map(|(key, change)| (&key.whole, change))
    }

    /// All changes, in the order of their keys.
    pub(super) fn all(&self) -> impl Iterator<Item = (&Bytes, &Option<Bytes>)> {
        self.changes.iter().map(|(key, change)| (&key.whole, change))
    }
}

impl Key {
    fn new(whole: Bytes) -> Self {
        let mut beginning = [0; 3];
        for (part, bytes) in beginning.iter_mut().zip(whole.chunks(8)) {
            let mut padded = [0; 8];
            padded.iter_mut().zip(bytes).for_each(|(to, from)| *to = *from);
            *part = u64::from_be_bytes(padded);
        }
        Self { beginning, whole }
    }
}

impl From<Damaged> for ReplayError {
    fn from(damaged: Damaged) -> Self {
        Self::Damaged(damaged)
    }
}

impl From<Error> for ReplayError {
    fn from(error: Error) -> Self {
        Self::Engine(error)
    }
}

/// The row of a batch. FORMAT.md describes it.
pub(super) fn encode(number: u64, batch: &Batch) -> Bytes {
    // A kind and two lengths beside each.
    let mut payload = BytesMut::with_capacity(batch.bytes() + 9 * batch.changes().len());
    let put = |payload: &mut BytesMut, bytes: &[u8]| {
        let length = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
        debug_assert_eq!(length as usize, bytes.len(), "what is large has no row");
        payload.put_u32(length);
        payload.put_slice(bytes);
    };
    for change in batch.changes() {
        match change {
            Change::Put(Entry { key, value }) => {
                payload.put_u8(PUT);
                put(&mut payload, key);
                put(&mut payload, value);
            }
            Change::Delete(key) => {
                payload.put_u8(DELETE);
                put(&mut payload, key);
            }
        }
    }
    record::seal(Kind::Journal, &number.to_be_bytes(), &payload)
}

fn decode(number: u64, record: Bytes) -> Result<Batch, Fault> {
    let (_, mut payload) = record::open([Kind::Journal], &number.to_be_bytes(), record)?;
    let take = |payload: &mut Bytes| {
        let length = payload.try_get_u32().map_err(|_| Fault::Content)? as usize;
        // Bytes of their own: a part that stays would hold the whole row.
        let part = payload.get(..length).map(Bytes::copy_from_slice).ok_or(Fault::Content)?;
        payload.advance(length);
        Ok(part)
    };
    let mut batch = Batch::new();
    while payload.has_remaining() {
        match payload.get_u8() {
            PUT => {
                let key = take(&mut payload)?;
                batch.put(key, take(&mut payload)?);
            }
            DELETE => batch.delete(take(&mut payload)?),
            _ => return Err(Fault::Content),
        }
    }
    Ok(batch)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes(text: &str) -> Bytes {
        Bytes::copy_from_slice(text.as_bytes())
    }

    fn batch() -> Batch {
        let mut batch = Batch::new();
        batch.put(bytes("a"), bytes("one"));
        batch.delete(bytes("b"));
        batch.put(bytes("c"), bytes(""));
        batch
    }

    #[test]
    fn a_row_is_laid_out_as_documented() {
        let row = encode(7, &batch());
        assert_eq!(row[..2], [1, 13]);
        assert_eq!(row[10..], *b"\x01\0\0\0\x01a\0\0\0\x03one\0\0\0\0\x01b\x01\0\0\0\x01c\0\0\0\0");
        assert_eq!(decode(7, row), Ok(batch()));
        assert_eq!(decode(7, encode(7, &Batch::new())), Ok(Batch::new()));
    }

    #[test]
    fn a_row_that_is_not_what_was_written_is_none() {
        let row = encode(7, &batch());
        assert_eq!(decode(8, row.clone()), Err(Fault::Checksum));
        for at in 0..row.len() {
            let mut changed = row.to_vec();
            changed[at] ^= 4;
            assert!(decode(7, changed.into()).is_err(), "{at}");
        }
        // Sound records with something else in them.
        let payload = row.slice(10..);
        for end in 0..payload.len() {
            let cut = record::seal(Kind::Journal, &7_u64.to_be_bytes(), &payload[..end]);
            let whole = [0, 13, 19].contains(&end);
            assert_eq!(decode(7, cut).is_ok(), whole, "{end}");
        }
        let other = record::seal(Kind::Journal, &7_u64.to_be_bytes(), &[2]);
        assert_eq!(decode(7, other), Err(Fault::Content));
    }

    #[test]
    fn the_memory_of_what_was_set_before_is_not_counted() {
        let mut pending = Pending::default();
        pending.add(batch(), 10);
        let before = pending.bytes;
        let mut again = Batch::new();
        again.put(bytes("a"), bytes("three"));
        again.delete(bytes("b"));
        pending.add(again, 10);
        assert_eq!((pending.bytes, pending.row_bytes), (before + 2, 20));
        assert_eq!(pending.change(&bytes("a")), Some(&Some(bytes("three"))));
        assert_eq!(pending.change(&bytes("b")), Some(&None));
        assert_eq!(pending.change(&bytes("x")), None);
    }

    #[test]
    fn keys_are_in_the_order_of_their_bytes() {
        let long = |last: u8| [&[1; 30][..], &[last]].concat();
        let mut keys =
            vec![vec![], vec![0], vec![0, 0], vec![0; 40], vec![1], vec![1, 0], long(0), long(7), long(255)];
        keys.extend([
            vec![255; 7],
            vec![255; 8],
            vec![255; 9],
            vec![255; 24],
            vec![255; 25],
            b"\x01\x03".to_vec(),
        ]);
        for one in &keys {
            for other in &keys {
                let key = |bytes: &[u8]| Key::new(Bytes::copy_from_slice(bytes));
                assert_eq!(key(one).cmp(&key(other)), one.cmp(other), "{one:?} {other:?}");
            }
        }
    }
}
