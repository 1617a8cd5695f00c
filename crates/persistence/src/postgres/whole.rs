//! Everything under one name put there at once, and a document made of what is sound of it.

use bytes::Bytes;
use quire_sync_protocol::{DocId, Replica, Update};

use super::Core;
use super::deletion::insert;
use super::entry::{self, ENTRY_LOCKED};
use super::failure::{Failure, signed};
use super::rows::{self, INSERT_SNAPSHOTS, INSERT_UPDATES, Rows};
use super::tombstones;
use super::writing::Writing;
use crate::error::{Fault, StoreError};
use crate::inspect::{Grave, Repaired, Whole};
use crate::keys;
use crate::local::catalog::{CatalogEntry, SnapshotEntry};
use crate::local::damaged;
use crate::local::tombstone::Tombstone;
use crate::store::Epoch;

pub(super) async fn put(core: &Core, doc: &DocId, whole: &Whole) -> Result<(), Failure> {
    let (mut writing, rows) = Writing::begin_with(core, ENTRY_LOCKED, &[&doc.as_str()]).await?;
    let result = async {
        let is_taken = !rows.is_empty() || tombstones::of(&mut writing.lease, doc).await?.is_some();
        let taken = || damaged(doc, "the catalog entry", &keys::catalog(doc), Fault::Unexpected);
        if is_taken {
            return Err(taken().into());
        }
        if let Some(grave) = &whole.tombstone {
            let Grave { epoch, deleted, clients } = grave.clone();
            let tombstone = Tombstone { number: None, epoch, deleted, clients };
            tombstones::put(&mut writing.lease, doc, &tombstone).await?;
        }
        let Some(stored) = &whole.document else { return Ok(()) };
        let Some(mut entry) = insert(&mut writing, doc).await? else { return Err(taken().into()) };
        let connection = &mut *writing.lease;
        let number = entry.number;
        entry.epoch = stored.epoch;
        entry.seq = stored.seq;
        entry.log_bytes = stored.updates.iter().map(|update| update.len() as u64).sum();
        entry.snapshot = stored.snapshot.as_ref().map(|snapshot| SnapshotEntry {
            generation: 1,
            seq: stored.snapshot_seq(),
            bytes: snapshot.len() as u64,
        });
        entry::put(connection, doc, &entry).await?;
        let mut rows = Rows::default();
        if let Some(snapshot) = &stored.snapshot {
            rows.add_snapshot(number, 1, snapshot)?;
            rows.insert(connection, INSERT_SNAPSHOTS).await?;
        }
        for (seq, update) in (stored.snapshot_seq().0 + 1..).zip(&stored.updates) {
            rows.add_update(number, seq, update)?;
            if rows.is_large() {
                rows.insert(connection, INSERT_UPDATES).await?;
            }
        }
        rows.insert(connection, INSERT_UPDATES).await
    }
    .await;
    writing.settle(result).await
}

/// The sound parts of a document; `None` if there is no row of it.
pub(super) async fn salvage(core: &Core, doc: &DocId) -> Result<Option<Vec<Bytes>>, Failure> {
    let (mut reading, row) = super::reading::Reading::begin(core, doc).await?;
    let result = async {
        let Some(row) = row else { return Ok(None) };
        let (parts, ..) = rows::sound_parts(&mut reading.0, entry::number(&row)?).await?;
        Ok(Some(parts))
    }
    .await;
    reading.settle(result).await
}

pub(super) async fn repair(core: &Core, doc: &DocId) -> Result<Repaired, Failure> {
    let (mut writing, rows) = Writing::begin_with(core, ENTRY_LOCKED, &[&doc.as_str()]).await?;
    let result = async {
        let connection = &mut *writing.lease;
        let Some(row) = rows.first() else { return Err(StoreError::NotFound { doc: doc.clone() }.into()) };
        let number = entry::number(row)?;
        let found = entry::decoded(doc, row).ok();
        let (parts, last, generation) = rows::sound_parts(connection, number).await?;
        let mut repaired = Repaired { kept: 0, bytes: 0 };
        let encoded = tokio::task::block_in_place(|| {
            let mut replica = Replica::new();
            for update in parts.iter().filter_map(|part| Update::parse(part.clone()).ok()) {
                replica.insert(&update);
                repaired.kept += 1;
            }
            replica.encode().bytes().clone()
        });
        repaired.bytes = encoded.len() as u64;
        let tombstone = tombstones::of(connection, doc).await?;
        let after_the_dead = tombstone.map_or(Epoch::FIRST, |tombstone| Epoch(tombstone.epoch.0 + 1));
        let seq = found.as_ref().map_or(last, |entry| entry.seq.max(last));
        let entry = CatalogEntry {
            number,
            epoch: found.map_or(after_the_dead, |entry| entry.epoch),
            seq,
            log_bytes: 0,
            snapshot: Some(SnapshotEntry { generation: generation + 1, seq, bytes: repaired.bytes }),
        };
        let number_column = signed(number)?;
        for sql in
            ["DELETE FROM quire.updates WHERE number = $1", "DELETE FROM quire.snapshots WHERE number = $1"]
        {
            connection.execute(sql, &[&number_column]).await?;
        }
        let mut chunks = Rows::default();
        chunks.add_snapshot(number, generation + 1, &encoded)?;
        chunks.insert(connection, INSERT_SNAPSHOTS).await?;
        entry::put(connection, doc, &entry).await?;
        Ok(repaired)
    }
    .await;
    writing.settle(result).await
}
