//! Transactions that write: only by who has the right to, and all or nothing.

use tokio_postgres::Row;

use super::Core;
use super::connection::{Values, within};
use super::failure::Failure;
use super::locks::Lock;
use super::pool::Lease;
use super::usage::TAKEN;

const LOCK: &str = "SELECT pg_advisory_xact_lock_shared($1, $2)";

const TERM: &str = "SELECT term FROM quire.usage";

/// A transaction that writes. What it has not committed when it is dropped does not happen.
pub(super) struct Writing {
    pub(super) lease: Lease,
}

impl Writing {
    /// Begins with a first question, which costs no time on the way. Usually it locks the rows that are to be changed.
    pub(super) async fn begin_with(
        core: &Core,
        first: &'static str,
        values: Values<'_>,
    ) -> Result<(Self, Vec<Row>), Failure> {
        let lease = core.pool.lease().await?;
        Self::begin_on(core, lease, first, values).await
    }

    /// The same on a connection that is leased already.
    pub(super) async fn begin_on(
        core: &Core,
        mut lease: Lease,
        first: &'static str,
        values: Values<'_>,
    ) -> Result<(Self, Vec<Row>), Failure> {
        let (lock, term) = (lease.prepared(LOCK).await?, lease.prepared(TERM).await?);
        let first = lease.prepared(first).await?;
        let (one, two) = Lock::Writing.key();
        let key: Values<'_> = &[&one, &two];
        // All four are on their way at once, and are answered in this order. The term is read after the lock was granted.
        let client = &lease.client;
        let ((), _, term, rows) = within(async {
            tokio::try_join!(
                biased;
                client.batch_execute("BEGIN"),
                client.execute(&lock, key),
                client.query_opt(&term, &[]),
                client.query(&first, values),
            )
        })
        .await?;
        let term: Option<i64> = term.map(|row| row.try_get(0)).transpose()?;
        let writing = Self { lease };
        if term == Some(core.usage.term()) {
            Ok((writing, rows))
        } else {
            writing.roll_back().await?;
            Err(Failure::Refused(TAKEN.to_owned()))
        }
    }

    pub(super) async fn commit(self) -> Result<(), Failure> {
        // Had a statement failed, its error would have ended this before.
        self.lease.batch("COMMIT").await?;
        self.lease.release();
        Ok(())
    }

    pub(super) async fn roll_back(self) -> Result<(), Failure> {
        self.lease.batch("ROLLBACK").await?;
        self.lease.release();
        Ok(())
    }

    /// Ends with what was done, or without it after an error. Where the database is not to blame its connection stays good.
    pub(super) async fn settle<T>(self, result: Result<T, Failure>) -> Result<T, Failure> {
        match result {
            Ok(done) => {
                self.commit().await?;
                Ok(done)
            }
            Err(error @ (Failure::Store(_) | Failure::Refused(_))) => {
                self.roll_back().await?;
                Err(error)
            }
            Err(error) => Err(error),
        }
    }
}
