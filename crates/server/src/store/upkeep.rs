//! What is done to stored documents beside reading and writing them, on a bounded number of blocking threads.

use std::io::{self, BufWriter};
use std::panic::{self, AssertUnwindSafe};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use quire_persistence::archive::{self, BackupError};
use quire_persistence::{Compacted, Created, DocumentStore, Listed};
use quire_sync_protocol::DocId;
use tokio::sync::{Semaphore, mpsc};

use super::reclaim::{SHORT_WAIT_BYTES, reclaim};
use crate::doc::ChangeError;

/// Calls at a time. Others wait in turn, so that no number of requests takes all threads of the runtime.
const CALLS: usize = 4;

/// Documents that are listed at once while all of them are gone through.
const PAGE: usize = 100;

/// Names that an answer about all documents holds at most.
const NAMES: usize = 1000;

/// What compactions on request did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Compactions {
    /// Documents whose log was replaced by a snapshot.
    pub compacted: u64,
    /// Documents that had no log to replace.
    pub unchanged: u64,
    /// Documents that could not be compacted, the first thousand of them. They are as they were.
    pub failed: Vec<DocId>,
    /// Bytes of snapshots and logs before.
    pub bytes_before: u64,
    /// Bytes of snapshots after.
    pub bytes_after: u64,
}

/// Makes, deletes, lists and compacts stored documents. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Upkeep {
    store: Arc<dyn DocumentStore>,
    calls: Arc<Semaphore>,
    /// Something was deleted since space was last given back; see [`reclaim`](super::reclaim).
    deleted: Arc<AtomicBool>,
    /// One archive at a time: making one reads everything.
    backups: Arc<Semaphore>,
}

/// Pieces of an archive that wait to be taken.
const PIECES: usize = 4;

/// About the size of one.
const PIECE_BYTES: usize = 256 << 10;

/// Hands on what is written, and waits while enough waits.
struct Pieces(mpsc::Sender<Result<Bytes, BackupError>>);

impl io::Write for Pieces {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let sent = self.0.blocking_send(Ok(Bytes::copy_from_slice(bytes)));
        sent.map(|()| bytes.len()).map_err(|_| io::ErrorKind::BrokenPipe.into())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Upkeep {
    pub(crate) fn new(store: Arc<dyn DocumentStore>, deleted: Arc<AtomicBool>) -> Self {
        Self { store, deleted, calls: Arc::new(Semaphore::new(CALLS)), backups: Arc::new(Semaphore::new(1)) }
    }

    /// Makes an empty document if there is none of this name.
    pub(crate) async fn create(&self, doc: DocId) -> Result<Created, ChangeError> {
        self.call(move |store| Ok(store.create(&doc)?)).await
    }

    /// Deletes a document from the store. Whoever calls sees to it that nobody writes it meanwhile.
    pub(crate) async fn delete(&self, doc: DocId) -> Result<(), ChangeError> {
        self.call(move |store| Ok(store.delete(&doc, SystemTime::now())?)).await?;
        self.deleted.store(true, Ordering::Relaxed);
        Ok(())
    }

    /// At most `limit` documents whose names begin with `prefix`, in the order of their names, behind `after`.
    pub(crate) async fn list(
        &self,
        prefix: Option<DocId>,
        after: Option<DocId>,
        limit: usize,
    ) -> Result<Vec<Listed>, ChangeError> {
        self.call(move |store| list(store, prefix.as_ref(), after, limit)).await
    }

    /// Compacts one document.
    pub(crate) async fn compact(&self, doc: DocId) -> Result<Compactions, ChangeError> {
        let mut all = Compactions::default();
        let compacted = self.call(move |store| Ok(store.compact(&doc)?)).await?;
        all.add(compacted);
        Ok(all)
    }

    /// Compacts all documents, one after another, as long as `goes_on` says so. If the caller goes away, it ends after the
    /// present one.
    pub(crate) async fn compact_all(&self, goes_on: impl Fn() -> bool) -> Result<Compactions, ChangeError> {
        let mut all = Compactions::default();
        let mut after: Option<DocId> = None;
        loop {
            let page = self.list(None, after.take(), PAGE).await?;
            let is_last = page.len() < PAGE;
            for listed in page {
                if !goes_on() {
                    return Err(ChangeError::Draining);
                }
                let doc = listed.doc;
                after = Some(doc.clone());
                let name = doc.clone();
                match self.call(move |store| Ok(store.compact(&name)?)).await {
                    Ok(compacted) => all.add(compacted),
                    // Deleted meanwhile.
                    Err(ChangeError::Unknown | ChangeError::Deleted) => {}
                    Err(error) => {
                        tracing::warn!(%doc, %error, "a compaction failed; the document stays as it was");
                        if all.failed.len() < NAMES {
                            all.failed.push(doc);
                        }
                    }
                }
            }
            if is_last {
                break;
            }
        }
        self.call(|store| Ok(reclaim(store, SHORT_WAIT_BYTES)?)).await?;
        Ok(all)
    }

    /// Begins an archive of everything that is stored; `None` if another one is being made. Its pieces are made as fast as
    /// they are taken; after an error, which is the last, it is no whole one. Dropping the receiver ends it.
    pub(crate) fn backup(&self) -> Option<mpsc::Receiver<Result<Bytes, BackupError>>> {
        let turn = Arc::clone(&self.backups).try_acquire_owned().ok()?;
        let store = Arc::clone(&self.store);
        let (pieces, receiver) = mpsc::channel(PIECES);
        tokio::task::spawn_blocking(move || {
            let _turn = turn;
            let created = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
            let out = BufWriter::with_capacity(PIECE_BYTES, Pieces(pieces.clone()));
            match archive::backup(&*store, out, created, &mut |_, _| {}) {
                Ok(summary) => tracing::info!(
                    documents = summary.documents,
                    damaged = summary.damaged.len(),
                    "an archive was made"
                ),
                Err(error) => {
                    tracing::warn!(%error, "an archive was not finished");
                    // Who asked for it may have gone, which may be the reason.
                    let _ = pieces.blocking_send(Err(error));
                }
            }
        });
        Some(receiver)
    }

    /// Runs a call on a blocking thread. If the caller goes away, a call that has begun runs to its end.
    async fn call<T: Send + 'static>(
        &self,
        call: impl FnOnce(&dyn DocumentStore) -> Result<T, ChangeError> + Send + 'static,
    ) -> Result<T, ChangeError> {
        // The semaphore is never closed.
        let permit = Arc::clone(&self.calls).acquire_owned().await.map_err(|_| ChangeError::Internal)?;
        let store = Arc::clone(&self.store);
        let running = tokio::task::spawn_blocking(move || {
            let _permit = permit;
            panic::catch_unwind(AssertUnwindSafe(|| call(&*store)))
        });
        running.await.ok().and_then(Result::ok).unwrap_or(Err(ChangeError::Internal))
    }
}

