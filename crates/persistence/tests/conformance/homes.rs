//! Places that a store can be closed and opened in.

use std::path::Path;

use quire_persistence::engine::Engine;
use quire_persistence::engines::faulty::{FaultDuration, FaultEffect, FaultPlan};
use quire_persistence::engines::{FaultyEngine, MemoryEngine, RedbEngine, SledEngine};
use quire_persistence::{LocalStore, OpenError};
use tempfile::TempDir;

/// A place for one store.
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
