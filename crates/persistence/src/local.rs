//! A document store on top of an engine.
//!
//! The catalog has one entry for each document; everything else hangs on the number that the entry gives it. An append is
//! one batch: the updates and the new entries of all documents concerned. Nothing about documents is kept in memory, so
//! nothing there can run ahead of what is stored.

pub(crate) mod catalog;
pub(crate) mod chunks;
pub(crate) mod compaction;
pub(crate) mod deletion;
pub(crate) mod inbox;
pub(crate) mod recovery;
mod salvage;
pub(crate) mod tombstone;
mod verify;
mod whole;

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::SystemTime;

use bytes::Bytes;
use quire_sync_protocol::DocId;

use self::catalog::CatalogEntry;
use self::chunks::Payload;
use crate::engine::{self, Batch, Engine};
use crate::error::{Damage, Fault, OpenError, Place, StoreError};
use crate::inbox::Inboxes;
use crate::inspect::{Checked, Inspect, Repaired, Space, Whole};
use crate::keys;
use crate::record::{self, Kind};
use crate::store::{
    Append, Compacted, Created, DocumentInfo, DocumentStore, Epoch, Head, Listed, Seq, Stored, Swept, Tail,
};

/// The format of everything below the format record. FORMAT.md describes it.
const FORMAT: u32 = 1;

/// About what a document takes beside its content, and each update in its log.
const DOCUMENT_BYTES: u64 = 512;
const UPDATE_BYTES: u64 = 96;

/// About the size of a catalog entry with its key.
const LISTED_BYTES: usize = 100;

/// Documents over an [`Engine`].
#[derive(Debug)]
pub struct LocalStore<E> {
    engine: E,
    /// Held from reading a catalog entry to committing its successor, so that no seq is given twice.
    catalog_turn: Mutex<()>,
    /// Held during a compaction: one at a time, so that its memory is bounded and no other one moves its snapshots.
    compaction_turn: Mutex<()>,
    /// Held while an inbox changes, so that no number is given twice.
    inbox_turn: Mutex<()>,
}

/// What a batch of appends has to do with the catalog.
struct Touched {
    /// Of each append, which of the documents it is for.
    places: Vec<usize>,
    /// The keys of the documents' entries.
    keys: Vec<Bytes>,
    /// The entries, each `None` if the document was never stored.
    entries: Vec<Option<CatalogEntry>>,
}

impl<E: Engine> LocalStore<E> {
    /// Takes an engine that is new or was used by a store before. Recovery has nothing to do here: every batch is whole,
    /// and each document is checked when it is loaded.
    pub fn open(engine: E) -> Result<Self, OpenError> {
        match engine.value(keys::FORMAT)? {
            Some(record) => match read_format(record) {
                Ok(FORMAT) => {}
                Ok(found) => return Err(OpenError::Format { found, known: FORMAT }),
                Err(fault) => return Err(OpenError::Damaged(format_damage(fault))),
            },
            None => write_format(&engine)?,
        }
        Ok(Self {
            engine,
            catalog_turn: Mutex::new(()),
            compaction_turn: Mutex::new(()),
            inbox_turn: Mutex::new(()),
        })
    }

    /// The engine below.
    pub fn engine(&self) -> &E {
        &self.engine
    }

    fn catalog_entry(&self, doc: &DocId) -> Result<Option<CatalogEntry>, StoreError> {
        let key = keys::catalog(doc);
        let record = self.engine.value(&key)?;
        record.map(|record| decoded(doc, &key, record)).transpose()
    }

    /// What the catalog holds of the documents in a batch.
    fn touched(&self, batch: &[Append]) -> Result<Touched, StoreError> {
        let mut known = HashMap::with_capacity(batch.len());
        let (mut docs, mut places) = (Vec::new(), Vec::with_capacity(batch.len()));
        for Append { doc, .. } in batch {
            places.push(*known.entry(doc).or_insert_with(|| {
                docs.push(doc);
                docs.len() - 1
            }));
        }
        let keys: Vec<_> = docs.iter().map(|doc| keys::catalog(doc)).collect();
        let records = self.engine.values(&keys)?;
        let entry = |((doc, key), record): ((&DocId, &Bytes), Option<Bytes>)| {
            record.map(|record| decoded(doc, key, record)).transpose()
        };
        let entries = docs.into_iter().zip(&keys).zip(records).map(entry).collect::<Result<_, _>>()?;
        Ok(Touched { places, keys, entries })
    }

