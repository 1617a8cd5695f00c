//! What can still be read of a document, damaged or not.
//!
//! Deleting a damaged document and handing out its sound parts must not fail because of the damage. Nothing is changed here.

use bytes::Bytes;
use quire_sync_protocol::DocId;

use super::catalog::CatalogEntry;
use super::chunks::{Joined, Payload};
use super::{LocalStore, damaged};
use crate::engine::{self, Engine, Entry};
use crate::error::StoreError;
use crate::keys;
use crate::record::{self, Kind};
use crate::store::Epoch;

/// The sound parts of a document.
#[derive(Debug)]
pub(super) struct Salvage {
    pub(super) number: u64,
    /// `None` if the catalog entry cannot be read.
    pub(super) epoch: Option<Epoch>,
    /// The catalog's record as it was found: if it is still the same, so is the document.
    pub(super) catalog_record: Option<Bytes>,
    /// Snapshots and updates that are whole, in the order of their keys, snapshots first.
    pub(super) parts: Vec<Bytes>,
}

impl<E: Engine> LocalStore<E> {
    /// What can be read of a document; `None` if it is not in the catalog. An error about the document if its catalog entry cannot
    /// be read and no name leads to what it stood for.
    pub(super) fn salvage(&self, doc: &DocId) -> Result<Option<Salvage>, StoreError> {
        let key = keys::catalog(doc);
        let Some(record) = self.engine.value(&key)? else { return Ok(None) };
        let (number, epoch) = match CatalogEntry::decode(&key, record.clone()) {
            Ok(entry) => (entry.number, Some(entry.epoch)),
            Err(fault) => {
                let number = self.number_of(doc)?;
                (number.ok_or_else(|| damaged(doc, "the catalog entry", &key, fault))?, None)
            }
        };
        let mut parts = Vec::new();
        for (payload, range) in [
            (Payload::Snapshot, keys::snapshot_ranges(number)),
            (Payload::Update, keys::update_range(number, 0)),
        ] {
            let mut joined = Joined::new(payload);
            let mut major = None;
            for entry in engine::entries(&self.engine, range) {
                let Entry { key, value } = entry?;
                let Some((found, chunk)) = keys::place(&key) else { continue };
                if major != Some(found) {
                    (major, joined) = (Some(found), Joined::new(payload));
                }
                if chunk != joined.next() {
                    continue;
                }
                match joined.add(&key, value) {
                    Ok(Some(part)) => parts.push(part),
                    Ok(None) => {}
                    // Without this chunk the rest of it is of no use.
                    Err(_) => joined = Joined::new(payload),
                }
            }
        }
        Ok(Some(Salvage { number, epoch, catalog_record: Some(record), parts }))
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
}
