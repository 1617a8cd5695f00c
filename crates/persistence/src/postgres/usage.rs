//! Who may use the database: one server alone, or several that share it.
//!
//! While a store is open, a connection of its own holds the lock [`Lock::Usage`]: exclusively for [`Use::Sole`], shared for
//! [`Use::Shared`]. So two servers that do not know of each other cannot both begin. But a connection can be lost while its
//! process lives on, and then the lock is free. What keeps such a server from writing beside its successor is the *term*, a number
//! in the table `quire.usage`:
//!
//! - Who takes the lock begins a new term where the last holders are not to go on: always for `Sole`, and for `Shared` if the last
//!   holder was `Sole`. Servers that share have one term. It is begun in a transaction that holds [`Lock::Writing`] exclusively. Who
//!   joins servers that share only reads the term, which stays as long as any of them holds the lock.
//! - Every transaction that writes takes [`Lock::Writing`] shared *before* it reads the term, holds it until it has committed, and
//!   writes only if the term is the one that its store was given.
//!
//! So a new term begins after every transaction of the one before has ended, and none of that one commits after it. A store whose
//! connection was lost writes on as long as nobody else has begun a term, which harms nobody, and takes the lock
//! again as soon as it can.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use tokio::time::{MissedTickBehavior, interval, sleep};

use super::connection::{Connection, Connector};
use super::failure::Failure;
use super::locks::Lock;

/// How long to wait for the lock: the server of a process that has just died may not have noticed yet.
const WAIT: &str = "SET lock_timeout = '2s'";

/// As long as a writing transaction that stands still may take.
const WAIT_FOR_WRITERS: &str = "SET LOCAL lock_timeout = '15s'";

/// Between two attempts to get the lock back.
const AGAIN: Duration = Duration::from_secs(1);

/// How often the connection that holds the lock is asked for a sign of life.
const LIFE: Duration = Duration::from_secs(10);

/// What a server without the database can do about it.
pub(super) const TAKEN: &str =
    "another server uses this database; give every server the same --redis, or stop the other one";

/// How a store wants to use what it opens.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Use {
    /// Alone. Nobody else can open it meanwhile.
    #[default]
    Sole,
    /// Together with others that do so too. They have to tell each other what they write.
    Shared,
}

/// The right to write, as far as this store knows.
#[derive(Debug)]
pub(super) struct Usage {
    mode: Use,
    term: AtomicI64,
}

/// What became of an attempt to take the database.
pub(super) enum Taken {
    /// It is this store's.
    Yes,
    /// Somebody else has it.
    No,
}

impl Usage {
    pub(super) fn new(mode: Use) -> Self {
        Self { mode, term: AtomicI64::new(-1) }
    }

    /// The term that a writing transaction must find.
    pub(super) fn term(&self) -> i64 {
        self.term.load(Ordering::Acquire)
    }

    /// Takes the lock, which the connection holds from then on.
    pub(super) async fn lock(&self, connection: &mut Connection) -> Result<Taken, Failure> {
        connection.batch(WAIT).await?;
        let (first, second) = Lock::Usage.key();
        let sql = match self.mode {
            Use::Sole => "SELECT pg_advisory_lock($1, $2)",
            Use::Shared => "SELECT pg_advisory_lock_shared($1, $2)",
        };
        match connection.execute(sql, &[&first, &second]).await {
            Ok(_) => Ok(Taken::Yes),
            Err(failure) if failure.is_locked_out() => Ok(Taken::No),
            Err(failure) => Err(failure),
        }
    }

    /// Begins a term, or joins the present one, on the connection that holds the lock.
    pub(super) async fn begin(&self, connection: &mut Connection) -> Result<(), Failure> {
        let (term, was_sole) = present(connection).await?;
        let is_sole = self.mode == Use::Sole;
        if term == self.term() || !(is_sole || was_sole) {
            // Nobody begins another one meanwhile: only one server alone would, which cannot get the lock.
            self.term.store(term, Ordering::Release);
            return Ok(());
        }
        connection.batch("BEGIN").await?;
        connection.batch(WAIT_FOR_WRITERS).await?;
        let (first, second) = Lock::Writing.key();
        connection.execute("SELECT pg_advisory_xact_lock($1, $2)", &[&first, &second]).await?;
        // Another one that shares may have begun it.
        let (mut term, was_sole) = present(connection).await?;
        if is_sole || was_sole {
            term += 1;
            connection.execute("UPDATE quire.usage SET term = $1, sole = $2", &[&term, &is_sole]).await?;
        }
        connection.batch("COMMIT").await?;
        self.term.store(term, Ordering::Release);
        Ok(())
    }

    /// Holds the lock, and takes it again whenever it is lost. Does not end.
    pub(super) async fn keep(self: Arc<Self>, connector: Connector, mut connection: Connection) {
        loop {
            watch(&mut connection).await;
            tracing::warn!("the connection that holds the database for this server was lost");
            let mut told = false;
            connection = loop {
                sleep(AGAIN).await;
                match self.retake(&connector).await {
                    Ok(Some(connection)) => break connection,
                    Ok(None) if !told => {
                        told = true;
                        tracing::error!("nothing can be stored: {TAKEN}");
                    }
                    Ok(None) => {}
                    Err(failure) => {
                        let error = failure.engine("take the database again");
                        tracing::debug!(%error, "will be tried again");
                    }
                }
            };
            tracing::info!("the database is held for this server again");
        }
    }

    async fn retake(&self, connector: &Connector) -> Result<Option<Connection>, Failure> {
        let mut connection = connector.connect().await?;
        match self.lock(&mut connection).await? {
            Taken::Yes => {
                self.begin(&mut connection).await?;
                Ok(Some(connection))
            }
            Taken::No => Ok(None),
        }
    }
}

/// The present term, and whether it is of one server alone.
async fn present(connection: &mut Connection) -> Result<(i64, bool), Failure> {
    let row = connection.row("SELECT term, sole FROM quire.usage", &[]).await?;
    let row = row.ok_or_else(|| Failure::Refused("the table quire.usage is empty".to_owned()))?;
    Ok((row.try_get(0)?, row.try_get(1)?))
}

/// Returns when the connection has ended or does not answer.
async fn watch(connection: &mut Connection) {
    let mut life = interval(LIFE);
    life.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = connection.ended() => return,
            _ = life.tick() => {}
        }
        if connection.batch("").await.is_err() {
            return;
        }
    }
}