impl Compactions {
    fn add(&mut self, one: Compacted) {
        if one.updates > 0 {
            self.compacted += 1;
        } else {
            self.unchanged += 1;
        }
        self.bytes_before += one.bytes_before;
        self.bytes_after += one.bytes_after;
    }
}

/// Names with a common beginning stand together; the shortest of them is that beginning itself.
fn list(
    store: &dyn DocumentStore,
    prefix: Option<&DocId>,
    after: Option<DocId>,
    limit: usize,
) -> Result<Vec<Listed>, ChangeError> {
    let Some(prefix) = prefix else { return Ok(store.list(after.as_ref(), limit)?) };
    let mut listed = Vec::new();
    let mut after = after.filter(|after| after >= prefix);
    if after.is_none() {
        match store.info(prefix) {
            Ok(None) => {}
            Ok(Some(info)) => listed.push(Listed { doc: prefix.clone(), info: Ok(info) }),
            Err(error) if error.doc().is_some() => {
                listed.push(Listed { doc: prefix.clone(), info: Err(error) });
            }
            Err(error) => return Err(error.into()),
        }
        after = Some(prefix.clone());
    }
    let rest = store.list(after.as_ref(), limit - listed.len().min(limit))?;
    listed.extend(rest.into_iter().take_while(|other| other.doc.as_str().starts_with(prefix.as_str())));
    Ok(listed)
}

#[cfg(test)]
mod tests {
    use quire_persistence::LocalStore;
    use quire_persistence::engines::MemoryEngine;

    use super::*;

    #[test]
    fn a_listing_goes_through_the_names_with_a_prefix() {
        let store = LocalStore::open(MemoryEngine::new()).unwrap();
        let doc = |name: &str| DocId::new(name).unwrap();
        for name in ["a", "b", "b!", "b/1", "b/2", "c"] {
            store.create(&doc(name)).unwrap();
        }
        let names = |prefix: Option<&str>, after: Option<&str>, limit| {
            let listed = list(&store, prefix.map(doc).as_ref(), after.map(doc), limit).unwrap();
            listed.iter().map(|listed| listed.doc.as_str().to_owned()).collect::<Vec<_>>().join(" ")
        };
        assert_eq!(names(None, None, 10), "a b b! b/1 b/2 c");
        assert_eq!(names(Some("b"), None, 10), "b b! b/1 b/2");
        assert_eq!(names(Some("b"), None, 1), "b");
        assert_eq!(names(Some("b"), Some("b"), 2), "b! b/1");
        assert_eq!(names(Some("b/"), None, 10), "b/1 b/2");
        assert_eq!(names(Some("b/"), Some("a"), 1), "b/1");
        assert_eq!(names(Some("b/"), Some("b/2"), 10), "");
        assert_eq!(names(Some("b"), Some("c"), 10), "");
        assert_eq!(names(Some("d"), None, 10), "");
    }
}
