//! The row of a document: its entry in the catalog.

use quire_sync_protocol::DocId;
use tokio_postgres::Row;

use super::connection::{Connection, Values};
use super::failure::{Failure, signed};
use crate::error::{Fault, StoreError};
use crate::keys;
use crate::local::catalog::{CatalogEntry, SnapshotEntry};
use crate::local::damaged;
use crate::store::{Epoch, Seq};

/// The columns that [`decoded`] reads, in a query for documents. A macro, since statements are put together when they are compiled.
macro_rules! select_entries {
    ($rest:literal) => {
        concat!(
            "SELECT number, name, epoch, seq, log_bytes, generation, snapshot_seq, snapshot_bytes, crc \
             FROM quire.documents ",
            $rest
        )
    };
}
pub(super) use select_entries;

/// One document.
pub(super) const ENTRY: &str = select_entries!("WHERE name = $1");

/// One document, which nobody else changes until the transaction ends.
pub(super) const ENTRY_LOCKED: &str = select_entries!("WHERE name = $1 FOR NO KEY UPDATE");

/// A name without anything; nothing happens if it is there. Waits for a transaction that is about to put it there.
pub(super) const INSERT: &str = "INSERT INTO quire.documents \
    (name, epoch, seq, log_bytes, generation, snapshot_seq, snapshot_bytes, crc) \
    SELECT name, 1, 0, 0, 0, 0, 0, 0 FROM unnest($1::text[]) AS new (name) ORDER BY name COLLATE \"C\" \
    ON CONFLICT (name) DO NOTHING RETURNING number, name";

const UPDATE: &str = "UPDATE quire.documents SET epoch = $2, seq = $3, log_bytes = $4, generation = $5, \
    snapshot_seq = $6, snapshot_bytes = $7, crc = $8 WHERE number = $1";

const WHAT: &str = "the catalog entry";

/// The entry in a row, if it is what was written.
pub(super) fn decoded(doc: &DocId, row: &Row) -> Result<CatalogEntry, StoreError> {
    let key = keys::catalog(doc);
    let entry = read(row).and_then(|(entry, crc)| {
        let record = entry.encode(&key);
        if crc != i64::from(checksum(&record)) {
            return Err(Fault::Checksum);
        }
        // What no program writes is refused in one place.
        CatalogEntry::decode(&key, record)
    });
    entry.map_err(|fault| damaged(doc, WHAT, &key, fault))
}

/// A name with its entry, or with what is wrong with that.
type Named = (DocId, Result<CatalogEntry, StoreError>);

/// The name and the entry in a row; `None` if no document can have this name.
pub(super) fn listed(row: &Row) -> Result<Option<Named>, Failure> {
    let name: &str = row.try_get("name")?;
    let Ok(doc) = DocId::new(name) else {
        // There is no document to report it under.
        tracing::error!(?name, "a row of quire.documents has no document's name");
        return Ok(None);
    };
    let entry = decoded(&doc, row);
    Ok(Some((doc, entry)))
}

/// The number in a row, which stands for the document whatever else is damaged.
pub(super) fn number(row: &Row) -> Result<u64, Failure> {
    let number: i64 = row.try_get("number")?;
    u64::try_from(number).map_err(|_| Failure::Refused("a document has a negative number".to_owned()))
}

fn read(row: &Row) -> Result<(CatalogEntry, i64), Fault> {
    let column = |name: &str| -> Result<u64, Fault> {
        row.try_get::<_, i64>(name).ok().and_then(|value| u64::try_from(value).ok()).ok_or(Fault::Content)
    };
    let generation = column("generation")?;
    let snapshot =
        SnapshotEntry { generation, seq: Seq(column("snapshot_seq")?), bytes: column("snapshot_bytes")? };
    let entry = CatalogEntry {
        number: column("number")?,
        epoch: Epoch(column("epoch")?),
        seq: Seq(column("seq")?),
        log_bytes: column("log_bytes")?,
        snapshot: (generation > 0).then_some(snapshot),
    };
    Ok((entry, row.try_get("crc").map_err(|_| Fault::Content)?))
}

/// Writes all of an entry. The transaction has the row locked.
pub(super) async fn put(
    connection: &mut Connection,
    doc: &DocId,
    entry: &CatalogEntry,
) -> Result<(), Failure> {
    let (generation, snapshot_seq, snapshot_bytes) =
        entry.snapshot.map_or((0, 0, 0), |snapshot| (snapshot.generation, snapshot.seq.0, snapshot.bytes));
    let (number, epoch, seq) = (signed(entry.number)?, signed(entry.epoch.0)?, signed(entry.seq.0)?);
    let (log_bytes, generation) = (signed(entry.log_bytes)?, signed(generation)?);
    let (snapshot_seq, snapshot_bytes) = (signed(snapshot_seq)?, signed(snapshot_bytes)?);
    let crc = crc(doc, entry);
    let values: Values<'_> =
        &[&number, &epoch, &seq, &log_bytes, &generation, &snapshot_seq, &snapshot_bytes, &crc];
    expect_rows(connection.execute(UPDATE, values).await?, 1)
}

/// The checksum that the entry would have as a record.
pub(super) fn crc(doc: &DocId, entry: &CatalogEntry) -> i64 {
    i64::from(checksum(&entry.encode(&keys::catalog(doc))))
}

fn checksum(record: &[u8]) -> u32 {
    // A record begins with version, kind, length and checksum.
    let bytes = record.get(6..10).and_then(|bytes| bytes.try_into().ok());
    bytes.map_or(0, u32::from_be_bytes)
}

/// A statement has to concern just so many rows: other numbers mean that the lock was not what it is taken for.
pub(super) fn expect_rows(found: u64, expected: u64) -> Result<(), Failure> {
    if found == expected {
        Ok(())
    } else {
        Err(Failure::Refused(format!("{expected} rows were to change, and {found} did")))
    }
}
