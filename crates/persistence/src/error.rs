//! What can go wrong, and whom it concerns.

use std::fmt;
use std::io;
use std::path::PathBuf;

use quire_sync_protocol::{DocId, UpdateError};

use crate::inbox::UserId;
use crate::store::{Epoch, Seq};

/// Why a call to a [`crate::DocumentStore`] failed.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// What is stored of this document is not what was written. Nothing was changed; other documents are not concerned.
    #[error("document {:?} is damaged: {what}", doc.as_str())]
    Damaged {
        /// The document.
        doc: DocId,
        /// Where and how.
        what: Damage,
    },
    /// The update was built on a history that this document no longer has. The caller has to load it again.
    #[error("document {:?} is at epoch {stored}, the update was made for epoch {given}", doc.as_str())]
    StaleEpoch {
        /// The document.
        doc: DocId,
        /// Its present epoch.
        stored: Epoch,
        /// The epoch of the update.
        given: Epoch,
    },
    /// The document was deleted, and nobody has made it anew.
    #[error("document {:?} was deleted", doc.as_str())]
    Deleted {
        /// The document.
        doc: DocId,
    },
    /// Nothing of this document was ever stored.
    #[error("document {:?} is not stored", doc.as_str())]
    NotFound {
        /// The document.
        doc: DocId,
    },
    /// Compaction met bytes that were stored as given, but are no update.
    #[error("document {:?} cannot be compacted: what is stored at seq {seq} is no update: {source}", doc.as_str())]
    NotAnUpdate {
        /// The document.
        doc: DocId,
        /// The update in the log, or the last one of the snapshot.
        seq: Seq,
        /// Why it is none.
        source: UpdateError,
    },
    /// The snapshot made by a compaction does not hold what went into it, so it was not used.
    #[error("document {:?} was not compacted: the new snapshot does not equal the document", doc.as_str())]
    SnapshotDiffers {
        /// The document.
        doc: DocId,
    },
    /// What is stored of this user's inbox is not what was written. Nothing was changed; documents and other inboxes are not
    /// concerned.
    #[error("the inbox of {:?} is damaged: {what}", user.as_str())]
    DamagedInbox {
        /// Whose.
        user: UserId,
        /// Where and how.
        what: Damage,
    },
    /// The engine below could not do its work. It concerns the whole store and may pass (a full disk).
    #[error(transparent)]
    Engine(#[from] EngineError),
}

impl StoreError {
    /// The one document that is concerned; `None` if it is an inbox, or the whole store.
    pub fn doc(&self) -> Option<&DocId> {
        match self {
            Self::Damaged { doc, .. }
            | Self::StaleEpoch { doc, .. }
            | Self::Deleted { doc }
            | Self::NotFound { doc }
            | Self::NotAnUpdate { doc, .. }
            | Self::SnapshotDiffers { doc } => Some(doc),
            Self::DamagedInbox { .. } | Self::Engine(_) => None,
        }
    }
}

/// One damaged place: which record, and what is wrong with it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{place}: {fault}")]
pub struct Damage {
    /// The record.
    pub place: Place,
    /// What is wrong with it.
    pub fault: Fault,
}

/// A key, written in hexadecimal, together with what it stands for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// What should be there.
    pub what: &'static str,
    /// The key, as FORMAT.md describes it.
    pub key: Box<[u8]>,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} at key ", self.what)?;
        self.key.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// What can be wrong with one record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// It is not there, although others say that it was written.
    #[error("the record is missing")]
    Missing,
    /// It is there, although nothing says that it was written.
    #[error("the record should not exist")]
    Unexpected,
    /// It is shorter than a record can be.
    #[error("the record is cut short")]
    Short,
    /// Its format version is not known.
    #[error("the record has format version {0}, which this program does not know")]
    Version(u8),
    /// Its bytes do not match its checksum, or it belongs to another key.
    #[error("the checksum does not match")]
    Checksum,
    /// It is of another kind than its key says.
    #[error("the record is of kind {0}, which does not belong here")]
    Kind(u8),
    /// Its length is not the one it states.
    #[error("the record's length is not the one it states")]
    Length,
    /// Its checksum matches, but its content is not what this program writes.
    #[error("the record's content cannot be read")]
    Content,
}

/// Why an engine could not do what it was asked to.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// The device or the file system refused.
    #[error("{engine} could not {operation}: {source}")]
    Io {
        /// The engine's name.
        engine: &'static str,
        /// What it was doing.
        operation: &'static str,
        /// The system's error.
        source: io::Error,
    },
    /// The engine found its own structures damaged, or gave up in another way.
    #[error("{engine} could not {operation}: {message}")]
    Failed {
        /// The engine's name.
        engine: &'static str,
        /// What it was doing.
        operation: &'static str,
        /// What it said.
        message: String,
    },
}

impl EngineError {
    /// What an operator can do about files that cannot be opened; nothing where the system's error says it.
    fn advice(&self) -> &'static str {
        let is_damage = match self {
            Self::Io { source, .. } => {
                matches!(source.kind(), io::ErrorKind::InvalidData | io::ErrorKind::UnexpectedEof)
            }
            Self::Failed { .. } => true,
        };
        if is_damage { "; if the files are damaged, restore a backup into an empty folder" } else { "" }
    }

    /// Whether the device is full: room on it makes the next attempt succeed.
    pub fn is_storage_full(&self) -> bool {
        match self {
            Self::Io { source, .. } => {
                matches!(source.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
            }
            Self::Failed { .. } => false,
        }
    }
}

/// Why a store could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The folder cannot be made or used.
    #[error("cannot use the data folder {}: {source}", path.display())]
    Folder {
        /// The folder.
        path: PathBuf,
        /// The system's error.
        source: io::Error,
    },
    /// Another process (or another store in this one) has the folder open.
    #[error("the data folder {} is in use by another process (it holds the lock on quire.lock there); stop it first", path.display())]
    InUse {
        /// The folder.
        path: PathBuf,
    },
    /// The engine cannot open its files.
    #[error("cannot open the store in {}: {source}{}", path.display(), source.advice())]
    Files {
        /// The data folder.
        path: PathBuf,
        /// What the engine said.
        source: EngineError,
    },
    /// The store was written by a later version of this program.
    #[error(
        "the store has format {found}, this program knows format {known}; use the later version that wrote it"
    )]
    Format {
        /// The format found.
        found: u32,
        /// The newest format known.
        known: u32,
    },
    /// The record that says which format the store has is damaged.
    #[error("cannot tell the format of the store: {0}")]
    Damaged(Damage),
    /// The database cannot be reached or used.
    #[error("cannot use the database {address}: {source}")]
    Database {
        /// Where it is, without the password.
        address: String,
        /// What it, or the client, said.
        source: EngineError,
    },
    /// Another server has the database.
    #[error(
        "another server uses the database {address}; give every server the same --redis, or stop the other one"
    )]
    DatabaseInUse {
        /// Where it is, without the password.
        address: String,
    },
    /// What the database holds is a part of what was restored into it.
    #[error(
        "a restore into the database {address} has not come to its end; run it again, or remove the schema quire there"
    )]
    Unfinished {
        /// Where it is, without the password.
        address: String,
    },
    /// The engine opened its files, but cannot read or write.
    #[error(transparent)]
    Engine(#[from] EngineError),
}
