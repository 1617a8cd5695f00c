//! Frames of quire-client: those of the y-sweet dialect, and more kinds of messages.
//!
//! | first | then |
//! |---|---|
//! | 104 broadcast | a text of the application with its length in front, for everybody in the document |

use bytes::Bytes;

use super::Message;
use super::frame::{self, FrameError, Passed};
use super::varint::{Reader, write_var_bytes, write_var_uint};
use super::ysweet;
use crate::limits::Limits;

const BROADCAST: u64 = 104;

/// Splits a frame into its messages. Content is not copied: messages share the frame's bytes.
pub fn decode(frame: &Bytes, limits: &Limits) -> Result<Vec<Message>, FrameError> {
    frame::decode_with(frame, limits, |number, reader| own(number, reader, frame, limits))
}

fn own(number: u64, reader: &mut Reader<'_>, frame: &Bytes, limits: &Limits) -> Result<Passed, FrameError> {
    if number != BROADCAST {
        return ysweet::own(number, reader, frame, limits);
    }
    let text = reader.var_string()?;
    if text.len() > limits.stateless_bytes {
        return Err(FrameError::StatelessTooLarge(limits.stateless_bytes));
    }
    Ok(Passed::Message(Message::Stateless(text.into())))
}

/// Encodes one message as one frame. `None` for a message that this dialect does not have.
pub fn encode(message: &Message) -> Option<Bytes> {
    match message {
        Message::Stateless(text) => {
            let mut out = Vec::with_capacity(text.len() + 6);
            write_var_uint(&mut out, BROADCAST);
            write_var_bytes(&mut out, text.as_bytes());
            Some(out.into())
        }
        other => ysweet::encode(other),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_broadcast_survives_among_others_and_is_bounded() {
        let limits = Limits { stateless_bytes: 5, ..Limits::default() };
        let messages = [
            Message::Stateless("h\u{e9}llo".get(..4).unwrap().into()),
            Message::Version(Bytes::from_static(&[7])),
            Message::Stateless("".into()),
            Message::QueryAwareness,
        ];
        let packed: Vec<u8> = messages.iter().flat_map(|message| encode(message).unwrap()).collect();
        assert_eq!(decode(&packed.into(), &limits).as_deref(), Ok(&messages[..]));
        let long = encode(&Message::Stateless("123456".into())).unwrap();
        assert_eq!(decode(&long, &limits), Err(FrameError::StatelessTooLarge(5)));
        for cut in 0..long.len() {
            assert!(decode(&long.slice(..cut), &Limits::default()).is_err(), "{cut}");
        }
        assert!(decode(&Bytes::from_static(&[104, 1, 0xff]), &limits).is_err(), "no UTF-8");
    }
}
