//! Updates and snapshots as rows: the records of FORMAT.md, of up to a mebibyte each.

use std::pin::pin;

use bytes::Bytes;
use futures_util::TryStreamExt as _;
use quire_sync_protocol::DocId;
use tokio_postgres::Row;

use super::connection::{Connection, Values, within};
use super::failure::{Failure, signed};
use crate::error::{Fault, StoreError};
use crate::keys;
use crate::local::catalog::{CatalogEntry, SnapshotEntry};
use crate::local::chunks::{self, Joined, Payload};
use crate::local::damaged;
use crate::local::recovery::{Contents, SNAPSHOT, UPDATE};
use crate::store::Seq;

/// The size of chunks. Neither side holds more than a few of them while it reads.
pub(super) const CHUNK_BYTES: usize = 1 << 20;

/// About as much goes in one statement.
const STATEMENT_BYTES: usize = 8 << 20;

pub(super) const INSERT_UPDATES: &str = "INSERT INTO quire.updates (number, seq, chunk, record) \
    SELECT * FROM unnest($1::bigint[], $2::bigint[], $3::integer[], $4::bytea[])";

pub(super) const INSERT_SNAPSHOTS: &str = "INSERT INTO quire.snapshots (number, generation, chunk, record) \
    SELECT * FROM unnest($1::bigint[], $2::bigint[], $3::integer[], $4::bytea[])";

const SELECT_UPDATES: &str =
    "SELECT seq, chunk, record FROM quire.updates WHERE number = $1 AND seq > $2 ORDER BY seq, chunk";

const SELECT_SNAPSHOTS: &str =
    "SELECT generation, chunk, record FROM quire.snapshots WHERE number = $1 ORDER BY generation, chunk";

const SELECT_GENERATION: &str = "SELECT generation, chunk, record FROM quire.snapshots \
    WHERE number = $1 AND generation = $2 ORDER BY chunk";

/// Rows on their way into one of the two tables.
#[derive(Debug, Default)]
pub(super) struct Rows {
    numbers: Vec<i64>,
    /// Seqs or generations.
    majors: Vec<i64>,
    chunks: Vec<i32>,
    records: Vec<Bytes>,
    bytes: usize,
}

impl Rows {
    pub(super) fn add_update(&mut self, number: u64, seq: u64, update: &[u8]) -> Result<(), Failure> {
        self.add(Payload::Update, number, seq, update, |chunk| keys::update(number, seq, chunk))
    }

    pub(super) fn add_snapshot(&mut self, number: u64, generation: u64, bytes: &[u8]) -> Result<(), Failure> {
        self.add(Payload::Snapshot, number, generation, bytes, |chunk| {
            keys::snapshot(number, generation, chunk)
        })
    }

    fn add(
        &mut self,
        payload: Payload,
        number: u64,
        major: u64,
        bytes: &[u8],
        key: impl Fn(u32) -> Bytes,
    ) -> Result<(), Failure> {
        let cut = chunks::cut(payload, bytes, CHUNK_BYTES);
        for (chunk, (_, record)) in (0..).zip(cut.records(key)) {
            self.numbers.push(signed(number)?);
            self.majors.push(signed(major)?);
            self.chunks.push(chunk);
            self.bytes += record.len();
            self.records.push(record);
        }
        Ok(())
    }

    pub(super) fn is_large(&self) -> bool {
        self.bytes >= STATEMENT_BYTES
    }

    /// Writes what there is, in as many statements as it takes.
    pub(super) async fn insert(
        &mut self,
        connection: &mut Connection,
        sql: &'static str,
    ) -> Result<(), Failure> {
        let rows = std::mem::take(self);
        let mut from = 0;
        while from < rows.records.len() {
            let mut bytes = 0;
            let fits = rows.records.iter().skip(from).take_while(|record| {
                let fits = bytes < STATEMENT_BYTES;
                bytes += record.len();
                fits
            });
            let to = from + fits.count();
            let records: Vec<&[u8]> = slice(&rows.records, from, to).iter().map(|record| &**record).collect();
            let (numbers, majors) = (slice(&rows.numbers, from, to), slice(&rows.majors, from, to));
            connection.execute(sql, &[&numbers, &majors, &slice(&rows.chunks, from, to), &records]).await?;
            from = to;
        }
        Ok(())
    }

    /// The values of a statement that writes all of it.
    pub(super) fn columns(&self) -> Columns<'_> {
        let records = self.records.iter().map(|record| &**record).collect();
        (&self.numbers, &self.majors, &self.chunks, records)
    }
}

/// Document numbers, seqs or generations, chunks, records.
type Columns<'a> = (&'a [i64], &'a [i64], &'a [i32], Vec<&'a [u8]>);

fn slice<T>(all: &[T], from: usize, to: usize) -> &[T] {
    all.get(from..to).unwrap_or_default()
}

/// A row of either table, with its place: number and chunk.
type Placed = ((u64, u32), Bytes);

fn placed(row: &Row) -> Result<Placed, Failure> {
    let (major, chunk): (i64, i32) = (row.try_get(0)?, row.try_get(1)?);
    // Negative ones, which nobody writes, are told from all others by being too large.
    let place = (u64::try_from(major).unwrap_or(u64::MAX), u32::try_from(chunk).unwrap_or(u32::MAX));
    Ok((place, Bytes::copy_from_slice(row.try_get(2)?)))
}