    /// The entry of a document that is about to get its first update, and its name in the batch. `last` is the number that was
    /// given last in this batch.
    fn new_entry(
        &self,
        doc: &DocId,
        last: &mut Option<u64>,
        batch: &mut Batch,
    ) -> Result<CatalogEntry, StoreError> {
        let number = self.next_number(doc, *last)?;
        *last = Some(number);
        let key = keys::name(number);
        let record = record::seal(Kind::Name, &key, doc.as_str().as_bytes());
        batch.put(key, record);
        Ok(CatalogEntry::new(number))
    }

    /// The number for a new document: behind all others, and one under which nothing is stored. The latter only matters if
    /// the engine has lost a name, and then it keeps the new document from writing over another one.
    fn next_number(&self, doc: &DocId, last: Option<u64>) -> Result<u64, StoreError> {
        let wrong = |key: &[u8]| damaged(doc, "the last document number", key, Fault::Unexpected);
        let mut number = match last {
            Some(number) => number,
            None => match self.engine.last_key(&keys::name_range())? {
                Some(key) => keys::name_number(&key).ok_or_else(|| wrong(&key))?,
                None => 0,
            },
        };
        loop {
            number = number.checked_add(1).ok_or_else(|| wrong(&keys::name(number)))?;
            let log = self.engine.last_key(&keys::update_range(number, 0))?;
            let snapshots = self.engine.last_key(&keys::snapshot_ranges(number))?;
            if log.is_none() && snapshots.is_none() {
                return Ok(number);
            }
        }
    }
}

impl<E: Engine> DocumentStore for LocalStore<E> {
    fn load(&self, doc: &DocId) -> Result<Option<Stored>, StoreError> {
        let Some((entry, contents)) = self.contents(doc)? else {
            return match self.tombstone(doc)? {
                Some(_) => Err(StoreError::Deleted { doc: doc.clone() }),
                None => Ok(None),
            };
        };
        let dead = self.tombstone(doc)?.map(|tombstone| tombstone.clients).unwrap_or_default();
        Ok(Some(Stored {
            dead,
            epoch: entry.epoch,
            seq: entry.seq,
            snapshot: contents.snapshot,
            updates: contents.updates,
        }))
    }

    fn tail(&self, doc: &DocId, epoch: Epoch, after: Seq) -> Result<Tail, StoreError> {
        let doc = doc.clone();
        let Some((entry, contents)) = self.contents_after(&doc, Some(after))? else {
            return Err(match self.tombstone(&doc)? {
                Some(_) => StoreError::Deleted { doc },
                None => StoreError::NotFound { doc },
            });
        };
        if entry.epoch != epoch {
            return Err(StoreError::StaleEpoch { doc, stored: entry.epoch, given: epoch });
        }
        let parts = contents.snapshot.into_iter().chain(contents.updates).collect();
        Ok(Tail { seq: entry.seq, parts })
    }

    fn heads(&self, docs: &[DocId]) -> Result<Vec<Result<Option<Head>, StoreError>>, StoreError> {
        let keys: Vec<_> = docs.iter().map(keys::catalog).collect();
        let records = self.engine.values(&keys)?;
        let head = |((doc, key), record): ((&DocId, &Bytes), Option<Bytes>)| {
            let entry = record.map(|record| decoded(doc, key, record)).transpose()?;
            Ok(entry.map(|entry| Head { epoch: entry.epoch, seq: entry.seq }))
        };
        Ok(docs.iter().zip(&keys).zip(records).map(head).collect())
    }

