//! The Yjs sync protocol without I/O.
//!
//! A [`room::Room`] gathers the sessions of one document. It takes messages and the time, and returns what is
//! to be stored and sent; it reads no clock, opens no socket and needs no runtime. The document itself is a
//! [`replica::Replica`]: the bytes its clients wrote, united without being understood.
//!
//! **The one invariant of use:** after every `handle_*` and `flush` call, drain [`room::Room::poll_output`] until it
//! returns `None`, and carry out the outputs in that order.

pub mod id;
pub mod limits;
#[cfg(feature = "yrs")]
pub mod peer;
mod presence;
mod receipts;
pub mod replica;
pub mod room;
pub mod session;
pub mod state_vector;
pub mod update;
pub mod wire;

pub use id::{ClientId, Clock, DocId, DocIdError, Id, NodeId, Origin, SessionId};
pub use limits::Limits;
pub use presence::{PresenceChange, PresenceEntry, Present};
pub use replica::Replica;
pub use room::{Output, Room, RoomConfig, RoomEvent, Ticket, To};
pub use session::{Access, SessionSetup};
pub use state_vector::StateVector;
pub use update::{Update, UpdateError};
pub use wire::Message;
pub use wire::awareness::AwarenessUpdate;
pub use wire::dialect::Dialect;
