//! Tombstones as rows: one record each, as FORMAT.md describes it.

use bytes::Bytes;
use quire_sync_protocol::DocId;

use super::connection::Connection;
use super::failure::{Failure, signed};
use crate::error::StoreError;
use crate::keys;
use crate::local::chunks::{self, Joined, Payload};
use crate::local::damaged;
use crate::local::tombstone::{TOMBSTONE, Tombstone};

/// The tombstone of a document.
pub(super) const SELECT: &str = "SELECT record FROM quire.tombstones WHERE name = $1";

const PUT: &str = "INSERT INTO quire.tombstones (name, deleted, record) VALUES ($1, $2, $3) \
    ON CONFLICT (name) DO UPDATE SET deleted = EXCLUDED.deleted, record = EXCLUDED.record";

/// The tombstone of this name, whether there is a living document of the name or not.
pub(super) async fn of(connection: &mut Connection, doc: &DocId) -> Result<Option<Tombstone>, Failure> {
    let row = connection.row(SELECT, &[&doc.as_str()]).await?;
    let Some(row) = row else { return Ok(None) };
    Ok(Some(decoded(doc, row.try_get(0)?)?))
}

pub(super) fn decoded(doc: &DocId, record: &[u8]) -> Result<Tombstone, StoreError> {
    let key = keys::tombstone(doc, 0);
    let payload = Joined::new(Payload::Tombstone).add(&key, Bytes::copy_from_slice(record));
    let tombstone = payload.and_then(|payload| {
        // A chunk that another one follows is none: a tombstone is one record here.
        Tombstone::decode(&payload.ok_or(crate::error::Fault::Kind(9))?)
    });
    tombstone.map_err(|fault| damaged(doc, TOMBSTONE, &key, fault))
}

/// Puts a tombstone in the place of whatever stands under its name.
pub(super) async fn put(
    connection: &mut Connection,
    doc: &DocId,
    tombstone: &Tombstone,
) -> Result<(), Failure> {
    let payload = tombstone.encode();
    let cut = chunks::cut(Payload::Tombstone, &payload, usize::MAX);
    for (_, record) in cut.records(|chunk| keys::tombstone(doc, chunk)) {
        let values = (doc.as_str(), signed(tombstone.deleted)?, &*record);
        connection.execute(PUT, &[&values.0, &values.1, &values.2]).await?;
    }
    Ok(())
}
