//! What a client speaks: the same messages, written in its way.

use bytes::Bytes;

use super::frame::FrameError;
use super::hocuspocus::{self, Address};
use super::{Message, frame, quire, ysweet};
use crate::limits::Limits;

/// The protocol of a session. Cheap to clone.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Dialect {
    /// y-websocket 1 to 4: a client learns that an edit is stored by getting it back.
    #[default]
    YWebsocket,
    /// y-sweet: it gets back the count of its changes.
    YSweet,
    /// quire-client: the same, and it is told when an edit is not taken.
    Quire,
    /// Hocuspocus 2 to 4: a status for each update. Holds the address that its frames carry.
    Hocuspocus(Address),
}

impl Dialect {
    /// Writes a message as one frame. `None` if the dialect has no such message.
    pub fn encode(&self, message: &Message) -> Option<Bytes> {
        match self {
            Self::YWebsocket => frame::encode(message),
            Self::YSweet => ysweet::encode(message),
            Self::Quire => quire::encode(message),
            Self::Hocuspocus(address) => hocuspocus::encode_message(address, message),
        }
    }

    /// Reads a frame of a connection that is for one document. A Hocuspocus connection is not; it reads its frames with
    /// [`hocuspocus::decode`], and what is not a message of the sync protocol for this address is passed over here.
    pub fn decode(&self, bytes: &Bytes, limits: &Limits) -> Result<Vec<Message>, FrameError> {
        match self {
            Self::YWebsocket => frame::decode(bytes, limits),
            Self::YSweet => ysweet::decode(bytes, limits),
            Self::Quire => quire::decode(bytes, limits),
            Self::Hocuspocus(own) => match hocuspocus::decode(bytes, limits)? {
                hocuspocus::Frame::Document { address, body } if address == *own => match body? {
                    hocuspocus::Body::Message(message) => Ok(vec![message]),
                    _ => Ok(Vec::new()),
                },
                _ => Ok(Vec::new()),
            },
        }
    }
}