    fn append(&self, batch: &[Append]) -> Result<Vec<Seq>, StoreError> {
        let _turn = self.catalog_turn.lock().unwrap_or_else(PoisonError::into_inner);
        let mut changes = Batch::new();
        let Touched { places, keys, mut entries } = self.touched(batch)?;
        let mut seqs = Vec::with_capacity(batch.len());
        let mut last_number = None;
        for (Append { doc, epoch, update }, place) in batch.iter().zip(places) {
            // Each place is one of an entry.
            let Some(entry) = entries.get_mut(place) else { continue };
            let entry = match entry {
                Some(entry) => entry,
                None if self.tombstone(doc)?.is_some() => {
                    return Err(StoreError::Deleted { doc: doc.clone() });
                }
                new => new.insert(self.new_entry(doc, &mut last_number, &mut changes)?),
            };
            if entry.epoch != *epoch {
                return Err(StoreError::StaleEpoch { doc: doc.clone(), stored: entry.epoch, given: *epoch });
            }
            entry.seq = Seq(entry.seq.0 + 1);
            entry.log_bytes += update.len() as u64;
            seqs.push(entry.seq);
            let (number, seq) = (entry.number, entry.seq.0);
            let cut = chunks::cut(Payload::Update, update, self.engine.chunk_bytes());
            for (key, record) in cut.records(|chunk| keys::update(number, seq, chunk)) {
                changes.put(key, record);
            }
        }
        for (key, entry) in keys.into_iter().zip(entries) {
            if let Some(entry) = entry {
                let record = entry.encode(&key);
                changes.put(key, record);
            }
        }
        if !changes.is_empty() {
            self.engine.commit(changes)?;
        }
        Ok(seqs)
    }

    fn compact(&self, doc: &DocId) -> Result<Compacted, StoreError> {
        let _turn = self.compaction_turn.lock().unwrap_or_else(PoisonError::into_inner);
        self.compact_alone(doc)
    }

    fn create(&self, doc: &DocId) -> Result<Created, StoreError> {
        self.create_document(doc)
    }

    fn delete(&self, doc: &DocId, now: SystemTime) -> Result<(), StoreError> {
        self.delete_document(doc, now)
    }

    fn sweep(&self, now: SystemTime) -> Result<Swept, StoreError> {
        self.sweep_dead(now)
    }

    fn info(&self, doc: &DocId) -> Result<Option<DocumentInfo>, StoreError> {
        Ok(self.catalog_entry(doc)?.map(|entry| entry.info(doc)))
    }

    fn list(&self, after: Option<&DocId>, limit: usize) -> Result<Vec<Listed>, StoreError> {
        let mut listed = Vec::new();
        // A page for what was asked for, not for the whole catalog.
        let page_bytes = limit.saturating_mul(LISTED_BYTES).min(engine::PAGE_BYTES);
        let mut entries = engine::entries_by(&self.engine, keys::catalog_range(after), page_bytes);
        while listed.len() < limit
            && let Some(entry) = entries.next()
        {
            let engine::Entry { key, value } = entry?;
            let Some(doc) = keys::catalog_doc(&key) else {
                // There is no document to report it under.
                tracing::error!(key = %Place { what: "catalog entry", key: (*key).into() }, "not a document's name");
                continue;
            };
            let info = match CatalogEntry::decode(&key, value) {
                Ok(entry) => Ok(entry.info(&doc)),
                Err(fault) => Err(damaged(&doc, "the catalog entry", &key, fault)),
            };
            listed.push(Listed { doc, info });
        }
        Ok(listed)
    }

    fn inspect(&self) -> &dyn Inspect {
        self
    }

    fn inboxes(&self) -> &dyn Inboxes {
        self
    }

    fn flush(&self) -> Result<(), StoreError> {
        Ok(self.engine.flush()?)
    }
}

impl<E: Engine> Inspect for LocalStore<E> {
    fn verify(&self, each: &mut dyn FnMut(Checked)) -> Result<(), StoreError> {
        self.check_all(each)
    }

