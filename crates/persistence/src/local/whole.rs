//! Everything under one name at once, for archives.

use std::sync::PoisonError;

use quire_sync_protocol::{DocId, StateVector};

use super::LocalStore;
use super::catalog::SnapshotEntry;
use super::chunks::{self, Payload};
use super::tombstone::Tombstone;
use crate::engine::{Batch, Engine};
use crate::error::{Fault, StoreError};
use crate::inspect::{Grave, Whole};
use crate::keys;
use crate::store::Stored;

/// Bytes that are written in one batch.
const BATCH_BYTES: usize = 4 << 20;

impl<E: Engine> LocalStore<E> {
    pub(super) fn whole_of(&self, doc: &DocId) -> Result<Option<Whole>, StoreError> {
        let document = self.contents(doc)?.map(|(entry, contents)| Stored {
            epoch: entry.epoch,
            seq: entry.seq,
            snapshot: contents.snapshot,
            updates: contents.updates,
            dead: StateVector::default(),
        });
        let tombstone = self.tombstone(doc)?.map(|tombstone| Grave {
            epoch: tombstone.epoch,
            deleted: tombstone.deleted,
            clients: tombstone.clients,
        });
        let is_there = document.is_some() || tombstone.is_some();
        Ok(is_there.then_some(Whole { document, tombstone }))
    }

    pub(super) fn put_whole_of(&self, doc: &DocId, whole: &Whole) -> Result<(), StoreError> {
        let _turn = self.catalog_turn.lock().unwrap_or_else(PoisonError::into_inner);
        let key = keys::catalog(doc);
        if self.engine.value(&key)?.is_some() || self.tombstone(doc)?.is_some() {
            return Err(super::damaged(doc, "the catalog entry", &key, Fault::Unexpected));
        }
        let mut last = Batch::new();
        if let Some(grave) = &whole.tombstone {
            let Grave { epoch, deleted, clients } = grave.clone();
            self.put_tombstone(doc, &Tombstone { number: None, epoch, deleted, clients }, &mut last)?;
        }
        if let Some(stored) = &whole.document {
            let mut entry = self.new_entry(doc, &mut None, &mut last)?;
            entry.epoch = stored.epoch;
            entry.seq = stored.seq;
            entry.log_bytes = stored.updates.iter().map(|update| update.len() as u64).sum();
            entry.snapshot = stored.snapshot.as_ref().map(|snapshot| SnapshotEntry {
                generation: 1,
                seq: stored.snapshot_seq(),
                bytes: snapshot.len() as u64,
            });
            let number = entry.number;
            let mut contents = Contents { store: self, batch: Batch::new(), bytes: 0 };
            if let Some(snapshot) = &stored.snapshot {
                contents.put(Payload::Snapshot, snapshot, |chunk| keys::snapshot(number, 1, chunk))?;
            }
            for (seq, update) in (stored.snapshot_seq().0 + 1..).zip(&stored.updates) {
                contents.put(Payload::Update, update, |chunk| keys::update(number, seq, chunk))?;
            }
            contents.commit()?;
            let record = entry.encode(&key);
            last.put(key, record);
        }
        Ok(self.engine.commit(last)?)
    }
}

/// Contents on their way into the store, before the catalog speaks of them.
struct Contents<'a, E> {
    store: &'a LocalStore<E>,
    batch: Batch,
    bytes: usize,
}

impl<E: Engine> Contents<'_, E> {
    fn put(
        &mut self,
        payload: Payload,
        bytes: &[u8],
        key: impl Fn(u32) -> bytes::Bytes,
    ) -> Result<(), StoreError> {
        let cut = chunks::cut(payload, bytes, self.store.engine.chunk_bytes());
        for (key, record) in cut.records(key) {
            self.bytes += record.len();
            self.batch.put(key, record);
            if self.bytes >= BATCH_BYTES {
                self.commit()?;
            }
        }
        Ok(())
    }

    fn commit(&mut self) -> Result<(), StoreError> {
        self.bytes = 0;
        let batch = std::mem::take(&mut self.batch);
        if batch.is_empty() { Ok(()) } else { Ok(self.store.engine.commit(batch)?) }
    }
}
