//! Reading a document back: its snapshot and the log after it, every record checked.

use bytes::Bytes;
use quire_sync_protocol::DocId;

use super::catalog::{CatalogEntry, SnapshotEntry};
use super::chunks::{Joined, Payload};
use super::{LocalStore, damaged};
use crate::engine::{self, Engine, Entry};
use crate::error::{Fault, StoreError};
use crate::keys;
use crate::store::Seq;

pub(crate) const UPDATE: &str = "an update";
pub(crate) const SNAPSHOT: &str = "the snapshot";

/// What a catalog entry speaks of, or the end of it.
#[derive(Debug)]
pub(crate) struct Contents {
    pub(crate) snapshot: Option<Bytes>,
    /// The updates after it, or after what is known.
    pub(crate) updates: Vec<Bytes>,
    /// The keys of those updates.
    pub(crate) update_keys: Vec<Bytes>,
}

impl<E: Engine> LocalStore<E> {
    /// The document's entry and contents; `None` if it was never stored.
    ///
    /// A compaction may replace the snapshot and shorten the log while this reads them, and a deletion may take both. The entry tells: if it has moved on
    /// when something is found missing, reading starts again with the new one. Each round needs another whole compaction, so
    /// there are few.
    pub(super) fn contents(&self, doc: &DocId) -> Result<Option<(CatalogEntry, Contents)>, StoreError> {
        self.contents_after(doc, None)
    }

    /// The same without what a reader has who has everything up to `known`: unless a compaction has passed it, that is the log
    /// behind it.
    pub(super) fn contents_after(
        &self,
        doc: &DocId,
        known: Option<Seq>,
    ) -> Result<Option<(CatalogEntry, Contents)>, StoreError> {
        loop {
            let Some(entry) = self.catalog_entry(doc)? else { return Ok(None) };
            let error = match self.contents_of(doc, &entry, known) {
                Ok(contents) => return Ok(Some((entry, contents))),
                Err(error) => error,
            };
            // Without an entry it has been deleted meanwhile.
            let moved_on = matches!(error, StoreError::Damaged { .. })
                && self.catalog_entry(doc)?.is_none_or(|now| {
                    (now.number, now.epoch, now.snapshot) != (entry.number, entry.epoch, entry.snapshot)
                });
            if !moved_on {
                return Err(error);
            }
        }
    }

    /// Everything that this entry speaks of and is not known. Damage may also mean that the entry is no longer the present one.
    fn contents_of(
        &self,
        doc: &DocId,
        entry: &CatalogEntry,
        known: Option<Seq>,
    ) -> Result<Contents, StoreError> {
        let known = known.map(|known| known.min(entry.seq)).filter(|known| *known >= entry.snapshot_seq());
        let snapshot = match &entry.snapshot {
            Some(snapshot) if known.is_none() => Some(self.snapshot(doc, entry.number, snapshot)?),
            _ => None,
        };
        let (mut updates, mut update_keys) = (Vec::new(), Vec::new());
        let mut joined = Joined::new(Payload::Update);
        let mut seq = known.unwrap_or(entry.snapshot_seq()).0 + 1;
        for found in engine::entries(&self.engine, keys::update_range(entry.number, seq)) {
            let Entry { key, value } = found?;
            let Some(place) = keys::place(&key) else {
                return Err(damaged(doc, UPDATE, &key, Fault::Unexpected));
            };
            if place.0 > entry.seq.0 {
                self.expect_appended(doc, &key, place.0)?;
                break;
            }
            let expected = (seq, joined.next());
            if place > expected {
                break;
            }
            if place < expected {
                return Err(damaged(doc, UPDATE, &key, Fault::Unexpected));
            }
            if let Some(update) =
                joined.add(&key, value).map_err(|fault| damaged(doc, UPDATE, &key, fault))?
            {
                updates.push(update);
                seq += 1;
            }
            update_keys.push(key);
        }
        if seq <= entry.seq.0 {
            let key = keys::update(entry.number, seq, joined.next());
            return Err(damaged(doc, UPDATE, &key, Fault::Missing));
        }
        Ok(Contents { snapshot, updates, update_keys })
    }

    /// An update that came after the catalog entry was read is in the entry now. One that is in no entry means that the entry
    /// is older than its log: the next append would write over what was confirmed.
    fn expect_appended(&self, doc: &DocId, key: &[u8], seq: u64) -> Result<(), StoreError> {
        match self.catalog_entry(doc)? {
            Some(now) if Seq(seq) <= now.seq => Ok(()),
            _ => Err(damaged(doc, UPDATE, key, Fault::Unexpected)),
        }
    }

    /// One snapshot.
    pub(super) fn snapshot(
        &self,
        doc: &DocId,
        number: u64,
        snapshot: &SnapshotEntry,
    ) -> Result<Bytes, StoreError> {
        let mut joined = Joined::new(Payload::Snapshot);
        let mut whole = None;
        for found in engine::entries(&self.engine, keys::snapshot_range(number, snapshot.generation)) {
            let Entry { key, value } = found?;
            let expected = (snapshot.generation, joined.next());
            match keys::place(&key) {
                Some(place) if place == expected && whole.is_none() => {}
                Some(place) if place > expected && whole.is_none() => break,
                _ => return Err(damaged(doc, SNAPSHOT, &key, Fault::Unexpected)),
            }
            whole = joined.add(&key, value).map_err(|fault| damaged(doc, SNAPSHOT, &key, fault))?;
        }
        let key = keys::snapshot(number, snapshot.generation, joined.next());
        match whole {
            Some(whole) if whole.len() as u64 == snapshot.bytes => Ok(whole),
            Some(_) => Err(damaged(doc, SNAPSHOT, &key, Fault::Length)),
            None => Err(damaged(doc, SNAPSHOT, &key, Fault::Missing)),
        }
    }
}
