//! Turning snapshot and log into one new snapshot, while others append to the same document.
//!
//! 1. A lock on the document's compaction is taken, which only one node has; without it there is nothing to do here.
//! 2. The document is read in one transaction, and the new snapshot encoded, parsed again and compared.
//! 3. A second transaction, on the connection that holds the lock, writes the new snapshot, reads it back and compares it; then
//!    it locks the document's row, sees that snapshot, epoch and number are still what was read, makes the row speak of the new
//!    snapshot and deletes what that covers.
//!
//! Whatever ends it before the commit leaves the document as it was, and nothing beside it. A node that was paused and has lost lock or connection
//! has lost its transaction with them; and were it not so, the row would tell it that it comes too late.

use bytes::Bytes;
use quire_sync_protocol::DocId;

use super::Core;
use super::entry::{self, ENTRY, ENTRY_LOCKED, expect_rows};
use super::failure::{Failure, signed};
use super::locks::Lock;
use super::pool::Lease;
use super::reading::Reading;
use super::rows::{self, INSERT_SNAPSHOTS, Rows};
use super::writing::Writing;
use crate::error::StoreError;
use crate::local::catalog::{CatalogEntry, SnapshotEntry};
use crate::local::recovery::Contents;
use crate::store::Compacted;

const DELETE_UPDATES: &str = "DELETE FROM quire.updates WHERE number = $1 AND seq <= $2";

const DELETE_SNAPSHOTS: &str = "DELETE FROM quire.snapshots WHERE number = $1 AND generation <> $2";

/// A compaction that has read its document.
pub(super) struct Begun {
    lease: Lease,
    pub(super) entry: CatalogEntry,
    pub(super) contents: Contents,
}

/// How a compaction begins.
pub(super) enum Beginning {
    /// There is something to do.
    Begun(Box<Begun>),
    /// There is nothing to do, or somebody else does it.
    Done(Compacted),
}

/// Takes the lock and reads the document.
pub(super) async fn begin(core: &Core, doc: &DocId) -> Result<Beginning, Failure> {
    let mut lease = core.pool.lease().await?;
    let row = lease.row(ENTRY, &[&doc.as_str()]).await?;
    let Some(row) = row else {
        lease.release();
        return Err(StoreError::NotFound { doc: doc.clone() }.into());
    };
    let number = entry::number(&row)?;
    let (first, second) = Lock::Compaction(number).key();
    let locked = lease.row("SELECT pg_try_advisory_lock($1, $2)", &[&first, &second]).await?;
    let locked: Option<bool> = locked.map(|row| row.try_get(0)).transpose()?;
    if locked != Some(true) {
        lease.release();
        return Ok(Beginning::Done(untouched(&entry::decoded(doc, &row)?)));
    }
    let row = Reading::begin_on(&mut lease, doc).await?;
    let read = async {
        let Some(row) = row else { return Err(StoreError::NotFound { doc: doc.clone() }.into()) };
        let entry = entry::decoded(doc, &row)?;
        let contents = rows::contents(&mut lease, doc, &entry, None).await?;
        Ok((entry, contents))
    }
    .await;
    if matches!(read, Ok(_) | Err(Failure::Store(_))) {
        lease.batch("COMMIT").await?;
    }
    match read {
        Ok((entry, contents)) if contents.updates.is_empty() => {
            end(lease, number).await?;
            Ok(Beginning::Done(untouched(&entry)))
        }
        Ok((entry, contents)) => Ok(Beginning::Begun(Box::new(Begun { lease, entry, contents }))),
        // The lock goes with the connection.
        Err(failure) => Err(failure),
    }
}

fn untouched(entry: &CatalogEntry) -> Compacted {
    let bytes = entry.snapshot.map_or(0, |snapshot| snapshot.bytes);
    Compacted { seq: entry.snapshot_seq(), updates: 0, bytes_before: bytes, bytes_after: bytes }
}

