//! Looking at everything that is stored.

use quire_sync_protocol::{DocId, Update};

use super::Core;
use super::entry;
use super::failure::Failure;
use super::inbox;
use super::reading::Reading;
use super::rows;
use super::tombstones;
use crate::error::{Damage, Fault, Place, StoreError};
use crate::inspect::Checked;
use crate::keys;
use crate::store::Seq;

/// Rows that belong to no document, the first of each number. As many are looked for as a person would read.
const STRAYS: [(&str, &str); 2] = [
    (
        "an update",
        "SELECT number, min(seq) FROM quire.updates AS rest WHERE NOT EXISTS \
         (SELECT FROM quire.documents AS known WHERE known.number = rest.number) GROUP BY number LIMIT 100",
    ),
    (
        "a snapshot",
        "SELECT number, min(generation) FROM quire.snapshots AS rest WHERE NOT EXISTS \
         (SELECT FROM quire.documents AS known WHERE known.number = rest.number) GROUP BY number LIMIT 100",
    ),
];

const GRAVES: &str = "SELECT name FROM quire.tombstones WHERE name > $1 ORDER BY name LIMIT $2";

/// A document, with its tombstone; `None` if it was deleted meanwhile.
pub(super) async fn document(core: &Core, doc: &DocId) -> Result<Option<Checked>, Failure> {
    let (mut reading, row) = Reading::begin(core, doc).await?;
    let result = async {
        let Some(row) = row else { return Ok(None) };
        let entry = entry::decoded(doc, &row)?;
        let contents = rows::contents(&mut reading.0, doc, &entry, None).await?;
        let first = entry.snapshot_seq().0 + u64::from(entry.snapshot.is_none());
        let mut bytes = 0;
        for (seq, update) in (first..).zip(contents.snapshot.iter().chain(&contents.updates)) {
            bytes += update.len() as u64;
            let parsed = tokio::task::block_in_place(|| Update::parse(update.clone()));
            let wrong = |source| StoreError::NotAnUpdate { doc: doc.clone(), seq: Seq(seq), source };
            parsed.map_err(wrong)?;
        }
        tombstones::of(&mut reading.0, doc).await?;
        Ok(Some(bytes))
    }
    .await;
    match reading.settle(result).await {
        Ok(bytes) => Ok(bytes.map(|bytes| Checked::Sound { doc: doc.clone(), bytes })),
        Err(Failure::Store(error)) if error.doc().is_some() => {
            Ok(Some(Checked::Damaged { doc: doc.clone(), error }))
        }
        Err(failure) => Err(failure),
    }
}

/// The tombstone of a document that is not there.
pub(super) async fn tombstone(core: &Core, doc: &DocId) -> Result<Option<Checked>, Failure> {
    let (mut reading, row) = Reading::begin(core, doc).await?;
    let result = match row {
        Some(_) => Ok(()),
        None => tombstones::of(&mut reading.0, doc).await.map(drop),
    };
    match reading.settle(result).await {
        Ok(()) => Ok(None),
        Err(Failure::Store(error)) => Ok(Some(Checked::Damaged { doc: doc.clone(), error })),
        Err(failure) => Err(failure),
    }
}

/// What belongs to no document, and inboxes.
pub(super) async fn rest(core: &Core) -> Result<Vec<Checked>, Failure> {
    let mut lease = core.pool.lease().await?;
    let mut strays = Vec::new();
    for (what, sql) in STRAYS {
        for row in lease.rows(sql, &[]).await? {
            let (number, major): (i64, i64) = (row.try_get(0)?, row.try_get(1)?);
            let place = [number, major].map(|part| u64::try_from(part).unwrap_or(u64::MAX));
            let [number, major] = place;
            let key = if what == "an update" { keys::update } else { keys::snapshot }(number, major, 0);
            let place = Place { what, key: (*key).into() };
            strays.push(Checked::Stray(Damage { place, fault: Fault::Unexpected }));
        }
    }
    inbox::check(&mut lease, &mut strays).await?;
    lease.release();
    Ok(strays)
}

pub(super) async fn graves(core: &Core, after: Option<&DocId>, limit: usize) -> Result<Vec<DocId>, Failure> {
    let mut lease = core.pool.lease().await?;
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let rows = lease.rows(GRAVES, &[&after.map_or("", DocId::as_str), &limit]).await?;
    lease.release();
    // A name that no document can have was not written by this program.
    rows.iter()
        .map(|row| row.try_get(0))
        .filter_map(|name| match name {
            Ok(name) => DocId::new(name).ok().map(Ok),
            Err(error) => Some(Err(Failure::from(error))),
        })
        .collect()
}
