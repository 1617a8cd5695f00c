//! Turning snapshot and log of a document into one new snapshot.
//!
//! The steps, each of which leaves a readable document behind if it is the last one that happens:
//!
//! 1. The new snapshot is encoded, parsed again, and compared with the replica that it was made from.
//! 2. Snapshots that the catalog does not speak of go: an earlier attempt may have left them.
//! 3. The new one is written under the next generation, read back and compared. The catalog does not speak of it yet.
//! 4. One batch makes the catalog speak of it and deletes the updates that it covers.
//! 5. The old snapshot goes.

use bytes::Bytes;
use quire_sync_protocol::{DocId, Replica, Update};

use super::catalog::{CatalogEntry, SnapshotEntry};
use super::chunks::{self, Payload};
use super::recovery::Contents;
use super::{LocalStore, PoisonError};
use crate::engine::{self, Batch, Engine, Entry};
use crate::error::{EngineError, StoreError};
use crate::keys;
use crate::store::{Compacted, Seq};

/// Bytes of a snapshot that are written in one batch.
const BATCH_BYTES: usize = 4 << 20;

/// Keys of an old snapshot that are deleted in one batch.
const BATCH_KEYS: usize = 1024;

impl<E: Engine> LocalStore<E> {
    /// Compacts a document while no other compaction runs.
    pub(super) fn compact_alone(&self, doc: &DocId) -> Result<Compacted, StoreError> {
        let Some((entry, contents)) = self.contents(doc)? else {
            return Err(StoreError::NotFound { doc: doc.clone() });
        };
        let snapshot_bytes = entry.snapshot.map_or(0, |snapshot| snapshot.bytes);
        let covered_bytes: u64 = contents.updates.iter().map(|update| update.len() as u64).sum();
        let updates = contents.updates.len() as u64;
        if contents.updates.is_empty() {
            let (bytes_before, bytes_after) = (snapshot_bytes, snapshot_bytes);
            return Ok(Compacted { seq: entry.seq, updates: 0, bytes_before, bytes_after });
        }

        let (encoded, covered) = encoded(doc, &entry, contents)?;
        let snapshot = SnapshotEntry {
            generation: entry.snapshot.map_or(0, |snapshot| snapshot.generation) + 1,
            seq: entry.seq,
            bytes: encoded.len() as u64,
        };
        self.delete_snapshots_except(entry.number, entry.snapshot.as_ref())?;
        self.write_snapshot(entry.number, snapshot.generation, &encoded)?;
        self.compare(doc, entry.number, snapshot.generation, &encoded)?;
        drop(encoded);
        self.switch(doc, &entry, snapshot, covered, covered_bytes)?;
        if let Err(error) = self.delete_snapshots_except(entry.number, Some(&snapshot)) {
            // The document is compacted. What is left takes space until the next compaction deletes it.
            tracing::warn!(%doc, %error, "the snapshot before could not be deleted");
        }
        Ok(Compacted {
            seq: entry.seq,
            updates,
            bytes_before: snapshot_bytes + covered_bytes,
            bytes_after: snapshot.bytes,
        })
    }

    pub(super) fn write_snapshot(
        &self,
        number: u64,
        generation: u64,
        bytes: &Bytes,
    ) -> Result<(), EngineError> {
        let mut batch = Batch::new();
        let mut size = 0;
        let cut = chunks::cut(Payload::Snapshot, bytes, self.engine.chunk_bytes());
        for (key, record) in cut.records(|chunk| keys::snapshot(number, generation, chunk)) {
            size += record.len();
            batch.put(key, record);
            if size >= BATCH_BYTES {
                self.engine.commit(std::mem::take(&mut batch))?;
                size = 0;
            }
        }
        if batch.is_empty() { Ok(()) } else { self.engine.commit(batch) }
    }