    fn salvage(&self, doc: &DocId) -> Result<Option<Vec<Bytes>>, StoreError> {
        Ok(self.sound_parts(doc)?.map(|salvage| salvage.parts))
    }

    fn repair(&self, doc: &DocId) -> Result<Repaired, StoreError> {
        self.repair_document(doc)
    }

    fn whole(&self, doc: &DocId) -> Result<Option<Whole>, StoreError> {
        self.whole_of(doc)
    }

    fn put_whole(&self, doc: &DocId, whole: &Whole) -> Result<(), StoreError> {
        self.put_whole_of(doc, whole)
    }

    fn space(&self) -> Result<Option<Space>, StoreError> {
        let Some(disk) = self.engine.disk_bytes() else { return Ok(None) };
        let mut needed = 0;
        for entry in engine::entries(&self.engine, keys::catalog_range(None)) {
            let engine::Entry { key, value } = entry?;
            if let Ok(entry) = CatalogEntry::decode(&key, value) {
                let updates = entry.seq.0 - entry.snapshot_seq().0;
                needed += DOCUMENT_BYTES + updates * UPDATE_BYTES;
                needed += entry.log_bytes + entry.snapshot.map_or(0, |snapshot| snapshot.bytes);
            }
        }
        Ok(Some(Space { disk, needed }))
    }

    fn reclaim(&self) -> Result<(), StoreError> {
        Ok(self.engine.reclaim()?)
    }

    fn graves(&self, after: Option<&DocId>, limit: usize) -> Result<Vec<DocId>, StoreError> {
        let mut graves: Vec<DocId> = Vec::new();
        while graves.len() < limit
            && let Some(doc) = self.next_tombstone(graves.last().or(after))?
        {
            graves.push(doc);
        }
        Ok(graves)
    }
}

fn write_format<E: Engine>(engine: &E) -> Result<(), OpenError> {
    // Never over something that is there already: a store that has lost this one record is damaged, not new.
    let everything = engine::KeyRange { from: Vec::new(), to: vec![0xff] };
    if engine.last_key(&everything)?.is_some() {
        return Err(OpenError::Damaged(format_damage(Fault::Missing)));
    }
    let mut batch = Batch::new();
    let record = record::seal(Kind::Format, keys::FORMAT, &FORMAT.to_be_bytes());
    batch.put(keys::FORMAT.into(), record);
    Ok(engine.commit(batch)?)
}

fn read_format(record: Bytes) -> Result<u32, Fault> {
    let (_, payload) = record::open([Kind::Format], keys::FORMAT, record)?;
    payload.as_ref().try_into().map(u32::from_be_bytes).map_err(|_| Fault::Content)
}

fn format_damage(fault: Fault) -> Damage {
    Damage { place: Place { what: "the store's format", key: keys::FORMAT.into() }, fault }
}

fn decoded(doc: &DocId, key: &[u8], record: Bytes) -> Result<CatalogEntry, StoreError> {
    CatalogEntry::decode(key, record).map_err(|fault| damaged(doc, "the catalog entry", key, fault))
}

pub(crate) fn damaged(doc: &DocId, what: &'static str, key: &[u8], fault: Fault) -> StoreError {
    StoreError::Damaged { doc: doc.clone(), what: Damage { place: Place { what, key: key.into() }, fault } }
}

impl CatalogEntry {
    pub(crate) fn info(&self, doc: &DocId) -> DocumentInfo {
        DocumentInfo {
            doc: doc.clone(),
            epoch: self.epoch,
            seq: self.seq,
            snapshot_seq: self.snapshot_seq(),
            snapshot_bytes: self.snapshot.map_or(0, |snapshot| snapshot.bytes),
            log_len: self.seq.0 - self.snapshot_seq().0,
            log_bytes: self.log_bytes,
        }
    }

    /// A document before its first update.
    pub(crate) fn new(number: u64) -> Self {
        Self { number, epoch: Epoch::FIRST, seq: Seq(0), log_bytes: 0, snapshot: None }
    }
}

#[cfg(test)]
mod tests;
