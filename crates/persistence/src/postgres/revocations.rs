//! The record of what was revoked, shared by all servers of the database.

use bytes::Bytes;

use super::failure::{Failure, signed};
use super::writing::Writing;
use super::{Core, PostgresStore};
use crate::error::StoreError;
use crate::shared::{SharedRecord, Versioned};

const READ: &str = "SELECT version, record FROM quire.revocations";

const LOCKED: &str = "SELECT version FROM quire.revocations FOR UPDATE";

const FIRST: &str = "INSERT INTO quire.revocations (version, record) VALUES (1, $1) ON CONFLICT DO NOTHING";

const NEXT: &str = "UPDATE quire.revocations SET version = version + 1, record = $1 WHERE version = $2";

async fn read(core: &Core, known: Option<u64>) -> Result<Option<Versioned>, Failure> {
    let mut lease = core.pool.lease().await?;
    let version = lease.row("SELECT version FROM quire.revocations", &[]).await?;
    let version: i64 = version.map(|row| row.try_get(0)).transpose()?.unwrap_or(0);
    if known.is_some_and(|known| i64::try_from(known) == Ok(version)) {
        lease.release();
        return Ok(None);
    }
    let row = lease.row(READ, &[]).await?;
    lease.release();
    let Some(row) = row else { return Ok(Some(Versioned { version: 0, record: Bytes::new() })) };
    let (version, sealed): (i64, &[u8]) = (row.try_get(0)?, row.try_get(1)?);
    let damaged = || Failure::Refused("what is kept of revocations is damaged".to_owned());
    let (checksum, record) = sealed.split_first_chunk().ok_or_else(damaged)?;
    if u32::from_be_bytes(*checksum) != crc32fast::hash(record) {
        return Err(damaged());
    }
    let version = u64::try_from(version).map_err(|_| damaged())?;
    Ok(Some(Versioned { version, record: Bytes::copy_from_slice(record) }))
}

async fn replace(core: &Core, version: u64, record: Bytes) -> Result<Option<u64>, Failure> {
    let sealed = [&crc32fast::hash(&record).to_be_bytes()[..], &record].concat();
    let (mut writing, _) = Writing::begin_with(core, LOCKED, &[]).await?;
    let result = async {
        let changed = if version == 0 {
            writing.lease.execute(FIRST, &[&sealed]).await?
        } else {
            writing.lease.execute(NEXT, &[&sealed, &signed(version)?]).await?
        };
        Ok((changed == 1).then_some(version + 1))
    }
    .await;
    writing.settle(result).await
}

impl SharedRecord for PostgresStore {
    fn read(&self, known: Option<u64>) -> Result<Option<Versioned>, StoreError> {
        self.call("read revocations", move |core| async move { read(&core, known).await })
    }

    fn replace(&self, version: u64, record: &[u8]) -> Result<Option<u64>, StoreError> {
        let record = Bytes::copy_from_slice(record);
        self.call("keep revocations", move |core| async move { replace(&core, version, record).await })
    }
}
