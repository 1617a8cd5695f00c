//! Places that a store can be closed and opened in.

use std::path::Path;

use quire_persistence::engine::{Engine, KeyRange};
use quire_persistence::engines::faulty::{FaultDuration, FaultEffect, FaultPlan};
use quire_persistence::engines::{FaultyEngine, MemoryEngine, RedbEngine, SledEngine};
use quire_persistence::{DocumentStore, Inboxes, LocalStore, OpenError, PostgresStore, PostgresUrl, Use};
use quire_testkit::postgres::Database;
use tempfile::TempDir;

/// A place for one store, whatever it is built on.
pub(crate) trait Place: Default {
    type Store: DocumentStore + Inboxes;

    /// Opens the store; at most one at a time.
    fn open(&self) -> Self::Store;

    /// The size of what payloads are cut into.
    fn chunk_bytes(store: &Self::Store) -> usize;

    /// How many records there are of names, logs and snapshots.
    fn content_records(&self, store: &Self::Store) -> usize;

    /// How many records there are of inboxes.
    fn inbox_records(&self, store: &Self::Store) -> usize;
}

impl<H: Home> Place for H {
    type Store = LocalStore<H::Engine>;

    fn open(&self) -> Self::Store {
        self.store()
    }

    fn chunk_bytes(store: &Self::Store) -> usize {
        store.engine().chunk_bytes()
    }

    fn content_records(&self, store: &Self::Store) -> usize {
        [2, 3, 4].map(|space| keys(store.engine(), space)).iter().sum()
    }

    fn inbox_records(&self, store: &Self::Store) -> usize {
        keys(store.engine(), 6)
    }
}

/// How many keys there are of this kind.
fn keys(engine: &impl Engine, space: u8) -> usize {
    engine.keys(&KeyRange { from: vec![1, space], to: vec![1, space + 1] }, usize::MAX).unwrap().len()
}

/// A database of a PostgreSQL server.
#[derive(Default)]
pub(crate) struct Postgres(pub(crate) Database);

impl Postgres {
    pub(crate) fn url(&self) -> PostgresUrl {
        PostgresUrl::parse(&self.0.url()).unwrap()
    }

    pub(crate) fn count(&self, what: &str) -> usize {
        self.0.sql(&format!("SELECT count(*) FROM quire.{what}")).parse().unwrap()
    }
}

impl Place for Postgres {
    type Store = PostgresStore;

    fn open(&self) -> PostgresStore {
        PostgresStore::open(&self.url(), Use::Sole).unwrap()
    }

    fn chunk_bytes(_: &PostgresStore) -> usize {
        1 << 20
    }

    fn content_records(&self, _: &PostgresStore) -> usize {
        ["documents", "updates", "snapshots"].iter().map(|table| self.count(table)).sum()
    }

    fn inbox_records(&self, _: &PostgresStore) -> usize {
        // A notification's key is a column, elsewhere a record.
        let all = ["inboxes", "notifications", "notifications WHERE key IS NOT NULL"];
        all.iter().map(|rows| self.count(rows)).sum()
    }
}

/// A place for one store over an engine.
pub(crate) trait Home: Default {
    type Engine: Engine;

    /// Opens the engine; at most one at a time.
    fn engine(&self) -> Self::Engine;

    /// Opens the store; at most one at a time.
    fn store(&self) -> LocalStore<Self::Engine> {
        LocalStore::open(self.engine()).unwrap()
    }
}

/// A home on a device.
pub(crate) trait Folder: Home {
    fn path(&self) -> &Path;

    fn open(path: &Path) -> Result<Self::Engine, OpenError>;
}

pub(crate) struct Redb(TempDir);

pub(crate) struct Sled(TempDir);

#[derive(Default)]
pub(crate) struct Memory(MemoryEngine);

/// The faulty engine, with a fault that never comes.
#[derive(Default)]
pub(crate) struct Faulty(MemoryEngine);

macro_rules! folder {
    ($home:ident, $engine:ident) => {
        impl Default for $home {
            fn default() -> Self {
                Self(tempfile::tempdir().unwrap())
            }
        }

        impl Home for $home {
            type Engine = $engine;

            fn engine(&self) -> $engine {
                $engine::open(self.path()).unwrap()
            }
        }

        impl Folder for $home {
            fn path(&self) -> &Path {
                self.0.path()
            }

            fn open(path: &Path) -> Result<$engine, OpenError> {
                $engine::open(path)
            }
        }
    };
}

folder!(Redb, RedbEngine);
folder!(Sled, SledEngine);

impl Home for Memory {
    type Engine = MemoryEngine;

    fn engine(&self) -> MemoryEngine {
        self.0.clone()
    }
}

impl Home for Faulty {
    type Engine = FaultyEngine<MemoryEngine>;

    fn engine(&self) -> Self::Engine {
        let never = FaultPlan { at: u64::MAX, effect: FaultEffect::Refused, duration: FaultDuration::Once };
        FaultyEngine::new(self.0.clone(), never)
    }
}
