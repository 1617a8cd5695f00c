//! Deleting documents, and making deleted ones anew.
//!
//! A deletion is one batch: the catalog entry goes, and a tombstone stands. From then on the document is not there. Its
//! bytes go after that, batch by batch, so that nobody waits for a large one; what is not done when the process dies is
//! done by [`DocumentStore::sweep`](crate::DocumentStore::sweep). A tombstone stays under its name when the document is made
//! anew, since clients of the dead one may still come back.

use std::collections::BTreeMap;
use std::sync::PoisonError;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use quire_sync_protocol::update::structs::Body;
use quire_sync_protocol::{ClientId, Clock, DocId, StateVector, Update};

use super::LocalStore;
use super::tombstone::Tombstone;
use crate::engine::{Batch, Engine, KeyRange};
use crate::error::{EngineError, StoreError};
use crate::keys;
use crate::record::{self, Kind};
use crate::store::{Created, Epoch, Swept};

/// How long a tombstone stands at least.
pub(crate) const TOMBSTONE_STAYS: Duration = Duration::from_hours(30 * 24);

/// Keys of a dead document that are deleted in one batch.
const BATCH_KEYS: usize = 1024;

/// A deletion that appends keep overtaking is tried this often without holding them up, then once while they wait.
const FREE_TRIES: u32 = 3;

impl<E: Engine> LocalStore<E> {
    pub(super) fn delete_document(&self, doc: &DocId, now: SystemTime) -> Result<(), StoreError> {
        // A compaction would write more of what is to go.
        let _compaction = self.compaction_turn.lock().unwrap_or_else(PoisonError::into_inner);
        let before = match self.tombstone(doc) {
            Ok(tombstone) => tombstone,
            // A damaged one makes the document damaged; the new one takes its place.
            Err(StoreError::Damaged { .. }) => None,
            Err(error) => return Err(error),
        };
        if let Some(before) = &before {
            self.purge(doc, before)?;
        }
        let mut tries = 0;
        let tombstone = loop {
            tries += 1;
            let early_turn = (tries > FREE_TRIES)
                .then(|| self.catalog_turn.lock().unwrap_or_else(PoisonError::into_inner));
            let Some(dead) = self.sound_parts(doc)? else {
                return Err(match before {
                    Some(_) => StoreError::Deleted { doc: doc.clone() },
                    None => StoreError::NotFound { doc: doc.clone() },
                });
            };
            let _turn = early_turn
                .unwrap_or_else(|| self.catalog_turn.lock().unwrap_or_else(PoisonError::into_inner));
            // An append may have come in between: what it brought has to be in the tombstone.
            if self.engine.value(&keys::catalog(doc))? != dead.catalog_record {
                continue;
            }
            let next = Epoch(before.as_ref().map_or(0, |before| before.epoch.0) + 1);
            let known = before.iter().flat_map(|before| before.clients.iter());
            let tombstone = Tombstone {
                number: Some(dead.number),
                epoch: dead.epoch.unwrap_or(next),
                deleted: now.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs(),
                clients: reached(known, &dead.parts),
            };
            let mut batch = Batch::new();
            batch.delete(keys::catalog(doc));
            self.put_tombstone(doc, &tombstone, &mut batch)?;
            self.engine.commit(batch)?;
            break tombstone;
        };
        if let Err(error) = self.purge(doc, &tombstone) {
            // The document is deleted. Its bytes go with the next sweep.
            tracing::warn!(%doc, %error, "the bytes of a deleted document have not all gone yet");
        }
        Ok(())
    }

    pub(super) fn create_document(&self, doc: &DocId) -> Result<Created, StoreError> {
        let tombstone = self.tombstone(doc)?;
        if let Some(tombstone) = &tombstone {
            // The tombstone of the next deletion speaks of another number.
            self.purge(doc, tombstone)?;
        }
        let _turn = self.catalog_turn.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(entry) = self.catalog_entry(doc)? {
            return Ok(Created { epoch: entry.epoch, is_new: false });
        }
        let mut batch = Batch::new();
        let mut entry = self.new_entry(doc, &mut None, &mut batch)?;
        if let Some(tombstone) = tombstone {
            entry.epoch = Epoch(tombstone.epoch.0 + 1);
        }
        let key = keys::catalog(doc);
        let record = entry.encode(&key);
        batch.put(key, record);
        self.engine.commit(batch)?;
        Ok(Created { epoch: entry.epoch, is_new: true })
    }

