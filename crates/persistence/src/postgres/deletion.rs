//! Making and deleting documents: a transaction each, so that nothing is ever left half done.

use std::time::{SystemTime, UNIX_EPOCH};

use quire_sync_protocol::DocId;

use super::Core;
use super::entry::{self, ENTRY_LOCKED, INSERT, expect_rows};
use super::failure::{Failure, signed};
use super::rows;
use super::tombstones;
use super::writing::Writing;
use crate::error::StoreError;
use crate::local::catalog::CatalogEntry;
use crate::local::deletion::{TOMBSTONE_STAYS, reached};
use crate::local::tombstone::Tombstone;
use crate::store::{Created, Epoch, Swept};

/// How often somebody else may make and delete the same document meanwhile.
const TRIES: u32 = 8;

const EXPIRED: &str =
    "SELECT name, record FROM quire.tombstones WHERE deleted <= $1 AND name > $2 ORDER BY name LIMIT 256";

const FORGET: &str = "DELETE FROM quire.tombstones WHERE name = $1 AND record = $2";

pub(super) async fn create(core: &Core, doc: &DocId) -> Result<Created, Failure> {
    for _ in 0..TRIES {
        let (mut writing, rows) = Writing::begin_with(core, ENTRY_LOCKED, &[&doc.as_str()]).await?;
        let result = async {
            if let Some(row) = rows.first() {
                let entry = entry::decoded(doc, row)?;
                return Ok(Some(Created { epoch: entry.epoch, is_new: false }));
            }
            let Some(mut entry) = insert(&mut writing, doc).await? else { return Ok(None) };
            if let Some(tombstone) = tombstones::of(&mut writing.lease, doc).await? {
                entry.epoch = Epoch(tombstone.epoch.0 + 1);
            }
            entry::put(&mut writing.lease, doc, &entry).await?;
            Ok(Some(Created { epoch: entry.epoch, is_new: true }))
        }
        .await;
        if let Some(created) = writing.settle(result).await? {
            return Ok(created);
        }
    }
    Err(Failure::Refused("the document is made and deleted all the time".to_owned()))
}

/// Takes a name; `None` if somebody else has just taken it.
pub(super) async fn insert(writing: &mut Writing, doc: &DocId) -> Result<Option<CatalogEntry>, Failure> {
    let row = writing.lease.row(INSERT, &[&[doc.as_str()].as_slice()]).await?;
    row.map(|row| Ok(CatalogEntry::new(entry::number(&row)?))).transpose()
}

pub(super) async fn delete(core: &Core, doc: &DocId, now: SystemTime) -> Result<(), Failure> {
    let (mut writing, rows) = Writing::begin_with(core, ENTRY_LOCKED, &[&doc.as_str()]).await?;
    let result = async {
        let connection = &mut *writing.lease;
        let before = match tombstones::of(connection, doc).await {
            Ok(tombstone) => tombstone,
            // A damaged one makes the document damaged; the new one takes its place.
            Err(Failure::Store(StoreError::Damaged { .. })) => None,
            Err(failure) => return Err(failure),
        };
        let Some(row) = rows.first() else {
            let doc = doc.clone();
            return Err(Failure::Store(match before {
                Some(_) => StoreError::Deleted { doc },
                None => StoreError::NotFound { doc },
            }));
        };
        let number = entry::number(row)?;
        let (parts, ..) = rows::sound_parts(connection, number).await?;
        let next = Epoch(before.as_ref().map_or(0, |before| before.epoch.0) + 1);
        let known = before.iter().flat_map(|before| before.clients.iter());
        let tombstone = Tombstone {
            number: None,
            epoch: entry::decoded(doc, row).map_or(next, |entry| entry.epoch),
            deleted: now.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs(),
            clients: tokio::task::block_in_place(|| reached(known, &parts)),
        };
        tombstones::put(connection, doc, &tombstone).await?;
        let number = signed(number)?;
        let gone = connection.execute("DELETE FROM quire.documents WHERE number = $1", &[&number]).await?;
        expect_rows(gone, 1)?;
        connection.execute("DELETE FROM quire.updates WHERE number = $1", &[&number]).await?;
        connection.execute("DELETE FROM quire.snapshots WHERE number = $1", &[&number]).await?;
        Ok(())
    }
    .await;
    writing.settle(result).await
}

pub(super) async fn sweep(core: &Core, now: SystemTime) -> Result<Swept, Failure> {
    let mut swept = Swept::default();
    let now = now.duration_since(UNIX_EPOCH).unwrap_or_default();
    let Some(until) = now.checked_sub(TOMBSTONE_STAYS) else { return Ok(swept) };
    let until = signed(until.as_secs())?;
    let mut after = String::new();
    loop {
        let (mut writing, rows) = Writing::begin_with(core, EXPIRED, &[&until, &after]).await?;
        let result = async {
            for row in &rows {
                let (name, record): (&str, &[u8]) = (row.try_get("name")?, row.try_get("record")?);
                name.clone_into(&mut after);
                let Ok(doc) = DocId::new(name) else { continue };
                match tombstones::decoded(&doc, record) {
                    Ok(_) => swept.expired += writing.lease.execute(FORGET, &[&name, &record]).await?,
                    Err(error) => tracing::warn!(%doc, %error, "a tombstone cannot be read and stays"),
                }
            }
            Ok(())
        }
        .await;
        writing.settle(result).await?;
        if rows.is_empty() {
            return Ok(swept);
        }
    }
}
