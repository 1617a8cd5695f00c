//! Archives: everything that a store holds, as one stream of bytes.
//!
//! An archive is made from a store that is in use. Each document in it is whole, as it was at some moment while the archive was
//! made; everything that was stored before it was begun is in it. It is restored into a store of its own, which gets
//! its place only when all of it is there. FORMAT.md describes the bytes.

mod frame;
mod reader;
mod writer;

use std::fs;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use quire_sync_protocol::DocId;

pub use self::reader::{ArchiveError, ArchiveReader, Item};
pub use self::writer::ArchiveWriter;
use crate::engines::witness;
use crate::error::{OpenError, StoreError};
use crate::folder::{self, Folder};
use crate::postgres::{PostgresStore, PostgresUrl, Use};
use crate::spec::{StoreSpec, open};
use crate::store::DocumentStore;

/// Names that are looked up at once.
const PAGE: usize = 1000;

/// What is in an archive.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    /// Documents.
    pub documents: u64,
    /// Deleted documents, of which only the tombstone is left.
    pub tombstones: u64,
    /// Documents that could not be read when the archive was made. Their content is not in it.
    pub damaged: Vec<DocId>,
}

/// Why no archive was made.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    /// The store as a whole cannot be read.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The archive cannot be written.
    #[error("the archive cannot be written: {0}")]
    Write(#[from] io::Error),
}

/// Writes everything that a store holds. A document that is damaged is named instead. `progress` is told after each name how many
/// bytes of content were written for it.
pub fn backup(
    store: &dyn DocumentStore,
    out: impl Write,
    created: u64,
    progress: &mut dyn FnMut(&DocId, u64),
) -> Result<Summary, BackupError> {
    let mut writer = ArchiveWriter::begin(out, created)?;
    for names in [Names::Documents, Names::Graves] {
        let mut after: Option<DocId> = None;
        loop {
            let page = names.page(store, after.as_ref())?;
            for doc in &page {
                match store.inspect().whole(doc) {
                    // A document that was deleted since it was listed comes among the graves, and one that was made anew since
                    // then is there already.
                    Ok(Some(whole)) if names == Names::Documents || whole.document.is_none() => {
                        progress(doc, writer.put(doc, &whole)?);
                    }
                    Ok(_) => {}
                    Err(error) if error.doc().is_some() => {
                        tracing::error!(%doc, %error, "a document is damaged and not in the archive");
                        writer.put_damaged(doc)?;
                        progress(doc, 0);
                    }
                    Err(error) => return Err(error.into()),
                }
            }
            let is_last = page.len() < PAGE;
            after = page.into_iter().last();
            if is_last {
                break;
            }
        }
    }
    Ok(writer.end()?)
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Names {
    Documents,
    Graves,
}

impl Names {
    fn page(self, store: &dyn DocumentStore, after: Option<&DocId>) -> Result<Vec<DocId>, StoreError> {
        match self {
            Self::Documents => Ok(store.list(after, PAGE)?.into_iter().map(|listed| listed.doc).collect()),
            Self::Graves => store.inspect().graves(after, PAGE),
        }
    }
}

/// Why nothing was restored.
#[derive(Debug, thiserror::Error)]
pub enum RestoreError {
    /// There is a store already.
    #[error(
        "there is a store already: {}; restore into an empty folder, or move it away first", path.display()
    )]
    NotEmpty {
        /// Its file or folder.
        path: PathBuf,
    },
    /// There is something in the database already.
    #[error("there is a store already in {address}; restore into an empty database")]
    DatabaseNotEmpty {
        /// Where it is, without the password.
        address: String,
    },
    /// A store in memory would be gone at once.
    #[error("a store in memory cannot be restored into")]
    Memory,
    /// The archive is not whole.
    #[error(transparent)]
    Archive(#[from] ArchiveError),
    /// The new store cannot be opened.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// The new store cannot be written.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The new store cannot be put into its place.
    #[error("the restored store cannot be put into {}: {source}", path.display())]
    Place {
        /// The data folder.
        path: PathBuf,
        /// The system's error.
        source: io::Error,
    },
}

/// Makes a store of an archive. It gets its place when it is whole and synced, and not at all after an error. `progress` is told
/// after each name how many bytes of content were read for it.
pub fn restore(
    spec: &StoreSpec,
    archive: impl Read,
    progress: &mut dyn FnMut(&DocId, u64),
) -> Result<Summary, RestoreError> {
    if let StoreSpec::Postgres(url) = spec {
        return restore_into_database(url, archive, progress);
    }
    let (path, file) = spec.files().ok_or(RestoreError::Memory)?;
    let place = |source| RestoreError::Place { path: path.to_owned(), source };
    let _folder = Folder::open(path)?;
    let target = path.join(file);
    if target.try_exists().map_err(place)? {
        return Err(RestoreError::NotEmpty { path: target });
    }
    let unfinished = path.join("quire.restoring");
    if unfinished.is_dir() {
        fs::remove_dir_all(&unfinished).map_err(place)?;
    }
    let summary = fill(&spec.at(&unfinished), archive, progress);
    let summary = match summary {
        Ok(summary) => summary,
        Err(error) => {
            // What went wrong counts; the rest of the attempt is removed by the next one at the latest.
            let _ = fs::remove_dir_all(&unfinished);
            return Err(error);
        }
    };
    put_in_place(&unfinished, file, path).map_err(place)?;
    Ok(summary)
}

fn fill(
    spec: &StoreSpec,
    archive: impl Read,
    progress: &mut dyn FnMut(&DocId, u64),
) -> Result<Summary, RestoreError> {
    let store = open(spec)?;
    put_all(&*store, archive, progress)
}

/// The database says that it holds a part until it holds all.
fn restore_into_database(
    url: &PostgresUrl,
    archive: impl Read,
    progress: &mut dyn FnMut(&DocId, u64),
) -> Result<Summary, RestoreError> {
    let store = PostgresStore::open_anyhow(url, Use::Sole)?;
    if !store.begin_restoring()? {
        return Err(RestoreError::DatabaseNotEmpty { address: url.to_string() });
    }
    let summary = put_all(&store, archive, progress);
    // What went wrong first counts; a part that cannot be removed now is removed by the next attempt.
    let ended = store.end_restoring(summary.is_ok());
    let summary = summary?;
    ended?;
    Ok(summary)
}

fn put_all(
    store: &dyn DocumentStore,
    archive: impl Read,
    progress: &mut dyn FnMut(&DocId, u64),
) -> Result<Summary, RestoreError> {
    let mut reader = ArchiveReader::begin(archive)?;
    while let Some(item) = reader.next_item()? {
        match item {
            Item::Name { doc, whole } => {
                store.inspect().put_whole(&doc, &whole)?;
                progress(&doc, whole.bytes());
            }
            Item::Damaged(doc) => progress(&doc, 0),
        }
    }
    store.flush()?;
    Ok(reader.summary().clone())
}

/// One rename makes the store appear.
fn put_in_place(unfinished: &Path, file: &str, folder: &Path) -> io::Result<()> {
    // The count of commits that an earlier store has left says nothing of this one.
    let witness = folder.join(witness::beside(file));
    if witness.try_exists()? {
        fs::remove_file(witness)?;
        folder::sync(folder)?;
    }
    fs::rename(unfinished.join(file), folder.join(file))?;
    folder::sync(folder)?;
    fs::remove_dir_all(unfinished)?;
    folder::sync(folder)
}
