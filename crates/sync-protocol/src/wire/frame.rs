//! Frames of the y-websocket dialect.

use bytes::Bytes;

use super::Message;
use crate::limits::Limits;

/// Why a frame was refused. The connection that sent it is to be closed.
#[derive(Debug, thiserror::Error)]
pub enum FrameError {
    /// Ended early.
    #[error("the frame ends in the middle of {0}")]
    Truncated(&'static str),
}

/// Splits a frame into its messages.
pub fn decode(frame: &Bytes, limits: &Limits) -> Result<Vec<Message>, FrameError> {
    let _ = (frame, limits);
    todo!()
}

/// Encodes one message as one frame.
pub fn encode(message: &Message) -> Bytes {
    let _ = message;
    todo!()
}
