//! The tables, and how a database gets them: numbered steps, all that are missing in one transaction.

use super::connection::Connection;
use super::failure::Failure;
use super::locks::Lock;
use crate::error::OpenError;

/// The steps. They are only ever added to.
const STEPS: [&str; 1] = [include_str!("schema/1.sql")];

const BEHIND_LAST: &str = "UPDATE quire.format SET version = $1";

/// Brings the schema up to what this program knows. Several may try at once: one of them does it, the others wait.
pub(super) async fn migrate(connection: &mut Connection) -> Result<Result<(), OpenError>, Failure> {
    connection.batch("BEGIN").await?;
    let (first, second) = Lock::Schema.key();
    connection.execute("SELECT pg_advisory_xact_lock($1, $2)", &[&first, &second]).await?;
    let found = version(connection).await?;
    let known = STEPS.len();
    let Some(missing) = STEPS.get(found..) else {
        connection.batch("ROLLBACK").await?;
        let number = |count: usize| u32::try_from(count).unwrap_or(u32::MAX);
        return Ok(Err(OpenError::Format { found: number(found), known: number(known) }));
    };
    if missing.is_empty() {
        connection.batch("ROLLBACK").await?;
        return Ok(Ok(()));
    }
    for step in missing {
        connection.batch(step).await?;
    }
    let version =
        i32::try_from(known).map_err(|_| Failure::Refused("there are too many steps".to_owned()))?;
    connection.execute(BEHIND_LAST, &[&version]).await?;
    connection.batch("COMMIT").await?;
    Ok(Ok(()))
}

/// How many steps were taken; 0 in a database that was never used.
async fn version(connection: &mut Connection) -> Result<usize, Failure> {
    let is_there = "SELECT to_regclass('quire.format') IS NOT NULL";
    let is_there = connection.row(is_there, &[]).await?.map(|row| row.try_get::<_, bool>(0)).transpose()?;
    if is_there != Some(true) {
        return Ok(0);
    }
    let row = connection.row("SELECT version FROM quire.format", &[]).await?;
    let version: Option<i32> = row.map(|row| row.try_get(0)).transpose()?;
    // Not new: a store that has lost this row is damaged.
    let wrong =
        || Failure::Refused("the table quire.format does not say which format the store has".to_owned());
    version.and_then(|version| usize::try_from(version).ok()).filter(|version| *version > 0).ok_or_else(wrong)
}

/// What must be so for a store to keep its promises.
pub(super) async fn check_server(connection: &mut Connection) -> Result<(), Failure> {
    let row = connection.row(
        "SELECT current_setting('server_version_num')::int, current_setting('server_encoding'), \
         current_setting('fsync'), current_setting('full_page_writes')",
        &[],
    );
    let Some(row) = row.await? else { return Ok(()) };
    let (version, encoding): (i32, &str) = (row.try_get(0)?, row.try_get(1)?);
    if version < 120_000 {
        return Err(Failure::Refused(format!("PostgreSQL 12 or later is needed, this is {version}")));
    }
    if encoding != "UTF8" {
        let advice = "make one with ENCODING 'UTF8' TEMPLATE template0";
        return Err(Failure::Refused(format!("the database has the encoding {encoding}; {advice}")));
    }
    if (row.try_get(2)?, row.try_get(3)?) != ("on", "on") {
        tracing::warn!(
            "fsync or full_page_writes is off in PostgreSQL: a power cut there can lose what was confirmed"
        );
    }
    Ok(())
}
