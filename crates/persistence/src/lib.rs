//! Durable documents.
//!
//! A [`DocumentStore`] keeps for every document a log of updates and at most one snapshot of everything before it. Its one promise:
//! what `append` has returned for is on the device, and comes back whole or not at all. A record that is not what was written
//! is an error that names its document; it is never skipped, and never an empty document.
//!
//! All calls block and none needs a runtime. The format is described in `FORMAT.md` beside this crate.
//!
//! ```
//! use quire_persistence::{Append, Epoch, StoreSpec};
//! use quire_sync_protocol::{DocId, Update};
//!
//! let folder = tempfile::tempdir()?;
//! let store = quire_persistence::open(&StoreSpec::Redb(folder.path().into()))?;
//! let doc = DocId::new("notes/today")?;
//!
//! let update = Update::empty().bytes().clone();
//! let seqs = store.append(&[Append { doc: doc.clone(), epoch: Epoch::FIRST, update }])?;
//! store.compact(&doc)?;
//!
//! let stored = store.load(&doc)?.expect("it has just been stored");
//! assert_eq!(stored.seq, seqs[0]);
//! assert!(stored.snapshot.is_some() && stored.updates.is_empty());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! A store of one's own over another ordered map is an [`engine::Engine`] under a [`LocalStore`].

pub mod archive;
pub mod engine;
pub mod engines;
pub mod error;
mod folder;
pub mod inbox;
pub mod inspect;
mod keys;
pub mod local;
pub mod postgres;
mod record;
pub mod spec;
pub mod store;

pub use error::{Damage, EngineError, Fault, OpenError, Place, StoreError};
pub use inbox::{Inbox, Inboxes, Marks, Notification, Posted, Posting, UserId};
pub use inspect::{Checked, Grave, Inspect, Repaired, Space, Whole};
pub use local::LocalStore;
pub use postgres::{PostgresStore, PostgresUrl, Use};
pub use spec::{StoreSpec, StoreSpecError, open, open_for};
pub use store::{
    Append, Compacted, Created, DocumentInfo, DocumentStore, Epoch, Head, Listed, Seq, Stored, Swept, Tail,
};