/// What the new snapshot stands for.
pub(super) struct Made {
    pub(super) lease: Lease,
    pub(super) entry: CatalogEntry,
    pub(super) encoded: Bytes,
    pub(super) covered: u64,
    pub(super) covered_bytes: u64,
}

/// Encodes the new snapshot. Takes its time, and no database.
pub(super) fn make(doc: &DocId, begun: Begun) -> Result<Made, StoreError> {
    let Begun { lease, entry, contents } = begun;
    let covered = contents.updates.len() as u64;
    let covered_bytes = contents.updates.iter().map(|update| update.len() as u64).sum();
    let (encoded, _) = crate::local::compaction::encoded(doc, &entry, contents)?;
    Ok(Made { lease, entry, encoded, covered, covered_bytes })
}

/// Puts the new snapshot in the place of what it stands for, unless that has changed.
pub(super) async fn switch(core: &Core, doc: &DocId, made: Made) -> Result<Compacted, Failure> {
    let Made { lease, entry: before, encoded, covered, covered_bytes } = made;
    let number = before.number;
    let snapshot = SnapshotEntry {
        generation: before.snapshot.map_or(0, |snapshot| snapshot.generation) + 1,
        seq: before.seq,
        bytes: encoded.len() as u64,
    };
    let (mut writing, _) = Writing::begin_on(core, lease, "SELECT 1", &[]).await?;
    let connection = &mut *writing.lease;
    let mut chunks = Rows::default();
    chunks.add_snapshot(number, snapshot.generation, &encoded)?;
    // Those of a compaction that did not come to its end were never committed; but nothing may be in the way.
    connection
        .execute(
            "DELETE FROM quire.snapshots WHERE number = $1 AND generation = $2",
            &[&signed(number)?, &signed(snapshot.generation)?],
        )
        .await?;
    chunks.insert(connection, INSERT_SNAPSHOTS).await?;
    if rows::snapshot_of(connection, doc, number, &snapshot).await? != encoded {
        return Err(StoreError::SnapshotDiffers { doc: doc.clone() }.into());
    }
    drop(encoded);
    let row = connection.row(ENTRY_LOCKED, &[&doc.as_str()]).await?;
    let now = row.map(|row| entry::decoded(doc, &row)).transpose()?;
    let Some(mut entry) = now.filter(|now| now.number == number) else {
        return Err(StoreError::NotFound { doc: doc.clone() }.into());
    };
    if entry.epoch != before.epoch {
        let (stored, given) = (entry.epoch, before.epoch);
        return Err(StoreError::StaleEpoch { doc: doc.clone(), stored, given }.into());
    }
    if entry.snapshot != before.snapshot {
        // Somebody else has compacted it meanwhile.
        writing.lease.batch("ROLLBACK").await?;
        end(writing.lease, number).await?;
        return Ok(untouched(&entry));
    }
    entry.snapshot = Some(snapshot);
    entry.log_bytes = entry.log_bytes.saturating_sub(covered_bytes);
    entry::put(connection, doc, &entry).await?;
    let deleted = connection.execute(DELETE_UPDATES, &[&signed(number)?, &signed(snapshot.seq.0)?]).await?;
    if deleted < covered {
        expect_rows(deleted, covered)?;
    }
    connection.execute(DELETE_SNAPSHOTS, &[&signed(number)?, &signed(snapshot.generation)?]).await?;
    connection.batch("COMMIT").await?;
    // It is done; a lock that cannot be let go of goes with its connection.
    let _ = end(writing.lease, number).await;
    Ok(Compacted {
        seq: snapshot.seq,
        updates: covered,
        bytes_before: before.snapshot.map_or(0, |snapshot| snapshot.bytes) + covered_bytes,
        bytes_after: snapshot.bytes,
    })
}

/// Lets go of the lock, and gives the connection back.
async fn end(mut lease: Lease, number: u64) -> Result<(), Failure> {
    let (first, second) = Lock::Compaction(number).key();
    lease.execute("SELECT pg_advisory_unlock($1, $2)", &[&first, &second]).await?;
    lease.release();
    Ok(())
}
