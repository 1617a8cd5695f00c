//! A relay without Redis: several nodes in one process.
//!
//! [`Network`] is what lies between nodes, as a pure state machine: the time is passed in, chance comes from a seed, and it delays,
//! loses and reorders as it is told to, so that whole clusters can be simulated. [`MemoryNetwork`] runs one on tokio's clock and gives
//! each node a [`MemoryRelay`], for tests with real servers and for embedders with several in one process.

mod chance;
mod network;
mod relay;
#[cfg(test)]
mod tests;

pub use chance::Chance;
pub use network::{Network, Weather};
pub use relay::{MemoryNetwork, MemoryRelay};
