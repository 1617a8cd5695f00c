//! Loading documents on a bounded number of blocking threads.
//!
//! The bound is there for memory: a load holds the stored bytes and the replica made from them. Documents that
//! are already in memory are not concerned by a load, however long it takes.

use std::sync::Arc;

use bytes::Bytes;
use quire_persistence::{DocumentStore, Epoch, Seq, StoreError, Stored};
use quire_sync_protocol::{DocId, Replica, StateVector, Update};
use tokio::runtime::Handle;
use tokio::sync::Semaphore;
use tokio::task::{self, JoinHandle};

use crate::doc::TailRead;

/// What is stored of a document, walked from end to end. Nothing at all if it was never stored.
#[derive(Debug)]
pub(crate) struct Content {
    pub(crate) epoch: Epoch,
    /// Whether it is stored, be it empty.
    pub(crate) exists: bool,
    /// The last update contained; 0 if there is none.
    pub(crate) seq: Seq,
    /// Who wrote in documents of the same name that were deleted.
    pub(crate) dead: StateVector,
    /// The document.
    pub(crate) replica: Replica,
    /// All of it as one update, where it is stored so.
    pub(crate) whole: Option<Update>,
    /// Of how many updates it was put together, the snapshot being one.
    pub(crate) updates: usize,
    /// Their bytes.
    pub(crate) bytes: usize,
}

/// Why a document could not be loaded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum LoadError {
    /// The store could not be read; another attempt may succeed.
    Unavailable(String),
    /// What is stored is not what was written.
    Damaged(String),
    /// It was deleted, and has not been made anew.
    Deleted,
    /// The code that loads panicked.
    Panicked,
}

/// Loads documents. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Reader {
    store: Arc<dyn DocumentStore>,
    loads: Arc<Semaphore>,
    /// Whose threads load: one runtime's, which has some that are warm, rather than those of each document's.
    runtime: Option<Handle>,
}

impl Reader {
    /// At most `loads` at the same time; the others wait in turn. Loads on threads of the present runtime or, if there is none, of who asks.
    pub(crate) fn new(store: Arc<dyn DocumentStore>, loads: usize) -> Self {
        let loads = Arc::new(Semaphore::new(loads.clamp(1, Semaphore::MAX_PERMITS)));
        Self { store, loads, runtime: Handle::try_current().ok() }
    }

    fn spawn_blocking<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> JoinHandle<T> {
        match &self.runtime {
            Some(runtime) => runtime.spawn_blocking(work),
            None => task::spawn_blocking(work),
        }
    }

    /// Loads the document and makes something of it, both on a blocking thread. If the caller goes away, a load that
    /// has begun runs to its end.
    pub(crate) async fn load<T: Send + 'static>(
        &self,
        doc: DocId,
        make: impl FnOnce(Content) -> T + Send + 'static,
    ) -> Result<T, LoadError> {
        // The semaphore is never closed.
        let permit = Arc::clone(&self.loads).acquire_owned().await.map_err(|_| LoadError::Panicked)?;
        let store = Arc::clone(&self.store);
        let loading = self.spawn_blocking(move || {
            let _permit = permit;
            content(&*store, &doc).map(make)
        });
        loading.await.unwrap_or(Err(LoadError::Panicked))
    }

    /// Reads what others have stored of a document behind a seq.
    pub(crate) async fn tail(&self, doc: DocId, epoch: Epoch, after: Seq) -> TailRead {
        // The semaphore is never closed.
        let Ok(permit) = Arc::clone(&self.loads).acquire_owned().await else { return TailRead::Failed };
        let store = Arc::clone(&self.store);
        let reading = self.spawn_blocking(move || {
            let _permit = permit;
            tail(&*store, &doc, epoch, after)
        });
        reading.await.unwrap_or(TailRead::Failed)
    }
}

fn tail(store: &dyn DocumentStore, doc: &DocId, epoch: Epoch, after: Seq) -> TailRead {
    match store.tail(doc, epoch, after) {
        Ok(tail) => match tail.parts.into_iter().map(Update::parse).collect() {
            Ok(parts) => TailRead::Tail { seq: tail.seq, parts },
            Err(error) => {
                tracing::error!(%doc, %error, "what other servers have stored is no update");
                TailRead::Failed
            }
        },
        // Nobody has written anything yet.
        Err(StoreError::NotFound { .. }) if after == Seq(0) => {
            TailRead::Tail { seq: after, parts: Vec::new() }
        }
        Err(StoreError::Deleted { .. } | StoreError::NotFound { .. }) => TailRead::Deleted,
        Err(StoreError::StaleEpoch { .. }) => TailRead::OtherEpoch(epoch),
        Err(error) => {
            tracing::error!(%doc, %error, "what other servers have stored cannot be read; trying again");
            TailRead::Failed
        }
    }
}

fn content(store: &dyn DocumentStore, doc: &DocId) -> Result<Content, LoadError> {
    let stored = match store.load(doc) {
        Ok(Some(stored)) => stored,
        Ok(None) => {
            return Ok(Content {
                epoch: Epoch::FIRST,
                exists: false,
                seq: Seq::default(),
                dead: StateVector::default(),
                replica: Replica::new(),
                whole: None,
                updates: 0,
                bytes: 0,
            });
        }
        Err(StoreError::Deleted { .. }) => return Err(LoadError::Deleted),
        Err(error @ StoreError::Engine(_)) => return Err(LoadError::Unavailable(error.to_string())),
        Err(error) => return Err(LoadError::Damaged(error.to_string())),
    };
    let Stored { epoch, seq, snapshot, updates, dead } = stored;
    let parts = || snapshot.iter().chain(&updates);
    let (count, bytes) = (parts().count(), parts().map(Bytes::len).sum());
    let log: Result<Vec<_>, _> = updates.into_iter().map(Update::parse).collect();
    let built = log.and_then(|log| Replica::from_stored(snapshot, &log));
    let (replica, whole) = built.map_err(|error| {
        LoadError::Damaged(format!("document {:?} holds something that is no update: {error}", doc.as_str()))
    })?;
    Ok(Content { epoch, exists: true, seq, dead, replica, whole, updates: count, bytes })
}
