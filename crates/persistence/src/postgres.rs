//! Documents in PostgreSQL, for one server or for several that share them.
//!
//! The tables and what is in them are described in FORMAT.md. Every change is one transaction, which the server has flushed to its
//! device when the call returns; so there is nothing to recover and nothing half done to sweep up. What several nodes do to one
//! document takes its turn by the lock on the document's row. `usage` says who may write at all.
//!
//! All calls block, and none needs a runtime or minds being made on one: they are handed to threads of the store's own, and what
//! they ask of the database has a time within which it is answered. A lost connection costs the calls that were using it; the next
//! ones make a new one.

mod address;
mod append;
mod compaction;
mod connection;
mod deletion;
mod entry;
mod failure;
mod inbox;
mod locks;
mod pool;
mod reading;
mod restoring;
mod revocations;
mod rows;
mod schema;
mod tls;
mod tombstones;
mod usage;
mod verify;
mod whole;
mod writing;

use std::fmt;
use std::future::Future;
use std::sync::mpsc::sync_channel;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use bytes::Bytes;
use quire_sync_protocol::DocId;
use tokio::runtime::{self, Runtime};

pub use self::address::{PostgresUrl, PostgresUrlError};
use self::compaction::Beginning;
use self::connection::Connector;
use self::failure::Failure;
use self::pool::Pool;
pub use self::usage::Use;
use self::usage::{Taken, Usage};
use crate::error::{OpenError, StoreError};
use crate::inbox::{Inbox, Inboxes, Marks, Notification, Posted, Posting, UserId};
use crate::inspect::{Checked, Inspect, Repaired, Space, Whole};
use crate::shared::SharedRecord;
use crate::store::{
    Append, Compacted, Created, DocumentInfo, DocumentStore, Epoch, Head, Listed, Seq, Stored, Swept, Tail,
};

/// Threads that speak with the database.
const THREADS: usize = 2;

/// Names that are looked up at once while everything is gone through.
const PAGE: usize = 256;

/// Documents in a PostgreSQL database.
pub struct PostgresStore {
    url: PostgresUrl,
    core: Arc<Core>,
    /// Taken only when the store is dropped.
    runtime: Option<Runtime>,
    /// Held during a compaction: one at a time, so that its memory is bounded.
    compaction_turn: Mutex<()>,
}

/// What calls work with.
#[derive(Debug)]
struct Core {
    pool: Pool,
    usage: Arc<Usage>,
}

impl fmt::Debug for PostgresStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PostgresStore")
            .field("url", &self.url)
            .field("core", &self.core)
            .finish_non_exhaustive()
    }
}

impl PostgresStore {
    /// Opens the store in a database, whose tables are made if they are not there. The database is taken for this store alone, or
    /// together with others that share it, until the store is dropped or the process ends.
    pub fn open(url: &PostgresUrl, mode: Use) -> Result<Self, OpenError> {
        let store = Self::open_anyhow(url, mode)?;
        let check = store.call("open the database", |core| async move {
            let mut lease = core.pool.lease().await?;
            let is_unfinished = restoring::is_unfinished(&mut lease).await?;
            lease.release();
            Ok(is_unfinished)
        });
        match check {
            Ok(false) => Ok(store),
            Ok(true) => Err(OpenError::Unfinished { address: url.to_string() }),
            Err(StoreError::Engine(source)) => Err(OpenError::Database { address: url.to_string(), source }),
            Err(error) => Err(OpenError::Database {
                address: url.to_string(),
                source: Failure::Store(error).engine("open the database"),
            }),
        }
    }

    /// The same for a database that is being filled.
    pub(crate) fn open_anyhow(url: &PostgresUrl, mode: Use) -> Result<Self, OpenError> {
        let address = url.to_string();
        let failed = |failure: Failure| OpenError::Database {
            address: address.clone(),
            source: failure.engine("open the database"),
        };
        let connector =
            Connector::new(url).map_err(|source| OpenError::Database { address: address.clone(), source })?;
        let runtime = runtime::Builder::new_multi_thread()
            .worker_threads(THREADS)
            .thread_name("quire-postgres")
            .enable_all()
            .build()
            .map_err(|error| failed(Failure::Refused(error.to_string())))?;
        let usage = Arc::new(Usage::new(mode));
        let core = Core { pool: Pool::new(connector.clone()), usage: Arc::clone(&usage) };
        let store = Self {
            url: url.clone(),
            core: Arc::new(core),
            runtime: Some(runtime),
            compaction_turn: Mutex::new(()),
        };
        let opening = async move {
            let mut connection = connector.connect().await?;
            schema::check_server(&mut connection).await?;
            if let Taken::No = usage.lock(&mut connection).await? {
                return Ok(Err(None));
            }
            if let Err(error) = schema::migrate(&mut connection).await? {
                return Ok(Err(Some(error)));
            }
            usage.begin(&mut connection).await?;
            tokio::spawn(usage.keep(connector, connection));
            Ok(Ok(()))
        };
        match store.run(opening).map_err(failed)? {
            Ok(()) => Ok(store),
            Err(Some(error)) => Err(error),
            Err(None) => Err(OpenError::DatabaseInUse { address }),
        }
    }

