//! Reading documents, each in one transaction that sees one moment.

use quire_sync_protocol::{DocId, StateVector};

use super::Core;
use super::connection::{Connection, Values, within};
use super::entry::{self, ENTRY, select_entries};
use super::failure::Failure;
use super::pool::Lease;
use super::rows;
use super::tombstones;
use crate::error::StoreError;
use crate::inspect::{Grave, Whole};
use crate::local::catalog::CatalogEntry;
use crate::local::recovery::Contents;
use crate::store::{DocumentInfo, Epoch, Head, Listed, Seq, Stored, Tail};

const BEGIN: &str = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY";

/// A transaction that reads; everything in it is as at its beginning.
pub(super) struct Reading(pub(super) Lease);

impl Reading {
    /// Begins by reading the entry of a document.
    pub(super) async fn begin(
        core: &Core,
        doc: &DocId,
    ) -> Result<(Self, Option<tokio_postgres::Row>), Failure> {
        let mut lease = core.pool.lease().await?;
        let row = Self::begin_on(&mut lease, doc).await?;
        Ok((Self(lease), row))
    }

    /// The same on any connection. The transaction is to be ended by `COMMIT`.
    pub(super) async fn begin_on(
        connection: &mut Connection,
        doc: &DocId,
    ) -> Result<Option<tokio_postgres::Row>, Failure> {
        let entry = connection.prepared(ENTRY).await?;
        let (client, name) = (&connection.client, doc.as_str());
        let name: Values<'_> = &[&name];
        let ((), row) = within(async {
            tokio::try_join!(biased; client.batch_execute(BEGIN), client.query_opt(&entry, name))
        })
        .await?;
        Ok(row)
    }

    /// Ends it; the connection stays good where the database is not to blame for an error.
    pub(super) async fn settle<T>(self, result: Result<T, Failure>) -> Result<T, Failure> {
        if let Ok(_) | Err(Failure::Store(_)) = &result {
            self.0.batch("COMMIT").await?;
            self.0.release();
        }
        result
    }
}

pub(super) async fn load(core: &Core, doc: &DocId) -> Result<Option<Stored>, Failure> {
    match whole(core, doc).await? {
        None => Ok(None),
        Some(Whole { document: None, .. }) => Err(StoreError::Deleted { doc: doc.clone() }.into()),
        Some(Whole { document: Some(stored), tombstone }) => {
            let dead = tombstone.map(|grave| grave.clients).unwrap_or_default();
            Ok(Some(Stored { dead, ..stored }))
        }
    }
}

pub(super) async fn whole(core: &Core, doc: &DocId) -> Result<Option<Whole>, Failure> {
    let (mut reading, row) = Reading::begin(core, doc).await?;
    let result = async {
        let connection = &mut *reading.0;
        let document = match row {
            None => None,
            Some(row) => {
                let entry = entry::decoded(doc, &row)?;
                let contents = rows::contents(connection, doc, &entry, None).await?;
                Some(stored(&entry, contents))
            }
        };
        let tombstone = tombstones::of(connection, doc).await?.map(|tombstone| Grave {
            epoch: tombstone.epoch,
            deleted: tombstone.deleted,
            clients: tombstone.clients,
        });
        let is_there = document.is_some() || tombstone.is_some();
        Ok(is_there.then_some(Whole { document, tombstone }))
    }
    .await;
    reading.settle(result).await
}

fn stored(entry: &CatalogEntry, contents: Contents) -> Stored {
    let Contents { snapshot, updates, update_keys: _ } = contents;
    Stored { epoch: entry.epoch, seq: entry.seq, snapshot, updates, dead: StateVector::default() }
}

pub(super) async fn tail(core: &Core, doc: &DocId, epoch: Epoch, after: Seq) -> Result<Tail, Failure> {
    let (mut reading, row) = Reading::begin(core, doc).await?;
    let result = async {
        let connection = &mut *reading.0;
        let doc = doc.clone();
        let Some(row) = row else {
            return Err(Failure::Store(match tombstones::of(connection, &doc).await? {
                Some(_) => StoreError::Deleted { doc },
                None => StoreError::NotFound { doc },
            }));
        };
        let entry = entry::decoded(&doc, &row)?;
        if entry.epoch != epoch {
            return Err(StoreError::StaleEpoch { doc, stored: entry.epoch, given: epoch }.into());
        }
        let contents = rows::contents(connection, &doc, &entry, Some(after)).await?;
        let parts = contents.snapshot.into_iter().chain(contents.updates).collect();
        Ok(Tail { seq: entry.seq, parts })
    }
    .await;
    reading.settle(result).await
}

pub(super) async fn heads(
    core: &Core,
    docs: &[DocId],
) -> Result<Vec<Result<Option<Head>, StoreError>>, Failure> {
    let names: Vec<&str> = docs.iter().map(DocId::as_str).collect();
    let mut lease = core.pool.lease().await?;
    let rows = lease.rows(select_entries!("WHERE name = ANY ($1)"), &[&names]).await?;
    lease.release();
    let mut found = std::collections::HashMap::new();
    for row in &rows {
        found.insert(row.try_get::<_, &str>("name")?, row);
    }
    let head = |doc: &DocId| match found.get(doc.as_str()) {
        Some(row) => entry::decoded(doc, row).map(|entry| Some(Head { epoch: entry.epoch, seq: entry.seq })),
        None => Ok(None),
    };
    Ok(docs.iter().map(head).collect())
}

pub(super) async fn info(core: &Core, doc: &DocId) -> Result<Option<DocumentInfo>, Failure> {
    let mut lease = core.pool.lease().await?;
    let row = lease.row(ENTRY, &[&doc.as_str()]).await?;
    lease.release();
    Ok(row.map(|row| entry::decoded(doc, &row)).transpose()?.map(|entry| entry.info(doc)))
}

pub(super) async fn list(core: &Core, after: Option<&DocId>, limit: usize) -> Result<Vec<Listed>, Failure> {
    let mut lease = core.pool.lease().await?;
    let mut listed: Vec<Listed> = Vec::new();
    // No name is empty, so that all of them lie behind that.
    let mut after = after.map(|after| after.as_str().to_owned()).unwrap_or_default();
    while listed.len() < limit {
        let page = i64::try_from(limit - listed.len()).unwrap_or(i64::MAX);
        let sql = select_entries!("WHERE name > $1 ORDER BY name LIMIT $2");
        let rows = lease.rows(sql, &[&after, &page]).await?;
        let is_last = i64::try_from(rows.len()).is_ok_and(|rows| rows < page);
        if let Some(row) = rows.last() {
            row.try_get::<_, &str>("name")?.clone_into(&mut after);
        }
        for row in &rows {
            if let Some((doc, entry)) = entry::listed(row)? {
                listed.push(Listed { info: entry.map(|entry| entry.info(&doc)), doc });
            }
        }
        if is_last {
            break;
        }
    }
    lease.release();
    Ok(listed)
}
