//! Filling a database from an archive. There is nothing to put into its place at the end, as there is with files; so the
//! database says until the end that what it holds is a part, and nobody opens it meanwhile.

use super::connection::Connection;
use super::failure::Failure;
use super::writing::Writing;
use super::{Core, PostgresStore};
use crate::error::StoreError;

const IS_RESTORING: &str = "SELECT restoring FROM quire.usage";

const IS_USED: &str = "SELECT EXISTS (SELECT FROM quire.documents) OR EXISTS (SELECT FROM quire.tombstones)";

const CLEAR: &str = "TRUNCATE quire.documents, quire.updates, quire.snapshots, quire.tombstones";

/// Whether somebody has begun to fill the database and not come to the end.
pub(super) async fn is_unfinished(connection: &mut Connection) -> Result<bool, Failure> {
    let row = connection.row(IS_RESTORING, &[]).await?;
    Ok(row.map(|row| row.try_get(0)).transpose()?.unwrap_or(false))
}

/// Begins: `false` if there is something that is no rest of an earlier attempt.
async fn begin(core: &Core) -> Result<bool, Failure> {
    let (mut writing, rows) = Writing::begin_with(core, IS_RESTORING, &[]).await?;
    let result = async {
        let is_rest = rows.first().map(|row| row.try_get(0)).transpose()?.unwrap_or(false);
        let connection = &mut *writing.lease;
        let is_used = connection.row(IS_USED, &[]).await?;
        if !is_rest && is_used.map(|row| row.try_get(0)).transpose()?.unwrap_or(true) {
            return Ok(false);
        }
        connection.batch(CLEAR).await?;
        connection.execute("UPDATE quire.usage SET restoring = true", &[]).await?;
        Ok(true)
    }
    .await;
    writing.settle(result).await
}

async fn end(core: &Core, keeps: bool) -> Result<(), Failure> {
    let (mut writing, _) = Writing::begin_with(core, "SELECT 1", &[]).await?;
    let result = async {
        let connection = &mut *writing.lease;
        if !keeps {
            connection.batch(CLEAR).await?;
        }
        connection.execute("UPDATE quire.usage SET restoring = false", &[]).await?;
        Ok(())
    }
    .await;
    writing.settle(result).await
}

impl PostgresStore {
    /// From now on what the database holds is a part. `false` if it holds something already.
    pub(crate) fn begin_restoring(&self) -> Result<bool, StoreError> {
        self.call("begin to restore", |core| async move { begin(&core).await })
    }

    /// What it holds is all of it; or, if it is not kept, nothing.
    pub(crate) fn end_restoring(&self, keeps: bool) -> Result<(), StoreError> {
        self.call("end restoring", move |core| async move { end(&core, keeps).await })
    }
}
