//! Appending: one transaction for the whole batch, in two round trips where all documents are there already.
//!
//! Deadlocks are excluded. Rows that are there are locked in the order of their names, and names that are not are put there in that
//! order after that. Only transactions that are putting names wait for names being put, and those wait for each other in one order;
//! and who finds that somebody else has just put a name begins anew, with all rows there, instead of locking it out of order.

use std::collections::{BTreeMap, BTreeSet};

use quire_sync_protocol::DocId;
use tokio_postgres::Row;

use super::Core;
use super::connection::{Values, within};
use super::entry::{self, INSERT, expect_rows, select_entries};
use super::failure::{Failure, signed};
use super::rows::{INSERT_UPDATES, Rows};
use super::tombstones;
use super::writing::Writing;
use crate::error::StoreError;
use crate::local::catalog::CatalogEntry;
use crate::store::{Append, Seq};

const LOCKED: &str = select_entries!("WHERE name = ANY ($1) ORDER BY name FOR NO KEY UPDATE");

const TOMBSTONES: &str = "SELECT name, record FROM quire.tombstones WHERE name = ANY ($1)";

const UPDATE: &str = "UPDATE quire.documents AS old SET seq = new.seq, log_bytes = new.log_bytes, crc = new.crc \
    FROM unnest($1::bigint[], $2::bigint[], $3::bigint[], $4::bigint[]) AS new (number, seq, log_bytes, crc) \
    WHERE old.number = new.number";

/// How often others may put the same names first. More would mean that they are deleted as often.
const TRIES: u32 = 8;

type Entries<'a> = BTreeMap<&'a DocId, CatalogEntry>;

pub(super) async fn append(core: &Core, batch: &[Append]) -> Result<Vec<Seq>, Failure> {
    if batch.is_empty() {
        return Ok(Vec::new());
    }
    let docs: BTreeSet<&DocId> = batch.iter().map(|append| &append.doc).collect();
    let names: Vec<&str> = docs.iter().map(|doc| doc.as_str()).collect();
    for _ in 0..TRIES {
        let (mut writing, rows) = Writing::begin_with(core, LOCKED, &[&names]).await?;
        match entries(&mut writing, &docs, &rows).await {
            Ok(Some(entries)) => match Change::of(batch, entries) {
                Ok(change) => return change.write(writing).await,
                Err(error) => return writing.settle(Err(error)).await,
            },
            Ok(None) => writing.roll_back().await?,
            Err(error) => return writing.settle(Err(error)).await,
        }
    }
    Err(Failure::Refused("the documents are made and deleted all the time".to_owned()))
}

/// The entries of all documents, whose rows are locked now; `None` if somebody else has made one of them meanwhile.
async fn entries<'a>(
    writing: &mut Writing,
    docs: &BTreeSet<&'a DocId>,
    rows: &[Row],
) -> Result<Option<Entries<'a>>, Failure> {
    let mut entries = Entries::new();
    for row in rows {
        let name: &str = row.try_get("name")?;
        if let Some(doc) = docs.iter().find(|doc| doc.as_str() == name) {
            entries.insert(doc, entry::decoded(doc, row)?);
        }
    }
    let new: Vec<&DocId> = docs.iter().copied().filter(|doc| !entries.contains_key(doc)).collect();
    if new.is_empty() {
        return Ok(Some(entries));
    }
    let names: Vec<&str> = new.iter().map(|doc| doc.as_str()).collect();
    let connection = &mut *writing.lease;
    let (insert, graves) = (connection.prepared(INSERT).await?, connection.prepared(TOMBSTONES).await?);
    let client = &connection.client;
    // Tombstones are looked for when the names are taken: nobody can make and delete these documents any more.
    let (inserted, graves) = within(async {
        let names: Values<'_> = &[&names];
        tokio::try_join!(biased; client.query(&insert, names), client.query(&graves, names))
    })
    .await?;
    for row in graves {
        let name: &str = row.try_get("name")?;
        if let Some(doc) = new.iter().find(|doc| doc.as_str() == name) {
            tombstones::decoded(doc, row.try_get("record")?)?;
            return Err(StoreError::Deleted { doc: (*doc).clone() }.into());
        }
    }
    if inserted.len() < new.len() {
        return Ok(None);
    }
    for row in &inserted {
        let name: &str = row.try_get("name")?;
        if let Some(doc) = new.iter().find(|doc| doc.as_str() == name) {
            entries.insert(doc, CatalogEntry::new(entry::number(row)?));
        }
    }
    Ok(Some(entries))
}

/// What an append comes to.
struct Change<'a> {
    entries: Entries<'a>,
    rows: Rows,
    seqs: Vec<Seq>,
}

impl<'a> Change<'a> {
    fn of(batch: &'a [Append], mut entries: Entries<'a>) -> Result<Self, Failure> {
        let (mut rows, mut seqs) = (Rows::default(), Vec::with_capacity(batch.len()));
        for Append { doc, epoch, update } in batch {
            // There is one for each document of the batch.
            let Some(entry) = entries.get_mut(doc) else { continue };
            if entry.epoch != *epoch {
                return Err(
                    StoreError::StaleEpoch { doc: doc.clone(), stored: entry.epoch, given: *epoch }.into()
                );
            }
            entry.seq = Seq(entry.seq.0 + 1);
            entry.log_bytes += update.len() as u64;
            rows.add_update(entry.number, entry.seq.0, update)?;
            seqs.push(entry.seq);
        }
        Ok(Self { entries, rows, seqs })
    }

    async fn write(mut self, mut writing: Writing) -> Result<Vec<Seq>, Failure> {
        let connection = &mut *writing.lease;
        if self.rows.is_large() {
            self.rows.insert(connection, INSERT_UPDATES).await?;
        }
        let (mut numbers, mut seqs, mut bytes, mut crcs) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        for (doc, entry) in &self.entries {
            numbers.push(signed(entry.number)?);
            seqs.push(signed(entry.seq.0)?);
            bytes.push(signed(entry.log_bytes)?);
            crcs.push(entry::crc(doc, entry));
        }
        let (insert, update) =
            (connection.prepared(INSERT_UPDATES).await?, connection.prepared(UPDATE).await?);
        let client = &connection.client;
        let (owners, majors, chunks, records) = self.rows.columns();
        let added: Values<'_> = &[&owners, &majors, &chunks, &records];
        let changed: Values<'_> = &[&numbers, &seqs, &bytes, &crcs];
        // The commit is on its way before the others are answered. If one of them fails, it commits nothing.
        let (_, rows, ()) = within(async {
            tokio::try_join!(
                biased;
                client.execute(&insert, added),
                client.execute(&update, changed),
                client.batch_execute("COMMIT"),
            )
        })
        .await?;
        expect_rows(rows, self.entries.len() as u64)?;
        writing.lease.release();
        Ok(self.seqs)
    }
}
