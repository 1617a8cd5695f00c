//! What the nodes of a cluster tell each other.
//!
//! Nodes share one store, and the store's log is the one order of a document's edits. A [`Relay`] carries, from node to node, what has just
//! been stored and what is never stored (presence, broadcasts, bells). It may lose, delay and reorder whatever it carries:
//! a [`Follower`] notices what a node lacks of the log, and the node reads that from the store. So the relay makes things quick,
//! and the store makes them right.
//!
//! The contract on the wire is described in `RELAY.md` beside this crate.

pub mod cursor;
pub mod envelope;
pub mod events;
pub mod follower;
pub mod gossip;
pub mod memory;
pub mod message;
pub mod outgoing;
pub mod redis;
pub mod relay;

pub use cursor::Cursor;
pub use events::{Capacity, Events};
pub use follower::Follower;
pub use gossip::{Gossip, Read};
pub use memory::{MemoryNetwork, MemoryRelay};
pub use message::Message;
pub use outgoing::Outgoing;
pub use quire_sync_protocol::PresenceEntry;
pub use redis::{RedisConfig, RedisRelay};
pub use relay::{Event, NodeId, Peers, Relay, State, Topic};