    pub(super) fn sweep_dead(&self, now: SystemTime) -> Result<Swept, StoreError> {
        let mut swept = Swept::default();
        let now = now.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        let mut after = None;
        while let Some(doc) = self.next_tombstone(after.as_ref())? {
            match self.tombstone(&doc) {
                Ok(Some(tombstone)) => {
                    swept.purged += u64::from(self.purge(&doc, &tombstone)?);
                    if tombstone.deleted.saturating_add(TOMBSTONE_STAYS.as_secs()) <= now {
                        let tombstone = Tombstone { number: None, ..tombstone };
                        swept.expired += u64::from(self.forget(&doc, &tombstone)?);
                    }
                }
                Ok(None) => {}
                Err(error @ StoreError::Damaged { .. }) => {
                    tracing::warn!(%doc, %error, "a tombstone cannot be read and stays");
                }
                Err(error) => return Err(error),
            }
            after = Some(doc);
        }
        Ok(swept)
    }

    /// The first document behind `after` that has a tombstone.
    pub(super) fn next_tombstone(&self, after: Option<&DocId>) -> Result<Option<DocId>, EngineError> {
        let mut range = keys::tombstones_range(after);
        loop {
            let Some(key) = self.engine.keys(&range, 1)?.pop() else { return Ok(None) };
            match keys::tombstone_place(&key) {
                Some((doc, _)) => return Ok(Some(doc)),
                None => range = range.after(&key),
            }
        }
    }

    /// Deletes a tombstone, unless it has changed.
    fn forget(&self, doc: &DocId, tombstone: &Tombstone) -> Result<bool, StoreError> {
        let _turn = self.catalog_turn.lock().unwrap_or_else(PoisonError::into_inner);
        if self.tombstone(doc)?.as_ref() != Some(tombstone) {
            return Ok(false);
        }
        let mut batch = Batch::new();
        self.delete_tombstone(doc, &mut batch)?;
        self.engine.commit(batch)?;
        Ok(true)
    }

    /// Deletes everything under the number of a dead document, then its name, and lets the tombstone forget the number. `false`
    /// if that was done before.
    fn purge(&self, doc: &DocId, tombstone: &Tombstone) -> Result<bool, StoreError> {
        let Some(number) = tombstone.number else { return Ok(false) };
        // The name says whose the number is. Where it is lost, what is left is nobody's, and stays.
        let name = keys::name(number);
        let record = self.engine.value(&name)?;
        let is_own = record
            .and_then(|record| record::open([Kind::Name], &name, record).ok())
            .is_some_and(|(_, found)| found == doc.as_str().as_bytes());
        if is_own {
            self.purge_range(keys::update_range(number, 0))?;
            self.purge_range(keys::snapshot_ranges(number))?;
        }
        let _turn = self.catalog_turn.lock().unwrap_or_else(PoisonError::into_inner);
        if self.tombstone(doc)?.as_ref() != Some(tombstone) {
            return Ok(false);
        }
        let mut batch = Batch::new();
        if is_own {
            batch.delete(name);
        }
        self.put_tombstone(doc, &Tombstone { number: None, ..tombstone.clone() }, &mut batch)?;
        self.engine.commit(batch)?;
        Ok(true)
    }

    fn purge_range(&self, mut range: KeyRange) -> Result<(), EngineError> {
        loop {
            let keys = self.engine.keys(&range, BATCH_KEYS)?;
            let Some(last) = keys.last() else { return Ok(()) };
            range = range.after(last);
            let mut batch = Batch::new();
            for key in keys {
                batch.delete(key);
            }
            self.engine.commit(batch)?;
        }
    }
}

/// For each client in these updates, and in what is known, the clock behind the last it wrote. What is no update tells nothing.
pub(crate) fn reached(known: impl Iterator<Item = (ClientId, Clock)>, updates: &[Bytes]) -> StateVector {
    let mut clients: BTreeMap<ClientId, Clock> = known.collect();
    for update in updates.iter().filter_map(|update| Update::parse(update.clone()).ok()) {
        update.for_each_struct(|client, clock, next| {
            if next.body != Body::Skip {
                let end = clients.entry(client).or_default();
                *end = (*end).max(clock + next.len);
            }
        });
    }
    clients.into_iter().collect()
}
