//! The engines.

pub mod faulty;
pub mod memory;
pub mod redb;
mod reopening;
pub mod sled;
pub(crate) mod witness;

pub use faulty::FaultyEngine;
pub use memory::MemoryEngine;
pub use redb::RedbEngine;
pub use reopening::panic_is_contained;
pub use sled::SledEngine;