/// Hands on each row as it comes, so that of a large document no two copies are held.
async fn each_row(
    connection: &mut Connection,
    sql: &'static str,
    values: Values<'_>,
    mut each: impl FnMut(Placed) -> Result<(), Failure>,
) -> Result<(), Failure> {
    let statement = connection.prepared(sql).await?;
    let values = values.iter().map(|value| *value as &(dyn tokio_postgres::types::ToSql + Sync));
    let mut rows = pin!(within(connection.client.query_raw(&statement, values)).await?);
    let mut failed = Ok(());
    while let Some(row) = within(rows.try_next()).await? {
        // After a failure the rest is passed over, and the connection stays good.
        if failed.is_ok() {
            failed = placed(&row).and_then(&mut each);
        }
    }
    failed
}

/// Everything that an entry speaks of; without what somebody has who has everything up to `known`, unless a compaction has passed
/// it. Runs in one transaction with the reading of the entry, so that the two belong together.
pub(super) async fn contents(
    connection: &mut Connection,
    doc: &DocId,
    entry: &CatalogEntry,
    known: Option<Seq>,
) -> Result<Contents, Failure> {
    let known = known.map(|known| known.min(entry.seq)).filter(|known| *known >= entry.snapshot_seq());
    let snapshot = match &entry.snapshot {
        Some(present) if known.is_none() => Some(snapshot(connection, doc, entry.number, present).await?),
        _ => None,
    };
    let number = entry.number;
    let behind = known.unwrap_or(entry.snapshot_seq()).0;
    let wrong = |(seq, chunk), fault| damaged(doc, UPDATE, &keys::update(number, seq, chunk), fault);
    let (mut updates, mut joined, mut seq) = (Vec::new(), Joined::new(Payload::Update), behind + 1);
    each_row(connection, SELECT_UPDATES, &[&signed(number)?, &signed(behind)?], |(place, record)| {
        let expected = (seq, joined.next());
        if place > expected && seq <= entry.seq.0 {
            return Err(wrong(expected, Fault::Missing).into());
        }
        if place != expected || seq > entry.seq.0 {
            return Err(wrong(place, Fault::Unexpected).into());
        }
        let key = keys::update(number, place.0, place.1);
        if let Some(update) = joined.add(&key, record).map_err(|fault| wrong(place, fault))? {
            updates.push(update);
            seq += 1;
        }
        Ok(())
    })
    .await?;
    if seq <= entry.seq.0 {
        return Err(wrong((seq, joined.next()), Fault::Missing).into());
    }
    Ok(Contents { snapshot, updates, update_keys: Vec::new() })
}

/// The snapshot of a document, which is the only one there may be.
async fn snapshot(
    connection: &mut Connection,
    doc: &DocId,
    number: u64,
    present: &SnapshotEntry,
) -> Result<Bytes, Failure> {
    joined(connection, SELECT_SNAPSHOTS, &[&signed(number)?], doc, number, present).await
}

/// The snapshot of one generation, whatever others there are.
pub(super) async fn snapshot_of(
    connection: &mut Connection,
    doc: &DocId,
    number: u64,
    present: &SnapshotEntry,
) -> Result<Bytes, Failure> {
    let values: Values<'_> = &[&signed(number)?, &signed(present.generation)?];
    joined(connection, SELECT_GENERATION, values, doc, number, present).await
}

async fn joined(
    connection: &mut Connection,
    sql: &'static str,
    values: Values<'_>,
    doc: &DocId,
    number: u64,
    present: &SnapshotEntry,
) -> Result<Bytes, Failure> {
    let wrong = |(generation, chunk), fault| -> StoreError {
        damaged(doc, SNAPSHOT, &keys::snapshot(number, generation, chunk), fault)
    };
    let (mut whole, mut joined) = (None, Joined::new(Payload::Snapshot));
    each_row(connection, sql, values, |(place, record)| {
        let expected = (present.generation, joined.next());
        if whole.is_none() && place.0 == present.generation && place > expected {
            return Err(wrong(expected, Fault::Missing).into());
        }
        if whole.is_some() || place != expected {
            return Err(wrong(place, Fault::Unexpected).into());
        }
        let key = keys::snapshot(number, place.0, place.1);
        whole = joined.add(&key, record).map_err(|fault| wrong(place, fault))?;
        Ok(())
    })
    .await?;
    let end = (present.generation, joined.next());
    match whole {
        Some(whole) if whole.len() as u64 == present.bytes => Ok(whole),
        Some(_) => Err(wrong(end, Fault::Length).into()),
        None => Err(wrong(end, Fault::Missing).into()),
    }
}

/// Every payload of a document that is whole, snapshots first, with the last seq and the last generation there is.
pub(super) async fn sound_parts(
    connection: &mut Connection,
    number: u64,
) -> Result<(Vec<Bytes>, Seq, u64), Failure> {
    let (mut parts, mut last) = (Vec::new(), [0, 0]);
    let signed_number = signed(number)?;
    for (payload, sql) in [(Payload::Snapshot, SELECT_SNAPSHOTS), (Payload::Update, SELECT_UPDATES)] {
        let (mut joined, mut major) = (Joined::new(payload), None);
        let is_update = payload == Payload::Update;
        let all: Values<'_> = if is_update { &[&signed_number, &-1_i64] } else { &[&signed_number] };
        each_row(connection, sql, all, |((found, chunk), record)| {
            let [seq, generation] = &mut last;
            let last = if is_update { seq } else { generation };
            *last = found.max(*last);
            if major != Some(found) {
                (major, joined) = (Some(found), Joined::new(payload));
            }
            if chunk == joined.next() {
                let key = if is_update { keys::update } else { keys::snapshot }(number, found, chunk);
                match joined.add(&key, record) {
                    Ok(Some(part)) => parts.push(part),
                    Ok(None) => {}
                    // Without this chunk the rest of it is of no use.
                    Err(_) => joined = Joined::new(payload),
                }
            }
            Ok(())
        })
        .await?;
    }
    let [seq, generation] = last;
    Ok((parts, Seq(seq), generation))
}
