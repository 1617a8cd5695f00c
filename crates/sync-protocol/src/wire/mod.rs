//! Messages and their encodings.

pub mod awareness;
pub mod dialect;
pub mod frame;
pub mod hocuspocus;
pub mod items;
pub mod quire;
pub mod varint;
pub mod ysweet;

use std::sync::Arc;

use bytes::Bytes;

use crate::state_vector::StateVector;
use crate::update::Update;
use awareness::AwarenessUpdate;

/// One message of the sync protocol, whatever the dialect that carries it. Cheap to clone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Message {
    /// Asks for what the sender, at this state vector, lacks.
    SyncStep1(StateVector),
    /// Answers a [`Message::SyncStep1`].
    SyncStep2(Update),
    /// New content.
    Update(Update),
    /// Presence states.
    Awareness(AwarenessUpdate),
    /// Asks for all presence states.
    QueryAwareness,
    /// Tells a client that something was refused, with a reason for people.
    Denied(String),
    /// Tells a Hocuspocus client what became of an update or an answer of its.
    SyncStatus {
        /// It is stored; otherwise it was not taken.
        applied: bool,
        /// Of how many. The message is sent so many times.
        times: u32,
    },
    /// A y-sweet client's or quire-client's count of its changes, in an encoding of its own. It gets it back when all is
    /// stored that it sent before.
    Version(Bytes),
    /// From one client to the others that speak a dialect with such messages (Hocuspocus, quire-client): a text of the
    /// application, which is not stored.
    Stateless(Arc<str>),
    /// Tells quire-client whether what it sends can be stored at present.
    Storing(bool),
}
