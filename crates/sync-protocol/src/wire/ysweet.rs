//! Frames of the y-sweet dialect: those of the y-websocket dialect, and one more kind of message.
//!
//! | first | then |
//! |---|---|
//! | 102 version | the client's count of its changes, in an encoding of its own with its length in front; given back it says that they are saved |
//! | 3 query awareness | from a client an awareness update, which answers a question |

use bytes::Bytes;

use super::frame::{self, FrameError, Passed};
use super::{Message, awareness::AwarenessUpdate};
use crate::limits::Limits;
use crate::wire::varint::{Reader, write_var_bytes, write_var_uint};

const QUERY_AWARENESS: u64 = 3;
const VERSION: u64 = 102;

/// The longest [`Message::Version`], in bytes. Clients write a number, of at most eight.
pub const MAX_VERSION_BYTES: usize = 64;

/// Splits a frame into its messages. Content is not copied: messages share the frame's bytes.
pub fn decode(frame: &Bytes, limits: &Limits) -> Result<Vec<Message>, FrameError> {
    frame::decode_with(frame, limits, |number, reader| own(number, reader, frame, limits))
}

/// Reads a message that is this dialect's own, behind its number.
pub(super) fn own(
    number: u64,
    reader: &mut Reader<'_>,
    frame: &Bytes,
    limits: &Limits,
) -> Result<Passed, FrameError> {
    Ok(match number {
        VERSION => {
            let version = reader.var_bytes()?;
            if version.len() > MAX_VERSION_BYTES {
                return Err(FrameError::VersionTooLarge(MAX_VERSION_BYTES));
            }
            // Copied: it is kept for longer than its frame.
            Passed::Message(Message::Version(Bytes::copy_from_slice(version)))
        }
        QUERY_AWARENESS if !reader.is_empty() => {
            let update = AwarenessUpdate::parse(frame.slice_ref(reader.var_bytes()?), limits)?;
            Passed::Message(Message::Awareness(update))
        }
        _ => Passed::No,
    })
}

/// Encodes one message as one frame. `None` for a message that this dialect does not have.
pub fn encode(message: &Message) -> Option<Bytes> {
    match message {
        Message::Version(version) => {
            let mut out = Vec::with_capacity(version.len() + 2);
            write_var_uint(&mut out, VERSION);
            write_var_bytes(&mut out, version);
            Some(out.into())
        }
        other => frame::encode(other),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::update::Update;

    #[test]
    fn a_version_is_kept_as_it_is_and_may_stand_among_others() {
        let limits = Limits::default();
        let messages = [
            Message::Update(Update::empty()),
            Message::Version(Bytes::from_static(&[0x80, 1])),
            Message::QueryAwareness,
        ];
        let packed: Vec<u8> = messages.iter().flat_map(|message| encode(message).unwrap()).collect();
        assert_eq!(decode(&packed.into(), &limits).as_deref(), Ok(&messages[..]));
        assert_eq!(decode(&Bytes::from_static(&[0x66, 1, 7]), &limits).unwrap().len(), 1);
        assert!(decode(&Bytes::from_static(&[0x66, 2, 7]), &limits).is_err());
        let long = [vec![0x66, 65], vec![0; 65]].concat();
        assert_eq!(decode(&long.into(), &limits), Err(FrameError::VersionTooLarge(64)));
        assert_eq!(encode(&Message::Stateless("x".into())), None);
    }

    #[test]
    fn a_question_for_presence_may_carry_an_answer() {
        let limits = Limits::default();
        let presence = Message::Awareness(AwarenessUpdate::empty());
        assert_eq!(decode(&Bytes::from_static(&[3, 1, 0]), &limits), Ok(vec![presence]));
        assert_eq!(decode(&Bytes::from_static(&[3]), &limits), Ok(vec![Message::QueryAwareness]));
        assert_eq!(decode(&Bytes::from_static(&[0x67, 3]), &limits), Ok(vec![]));
    }
}