    /// Reads a new snapshot back and sees that it is what was written.
    fn compare(&self, doc: &DocId, number: u64, generation: u64, bytes: &Bytes) -> Result<(), StoreError> {
        let cut = chunks::cut(Payload::Snapshot, bytes, self.engine.chunk_bytes());
        let mut written = cut.records(|chunk| keys::snapshot(number, generation, chunk));
        let mut is_same = true;
        for found in engine::entries(&self.engine, keys::snapshot_range(number, generation)) {
            let Entry { key, value } = found?;
            is_same &= written.next() == Some((key, value));
        }
        if is_same && written.next().is_none() {
            Ok(())
        } else {
            Err(StoreError::SnapshotDiffers { doc: doc.clone() })
        }
    }

    /// Makes the catalog speak of the new snapshot, and deletes the updates that it covers.
    fn switch(
        &self,
        doc: &DocId,
        before: &CatalogEntry,
        snapshot: SnapshotEntry,
        covered: Vec<Bytes>,
        covered_bytes: u64,
    ) -> Result<(), StoreError> {
        let _turn = self.catalog_turn.lock().unwrap_or_else(PoisonError::into_inner);
        // Appends have gone on meanwhile: what they changed stays.
        let Some(mut entry) = self.catalog_entry(doc)? else {
            return Err(StoreError::NotFound { doc: doc.clone() });
        };
        if entry.epoch != before.epoch {
            return Err(StoreError::StaleEpoch {
                doc: doc.clone(),
                stored: entry.epoch,
                given: before.epoch,
            });
        }
        entry.snapshot = Some(snapshot);
        entry.log_bytes = entry.log_bytes.saturating_sub(covered_bytes);
        let mut batch = Batch::new();
        let key = keys::catalog(doc);
        let record = entry.encode(&key);
        batch.put(key, record);
        for key in covered {
            batch.delete(key);
        }
        Ok(self.engine.commit(batch)?)
    }

    pub(super) fn delete_snapshots_except(
        &self,
        number: u64,
        present: Option<&SnapshotEntry>,
    ) -> Result<(), EngineError> {
        let mut range = keys::snapshot_ranges(number);
        loop {
            let keys = self.engine.keys(&range, BATCH_KEYS)?;
            let Some(last) = keys.last() else { return Ok(()) };
            range = range.after(last);
            let mut batch = Batch::new();
            for key in keys {
                let generation = keys::place(&key).map(|(generation, _)| generation);
                if generation != present.map(|snapshot| snapshot.generation) {
                    batch.delete(key);
                }
            }
            if !batch.is_empty() {
                self.engine.commit(batch)?;
            }
        }
    }
}

/// The snapshot that these contents make, and the keys of the log that it covers. Returns only what gives back the same
/// document; the contents are gone by then.
pub(crate) fn encoded(
    doc: &DocId,
    entry: &CatalogEntry,
    contents: Contents,
) -> Result<(Bytes, Vec<Bytes>), StoreError> {
    let Contents { snapshot, updates, update_keys } = contents;
    let first = entry.snapshot_seq().0;
    let all = snapshot.into_iter().map(|bytes| (first, bytes)).chain((first + 1..).zip(updates));
    let all = all.map(|(seq, bytes)| parsed(doc, Seq(seq), bytes)).collect::<Result<Vec<_>, _>>()?;
    let mut replica = Replica::new();
    replica.insert_all(&all);
    drop(all);
    let encoded = replica.encode().bytes().clone();
    let mut again = Replica::new();
    again.insert(&parsed(doc, entry.seq, encoded.clone())?);
    if again == replica {
        Ok((encoded, update_keys))
    } else {
        Err(StoreError::SnapshotDiffers { doc: doc.clone() })
    }
}

fn parsed(doc: &DocId, seq: Seq, bytes: Bytes) -> Result<Update, StoreError> {
    Update::parse(bytes).map_err(|source| StoreError::NotAnUpdate { doc: doc.clone(), seq, source })
}
