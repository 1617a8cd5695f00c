//! Messages and their encodings.

pub mod awareness;
pub mod frame;
pub mod varint;

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
}
