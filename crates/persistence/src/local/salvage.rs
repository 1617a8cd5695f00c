//! What can still be read of a document, damaged or not, and a document made of that.
//!
//! Deleting a damaged document and handing out its sound parts must not fail because of the damage. Only a repair changes
//! anything: it is the one act that lets go of what is damaged, and nothing but an operator asks for it.

use std::sync::PoisonError;

use bytes::Bytes;
use quire_sync_protocol::{DocId, Replica, Update};

use super::catalog::{CatalogEntry, SnapshotEntry};
use super::chunks::{Joined, Payload};
use super::{LocalStore, damaged};
use crate::engine::{self, Batch, Engine, Entry};
use crate::error::StoreError;
use crate::inspect::Repaired;
use crate::keys;
use crate::record::{self, Kind};
use crate::store::{Epoch, Seq};

/// The sound parts of a document.
#[derive(Debug)]
pub(super) struct Salvage {
    pub(super) number: u64,
    /// `None` if the catalog entry cannot be read.
    pub(super) epoch: Option<Epoch>,
    /// The last update there was; 0 if nothing tells.
    seq: Seq,
    /// The last generation of a snapshot there was.
    generation: u64,
    /// The catalog's record as it was found: if it is still the same, so is the document.
    pub(super) catalog_record: Option<Bytes>,
    /// Snapshots and updates that are whole, in the order of their keys, snapshots first.
    pub(super) parts: Vec<Bytes>,
}

impl<E: Engine> LocalStore<E> {
    /// What can be read of a document; `None` if it is not in the catalog. An error about the document if its catalog entry cannot
    /// be read and no name leads to what it stood for.
    pub(super) fn sound_parts(&self, doc: &DocId) -> Result<Option<Salvage>, StoreError> {
        let key = keys::catalog(doc);
        let Some(record) = self.engine.value(&key)? else { return Ok(None) };
        let mut salvage = match CatalogEntry::decode(&key, record.clone()) {
            Ok(entry) => Salvage::new(entry.number, Some(entry.epoch), entry.seq),
            Err(fault) => {
                let number = self.number_of(doc)?;
                let number = number.ok_or_else(|| damaged(doc, "the catalog entry", &key, fault))?;
                Salvage::new(number, None, Seq(0))
            }
        };
        salvage.catalog_record = Some(record);
        self.collect(&mut salvage)?;
        Ok(Some(salvage))
    }

    /// The same for a document whose catalog entry is lost: its name record still speaks of it.
    fn orphaned_parts(&self, doc: &DocId) -> Result<Option<Salvage>, StoreError> {
        let dying = self.tombstone(doc)?.and_then(|tombstone| tombstone.number);
        let Some(number) = self.number_of(doc)?.filter(|number| Some(*number) != dying) else {
            return Ok(None);
        };
        let mut salvage = Salvage::new(number, None, Seq(0));
        self.collect(&mut salvage)?;
        Ok(Some(salvage))
    }

    fn collect(&self, salvage: &mut Salvage) -> Result<(), StoreError> {
        let number = salvage.number;
        for (payload, range) in [
            (Payload::Snapshot, keys::snapshot_ranges(number)),
            (Payload::Update, keys::update_range(number, 0)),
        ] {
            let mut joined = Joined::new(payload);
            let mut major = None;
            for entry in engine::entries(&self.engine, range) {
                let Entry { key, value } = entry?;
                let Some((found, chunk)) = keys::place(&key) else { continue };
                match payload {
                    Payload::Snapshot => salvage.generation = salvage.generation.max(found),
                    Payload::Update => salvage.seq = salvage.seq.max(Seq(found)),
                    Payload::Tombstone => {}
                }
                if major != Some(found) {
                    (major, joined) = (Some(found), Joined::new(payload));
                }
                if chunk != joined.next() {
                    continue;
                }
                match joined.add(&key, value) {
                    Ok(Some(part)) => salvage.parts.push(part),
                    Ok(None) => {}
                    // Without this chunk the rest of it is of no use.
                    Err(_) => joined = Joined::new(payload),
                }
            }
        }
        Ok(())
    }

    /// The number whose name record holds this name: the last, if there are several.
    fn number_of(&self, doc: &DocId) -> Result<Option<u64>, StoreError> {
        let mut found = None;
        for entry in engine::entries(&self.engine, keys::name_range()) {
            let Entry { key, value } = entry?;
            if let Ok((_, name)) = record::open([Kind::Name], &key, value)
                && name == doc.as_str().as_bytes()
            {
                found = keys::name_number(&key).or(found);
            }
        }
        Ok(found)
    }

    /// Makes the sound parts of a document all there is of it.
    pub(super) fn repair_document(&self, doc: &DocId) -> Result<Repaired, StoreError> {
        let _compaction = self.compaction_turn.lock().unwrap_or_else(PoisonError::into_inner);
        let _turn = self.catalog_turn.lock().unwrap_or_else(PoisonError::into_inner);
        let salvage = match self.sound_parts(doc)? {
            Some(salvage) => salvage,
            None => self.orphaned_parts(doc)?.ok_or_else(|| StoreError::NotFound { doc: doc.clone() })?,
        };
        let mut replica = Replica::new();
        let mut repaired = Repaired { kept: 0, bytes: 0 };
        for update in salvage.parts.iter().filter_map(|part| Update::parse(part.clone()).ok()) {
            replica.insert(&update);
            repaired.kept += 1;
        }
        let encoded = replica.encode().bytes().clone();
        repaired.bytes = encoded.len() as u64;
        let number = salvage.number;
        let after_the_dead =
            self.tombstone(doc)?.map_or(Epoch::FIRST, |tombstone| Epoch(tombstone.epoch.0 + 1));
        let snapshot =
            SnapshotEntry { generation: salvage.generation + 1, seq: salvage.seq, bytes: repaired.bytes };
        self.write_snapshot(number, snapshot.generation, &encoded)?;
        // The damaged records go with the batch that makes the rest the document.
        let mut batch = Batch::new();
        for key in self.engine.keys(&keys::update_range(number, 0), usize::MAX)? {
            batch.delete(key);
        }
        let entry = CatalogEntry {
            number,
            epoch: salvage.epoch.unwrap_or(after_the_dead),
            seq: salvage.seq,
            log_bytes: 0,
            snapshot: Some(snapshot),
        };
        let (key, name) = (keys::catalog(doc), keys::name(number));
        let record = entry.encode(&key);
        batch.put(key, record);
        let record = record::seal(Kind::Name, &name, doc.as_str().as_bytes());
        batch.put(name, record);
        self.engine.commit(batch)?;
        self.delete_snapshots_except(number, Some(&snapshot))?;
        Ok(repaired)
    }
}

impl Salvage {
    fn new(number: u64, epoch: Option<Epoch>, seq: Seq) -> Self {
        Self { number, epoch, seq, generation: 0, catalog_record: None, parts: Vec::new() }
    }
}
