//! What a store needs below it: ordered keys and atomic, durable batches.

use std::fmt;
use std::ops::Bound;

use bytes::Bytes;

use crate::error::EngineError;

/// An ordered map from byte strings to byte strings that survives.
///
/// All calls block and may run at the same time from many threads. A reader sees of each batch everything or nothing.
///
/// After an error nothing has to be done: an engine that does not survive its own errors opens its files anew by itself
/// when it is called next.
pub trait Engine: Send + Sync + fmt::Debug + 'static {
    /// The size of values, in bytes, that this engine handles best: larger payloads are cut into values of this size. It may
    /// change from one version to the next, readers do not depend on it.
    fn chunk_bytes(&self) -> usize;

    /// The value of one key.
    fn value(&self, key: &[u8]) -> Result<Option<Bytes>, EngineError>;

    /// The values of several keys, each as [`Engine::value`] gives it. An engine that can find them together does.
    fn values(&self, keys: &[Bytes]) -> Result<Vec<Option<Bytes>>, EngineError> {
        keys.iter().map(|key| self.value(key)).collect()
    }

    /// The first entries of a range in the order of their keys, up to the one with which keys and values together reach
    /// `bytes`; all of them if they do not.
    fn page(&self, range: &KeyRange, bytes: usize) -> Result<Vec<Entry>, EngineError>;

    /// The first keys of a range, at most `limit`.
    fn keys(&self, range: &KeyRange, limit: usize) -> Result<Vec<Bytes>, EngineError>;

    /// The last key of a range.
    fn last_key(&self, range: &KeyRange) -> Result<Option<Bytes>, EngineError>;

    /// Applies a batch: all of it or nothing, also if the process or the machine dies meanwhile. It has been synced to
    /// the device when this returns. After an error it is not known whether the batch was applied.
    fn commit(&self, batch: Batch) -> Result<(), EngineError>;

    /// Bytes of the engine's files; `None` if it cannot make them smaller.
    fn disk_bytes(&self) -> Option<u64> {
        None
    }

    /// Makes the engine's files as small as it can. All other calls wait meanwhile.
    fn reclaim(&self) -> Result<(), EngineError> {
        Ok(())
    }

    /// Syncs to the device whatever has not been synced yet.
    fn flush(&self) -> Result<(), EngineError>;
}

/// One key and its value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The key.
    pub key: Bytes,
    /// The value.
    pub value: Bytes,
}

/// The keys from `from` (included) to `to` (excluded). Empty if `to` does not lie behind `from`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyRange {
    /// The first key that belongs to the range.
    pub from: Vec<u8>,
    /// The first key behind the range.
    pub to: Vec<u8>,
}

impl KeyRange {
    /// The part of this range that lies behind `key`.
    #[must_use]
    pub fn after(mut self, key: &[u8]) -> Self {
        // The next possible key is the same one with a zero byte at its end.
        self.from.clear();
        self.from.extend(key);
        self.from.push(0);
        self
    }

    /// Whether no key can lie in this range.
    pub fn is_empty(&self) -> bool {
        self.from >= self.to
    }

    /// The range in the form that ordered maps take. They panic if it is empty and `from` lies behind `to`.
    pub(crate) fn bounds(&self) -> (Bound<&[u8]>, Bound<&[u8]>) {
        (Bound::Included(&self.from), Bound::Excluded(&self.to))
    }

    /// Whether a key lies in this range.
    pub fn contains(&self, key: &[u8]) -> bool {
        self.from.as_slice() <= key && key < self.to.as_slice()
    }
}

/// Changes that belong together, in order: a later one to the same key wins.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Batch {
    changes: Vec<Change>,
}

/// One change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// Sets a key.
    Put(Entry),
    /// Removes a key, if it is there.
    Delete(Bytes),
}

impl Batch {
    /// No changes.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets a key.
    pub fn put(&mut self, key: Bytes, value: Bytes) {
        self.changes.push(Change::Put(Entry { key, value }));
    }

    /// Removes a key, if it is there.
    pub fn delete(&mut self, key: Bytes) {
        self.changes.push(Change::Delete(key));
    }

    /// Whether nothing would change.
    pub fn is_empty(&self) -> bool {
        self.changes.is_empty()
    }

    /// The size of its keys and values.
    pub(crate) fn bytes(&self) -> usize {
        let size = |change: &Change| match change {
            Change::Put(Entry { key, value }) => key.len() + value.len(),
            Change::Delete(key) => key.len(),
        };
        self.changes.iter().map(size).sum()
    }

    /// The changes in their order.
    pub fn changes(&self) -> &[Change] {
        &self.changes
    }
}

impl IntoIterator for Batch {
    type Item = Change;
    type IntoIter = std::vec::IntoIter<Change>;

    fn into_iter(self) -> Self::IntoIter {
        self.changes.into_iter()
    }
}

/// How many bytes of entries are held at once while a range is walked.
pub(crate) const PAGE_BYTES: usize = 4 << 20;

/// All entries of a range, read page by page.
pub(crate) fn entries<E: Engine>(engine: &E, range: KeyRange) -> Entries<'_, E> {
    entries_by(engine, range, PAGE_BYTES)
}

/// All entries of a range, read in pages of about this size.
pub(crate) fn entries_by<E: Engine>(engine: &E, range: KeyRange, page_bytes: usize) -> Entries<'_, E> {
    Entries { engine, range: Some(range), page_bytes, page: Vec::new().into_iter() }
}

/// The iterator behind [`entries`]. It ends after the first error.
pub(crate) struct Entries<'a, E> {
    engine: &'a E,
    /// What has not been read yet.
    range: Option<KeyRange>,
    page_bytes: usize,
    page: std::vec::IntoIter<Entry>,
}

impl<E: Engine> Iterator for Entries<'_, E> {
    type Item = Result<Entry, EngineError>;

    fn next(&mut self) -> Option<Self::Item> {
        if let Some(entry) = self.page.next() {
            return Some(Ok(entry));
        }
        let range = self.range.take()?;
        match self.engine.page(&range, self.page_bytes) {
            Ok(page) => {
                // A page that is not full is the last one.
                let size: usize = page.iter().map(|entry| entry.key.len() + entry.value.len()).sum();
                let last = page.last().filter(|_| size >= self.page_bytes);
                self.range = last.map(|entry| range.after(&entry.key));
                self.page = page.into_iter();
                self.page.next().map(Ok)
            }
            Err(error) => Some(Err(error)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engines::MemoryEngine;

    #[test]
    fn a_range_is_walked_whole_whatever_the_page() {
        let engine = MemoryEngine::new();
        let all: Vec<Entry> =
            (0..20).map(|number| Entry { key: vec![number].into(), value: vec![0; 9].into() }).collect();
        let mut batch = Batch::new();
        for Entry { key, value } in all.clone() {
            batch.put(key, value);
        }
        engine.commit(batch).unwrap();
        for page_bytes in [0, 1, 9, 10, 11, 50, 199, 200, 201] {
            let range = KeyRange { from: vec![2], to: vec![17] };
            let found: Result<Vec<_>, _> = entries_by(&engine, range, page_bytes).collect();
            assert_eq!(found.unwrap(), all[2..17], "{page_bytes}");
        }
    }
}
