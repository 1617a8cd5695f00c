//! The engines.

pub mod faulty;
pub mod memory;
pub mod redb;
mod reopening;
pub mod sled;

pub use faulty::FaultyEngine;
pub use memory::MemoryEngine;
pub use redb::RedbEngine;
pub use sled::SledEngine;
