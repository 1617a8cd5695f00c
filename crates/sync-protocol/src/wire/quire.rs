//! Frames of quire-client: those of the y-sweet dialect, and more kinds of messages.
//!
//! | first | then |
//! |---|---|
//! | 103 events | from a client the id of the last event it has, or nothing, with its length in front; from the server an event. Alone in its frame |
//! | 104 broadcast | a text of the application with its length in front, for everybody in the document |
//! | 105 storing | 0 or 1: whether what the client sends can be stored at present |

use bytes::Bytes;

use super::Message;
use super::frame::{self, FrameError, Passed};
use super::varint::{Reader, write_var_bytes, write_var_uint};
use super::ysweet;
use crate::limits::Limits;

const EVENTS: u64 = 103;
const BROADCAST: u64 = 104;
const STORING: u64 = 105;

/// The longest id that a client may have of its last event, in bytes.
const ID_BYTES: usize = 64;

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

/// What a client asks for that wants the events of its user: those behind this id. `None` if the frame is another one, or
/// malformed: then [`decode`] passes over it.
///
/// Events go beside the messages of the sync protocol, between client and connection; no room hears of them.
pub fn asks_for_events(frame: &[u8]) -> Option<&str> {
    let mut reader = Reader::new(frame);
    if reader.var_uint().ok()? != EVENTS {
        return None;
    }
    let id = reader.var_string().ok()?;
    (id.len() <= ID_BYTES && reader.is_empty()).then_some(id)
}

/// An event as a frame. `json`: `{"id", "event", "data"}`.
pub fn event(json: &str) -> Bytes {
    let mut out = Vec::with_capacity(json.len() + 6);
    write_var_uint(&mut out, EVENTS);
    write_var_bytes(&mut out, json.as_bytes());
    out.into()
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
        Message::Storing(storing) => {
            let mut out = Vec::with_capacity(2);
            write_var_uint(&mut out, STORING);
            write_var_uint(&mut out, u64::from(*storing));
            Some(out.into())
        }
        other => ysweet::encode(other),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_go_beside_the_messages() {
        assert_eq!(asks_for_events(&event("00000001.7")), Some("00000001.7"));
        assert_eq!(asks_for_events(&[103, 0]), Some(""));
        for other in
            [&[][..], &[103], &[103, 1], &[103, 0, 0], &[104, 0], &[0, 0, 1, 0], &event(&"x".repeat(65))]
        {
            assert_eq!(asks_for_events(other), None, "{other:?}");
        }
        assert_eq!(decode(&event("{}"), &Limits::default()), Ok(vec![]));
    }

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

    #[test]
    fn whether_edits_are_stored_is_the_servers_word_alone() {
        let told = encode(&Message::Storing(false)).unwrap();
        assert_eq!(&told[..], [105, 0]);
        assert_eq!(decode(&told, &Limits::default()), Ok(vec![]));
    }
}