    /// Runs something on the store's own threads, and waits for it.
    fn run<T: Send + 'static>(
        &self,
        work: impl Future<Output = Result<T, Failure>> + Send + 'static,
    ) -> Result<T, Failure> {
        let gone = || Failure::Refused("the call ended without an answer".to_owned());
        let (answer, answered) = sync_channel(1);
        let runtime = self.runtime.as_ref().ok_or_else(gone)?;
        runtime.spawn(async move {
            // Who asked waits for it.
            let _ = answer.send(work.await);
        });
        answered.recv().unwrap_or_else(|_| Err(gone()))
    }

    /// A call of an operation, by its name.
    fn call<T, F>(&self, operation: &'static str, work: impl FnOnce(Arc<Core>) -> F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: Future<Output = Result<T, Failure>> + Send + 'static,
    {
        self.run(work(Arc::clone(&self.core))).map_err(|failure| failure.told(operation))
    }
}

impl Drop for PostgresStore {
    fn drop(&mut self) {
        // May happen on a thread of another runtime, which must not wait.
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

impl DocumentStore for PostgresStore {
    fn load(&self, doc: &DocId) -> Result<Option<Stored>, StoreError> {
        let doc = doc.clone();
        self.call("load a document", |core| async move { reading::load(&core, &doc).await })
    }

    fn tail(&self, doc: &DocId, epoch: Epoch, after: Seq) -> Result<Tail, StoreError> {
        let doc = doc.clone();
        self.call("read a log", move |core| async move { reading::tail(&core, &doc, epoch, after).await })
    }

    fn heads(&self, docs: &[DocId]) -> Result<Vec<Result<Option<Head>, StoreError>>, StoreError> {
        let docs = docs.to_vec();
        self.call("read the catalog", |core| async move { reading::heads(&core, &docs).await })
    }

    fn append(&self, batch: &[Append]) -> Result<Vec<Seq>, StoreError> {
        let batch = batch.to_vec();
        self.call("append", |core| async move { append::append(&core, &batch).await })
    }

    fn compact(&self, doc: &DocId) -> Result<Compacted, StoreError> {
        let _turn = self.compaction_turn.lock().unwrap_or_else(PoisonError::into_inner);
        let name = doc.clone();
        let begun =
            self.call("begin a compaction", |core| async move { compaction::begin(&core, &name).await })?;
        let begun = match begun {
            Beginning::Done(compacted) => return Ok(compacted),
            Beginning::Begun(begun) => begun,
        };
        let (made, name) = (compaction::make(doc, *begun)?, doc.clone());
        self.call("compact", |core| async move { compaction::switch(&core, &name, made).await })
    }

    fn create(&self, doc: &DocId) -> Result<Created, StoreError> {
        let doc = doc.clone();
        self.call("make a document", |core| async move { deletion::create(&core, &doc).await })
    }

    fn delete(&self, doc: &DocId, now: SystemTime) -> Result<(), StoreError> {
        let doc = doc.clone();
        self.call("delete a document", move |core| async move { deletion::delete(&core, &doc, now).await })
    }

    fn sweep(&self, now: SystemTime) -> Result<Swept, StoreError> {
        self.call("sweep", move |core| async move { deletion::sweep(&core, now).await })
    }

    fn info(&self, doc: &DocId) -> Result<Option<DocumentInfo>, StoreError> {
        let doc = doc.clone();
        self.call("read the catalog", |core| async move { reading::info(&core, &doc).await })
    }

    fn list(&self, after: Option<&DocId>, limit: usize) -> Result<Vec<Listed>, StoreError> {
        let after = after.cloned();
        self.call(
            "list documents",
            move |core| async move { reading::list(&core, after.as_ref(), limit).await },
        )
    }

    fn inspect(&self) -> &dyn Inspect {
        self
    }

    fn inboxes(&self) -> &dyn Inboxes {
        self
    }

    fn revocations(&self) -> Option<&dyn SharedRecord> {
        Some(self)
    }

    /// Nothing is held back: what was committed is on the database's device.
    fn flush(&self) -> Result<(), StoreError> {
        Ok(())
    }
}

impl Inspect for PostgresStore {
    fn verify(&self, each: &mut dyn FnMut(Checked)) -> Result<(), StoreError> {
        let mut after: Option<DocId> = None;
        loop {
            let page = self.list(after.as_ref(), PAGE)?;
            let is_last = page.len() < PAGE;
            for Listed { doc, .. } in page {
                after = Some(doc.clone());
                let checked =
                    self.call("verify", |core| async move { verify::document(&core, &doc).await })?;
                checked.into_iter().for_each(&mut *each);
            }
            if is_last {
                break;
            }
        }
        let mut after: Option<DocId> = None;
        loop {
            let page = self.graves(after.as_ref(), PAGE)?;
            let is_last = page.len() < PAGE;
            for doc in page {
                after = Some(doc.clone());
                let checked =
                    self.call("verify", |core| async move { verify::tombstone(&core, &doc).await })?;
                checked.into_iter().for_each(&mut *each);
            }
            if is_last {
                break;
            }
        }
        let rest = self.call("verify", |core| async move { verify::rest(&core).await })?;
        rest.into_iter().for_each(each);
        Ok(())
    }

    fn salvage(&self, doc: &DocId) -> Result<Option<Vec<Bytes>>, StoreError> {
        let doc = doc.clone();
        self.call("salvage a document", |core| async move { whole::salvage(&core, &doc).await })
    }

    fn repair(&self, doc: &DocId) -> Result<Repaired, StoreError> {
        let _turn = self.compaction_turn.lock().unwrap_or_else(PoisonError::into_inner);
        let doc = doc.clone();
        self.call("repair a document", |core| async move { whole::repair(&core, &doc).await })
    }

    fn whole(&self, doc: &DocId) -> Result<Option<Whole>, StoreError> {
        let doc = doc.clone();
        self.call("load a document", |core| async move { reading::whole(&core, &doc).await })
    }

    fn put_whole(&self, doc: &DocId, whole: &Whole) -> Result<(), StoreError> {
        let (doc, whole) = (doc.clone(), whole.clone());
        self.call("store a document", |core| async move { whole::put(&core, &doc, &whole).await })
    }

    /// The database gives space back by itself.
    fn space(&self) -> Result<Option<Space>, StoreError> {
        Ok(None)
    }

    /// Nothing to do: PostgreSQL's autovacuum does it.
    fn reclaim(&self) -> Result<(), StoreError> {
        Ok(())
    }

    fn graves(&self, after: Option<&DocId>, limit: usize) -> Result<Vec<DocId>, StoreError> {
        let after = after.cloned();
        self.call(
            "list tombstones",
            move |core| async move { verify::graves(&core, after.as_ref(), limit).await },
        )
    }
}

impl Inboxes for PostgresStore {
    fn post(&self, user: &UserId, posting: &Posting, keep: usize, tag: u32) -> Result<Posted, StoreError> {
        let (user, posting) = (user.clone(), posting.clone());
        self.call("post", move |core| async move { inbox::post(&core, &user, &posting, keep, tag).await })
    }

    fn inbox(
        &self,
        user: &UserId,
        after: u64,
        limit: usize,
        now: u64,
    ) -> Result<Option<(Inbox, Vec<Notification>)>, StoreError> {
        let user = user.clone();
        self.call(
            "read an inbox",
            move |core| async move { inbox::inbox(&core, &user, after, limit, now).await },
        )
    }

    fn mark_read(&self, user: &UserId, marks: &Marks) -> Result<(), StoreError> {
        let (user, marks) = (user.clone(), marks.clone());
        self.call("mark notifications", |core| async move { inbox::mark_read(&core, &user, &marks).await })
    }

    fn expire(&self, now: u64) -> Result<u64, StoreError> {
        self.call("expire notifications", move |core| async move { inbox::expire(&core, now).await })
    }
}
