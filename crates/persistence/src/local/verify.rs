//! Looking at everything that is stored.
//!
//! Every record is read, and every document put together as a load would. Besides, what no document speaks of is looked for:
//! it takes space, or it is what a lost catalog entry has left behind.

use quire_sync_protocol::{DocId, Update};

use super::LocalStore;
use crate::engine::{self, Engine, Entry, KeyRange};
use crate::error::{Damage, Fault, Place, StoreError};
use crate::inspect::Checked;
use crate::keys;
use crate::record::{self, Kind};
use crate::store::Seq;

/// Records of unknown kinds that are told, in each place where there may be some.
const STRAYS: usize = 10;

impl<E: Engine> LocalStore<E> {
    pub(super) fn check_all(&self, each: &mut dyn FnMut(Checked)) -> Result<(), StoreError> {
        for entry in engine::entries(&self.engine, keys::catalog_range(None)) {
            let Entry { key, .. } = entry?;
            match keys::catalog_doc(&key) {
                Some(doc) => self.check(doc, each)?,
                None => each(stray("a catalog entry", &key, Fault::Unexpected)),
            }
        }
        self.check_tombstones(each)?;
        self.check_names(each)?;
        self.check_numbers(keys::all_updates(), "an update", each)?;
        self.check_numbers(keys::all_snapshots(), "a snapshot", each)?;
        self.check_inboxes(each)?;
        for range in keys::reserved() {
            for key in self.engine.keys(&range, STRAYS)? {
                each(stray("a record of an unknown kind", &key, Fault::Unexpected));
            }
        }
        Ok(())
    }

    fn check(&self, doc: DocId, each: &mut dyn FnMut(Checked)) -> Result<(), StoreError> {
        match self.sound_bytes(&doc) {
            // It was deleted meanwhile.
            Ok(None) => {}
            Ok(Some(bytes)) => each(Checked::Sound { doc, bytes }),
            Err(error) if error.doc().is_some() => each(Checked::Damaged { doc, error }),
            Err(error) => return Err(error),
        }
        Ok(())
    }

    /// The size of a document all of which is sound: its records, and the updates in them.
    fn sound_bytes(&self, doc: &DocId) -> Result<Option<u64>, StoreError> {
        let Some((entry, contents)) = self.contents(doc)? else { return Ok(None) };
        let first = entry.snapshot_seq().0;
        let mut bytes = 0;
        for (seq, update) in (first..).zip(contents.snapshot.iter().chain(&contents.updates)) {
            bytes += update.len() as u64;
            // Without a snapshot the first update comes behind `first`.
            let seq = Seq(seq + u64::from(entry.snapshot.is_none()));
            Update::parse(update.clone()).map_err(|source| StoreError::NotAnUpdate {
                doc: doc.clone(),
                seq,
                source,
            })?;
        }
        let key = keys::name(entry.number);
        let name = self.engine.value(&key)?.map(|record| record::open([Kind::Name], &key, record));
        let fault = match name {
            Some(Ok((_, name))) if name == doc.as_str().as_bytes() => None,
            Some(Ok(_)) => Some(Fault::Content),
            Some(Err(fault)) => Some(fault),
            None => Some(Fault::Missing),
        };
        if let Some(fault) = fault {
            // Unless it was deleted meanwhile.
            if self.catalog_entry(doc)?.is_some_and(|now| now.number == entry.number) {
                return Err(super::damaged(doc, "the name", &key, fault));
            }
        }
        self.tombstone(doc)?;
        Ok(Some(bytes))
    }

    fn check_tombstones(&self, each: &mut dyn FnMut(Checked)) -> Result<(), StoreError> {
        let mut range = keys::tombstones_range(None);
        while let Some(key) = self.engine.keys(&range, 1)?.pop() {
            let Some((doc, _)) = keys::tombstone_place(&key) else {
                each(stray("a tombstone", &key, Fault::Unexpected));
                range = range.after(&key);
                continue;
            };
            range = keys::tombstones_range(Some(&doc));
            // A document that is there has been looked at with its tombstone.
            if self.engine.value(&keys::catalog(&doc))?.is_none() {
                match self.tombstone(&doc) {
                    Ok(_) => {}
                    Err(error) if error.doc().is_some() => each(Checked::Damaged { doc, error }),
                    Err(error) => return Err(error),
                }
            }
        }
        Ok(())
    }

    /// Each name belongs to a document, or to one whose bytes have not gone yet.
    fn check_names(&self, each: &mut dyn FnMut(Checked)) -> Result<(), StoreError> {
        for entry in engine::entries(&self.engine, keys::name_range()) {
            let Entry { key, value } = entry?;
            let name = record::open([Kind::Name], &key, value);
            let doc = name.ok().and_then(|(_, name)| DocId::new(str::from_utf8(&name).ok()?).ok());
            let (Some(doc), Some(number)) = (doc, keys::name_number(&key)) else {
                // The document that it belongs to says so as well; without one nobody else does.
                each(stray("a name", &key, Fault::Content));
                continue;
            };
            let is_living = match self.catalog_entry(&doc) {
                Ok(entry) => entry.is_some_and(|entry| entry.number == number),
                // The document was reported.
                Err(error) if error.doc().is_some() => true,
                Err(error) => return Err(error),
            };
            let is_dying = || match self.tombstone(&doc) {
                Ok(tombstone) => Ok(tombstone.is_some_and(|tombstone| tombstone.number == Some(number))),
                Err(error) if error.doc().is_some() => Ok(true),
                Err(error) => Err(error),
            };
            if !is_living && !is_dying()? {
                each(Checked::Damaged {
                    error: super::damaged(&doc, "the catalog entry", &keys::catalog(&doc), Fault::Missing),
                    doc,
                });
            }
        }
        Ok(())
    }

    /// Everything in this keyspace belongs to a number that has a name.
    fn check_numbers(
        &self,
        mut range: KeyRange,
        what: &'static str,
        each: &mut dyn FnMut(Checked),
    ) -> Result<(), StoreError> {
        while let Some(key) = self.engine.keys(&range, 1)?.pop() {
            if let Some(number) = keys::number(&key) {
                if self.engine.value(&keys::name(number))?.is_none() {
                    each(stray(what, &key, Fault::Unexpected));
                }
                range.from = keys::after_number(&key);
            } else {
                each(stray(what, &key, Fault::Unexpected));
                range = range.after(&key);
            }
        }
        Ok(())
    }
}

fn stray(what: &'static str, key: &[u8], fault: Fault) -> Checked {
    Checked::Stray(Damage { place: Place { what, key: key.into() }, fault })
}
