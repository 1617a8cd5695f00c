//! Frames of the y-websocket dialect: the messages of y-protocols, one after another, usually one a frame.
//!
//! | first | then |
//! |---|---|
//! | 0 sync | 0 `SyncStep1` and a state vector, 1 `SyncStep2` or 2 Update and an update, each with its length first |
//! | 1 awareness | an awareness update with its length in front |
//! | 2 auth | 0 and a reason: denied |
//! | 3 query awareness | nothing |
//!
//! Other first numbers are private extensions; the clients of this dialect pass over them, and so does this. As
//! nothing tells their length, the rest of such a frame goes with them.

use bytes::Bytes;

use super::Message;
use crate::limits::Limits;
use crate::state_vector::StateVector;
use crate::update::{Update, UpdateError};
use crate::wire::awareness::{AwarenessError, AwarenessUpdate};
use crate::wire::varint::{ReadError, Reader, write_var_bytes, write_var_uint};

const SYNC: u64 = 0;
const AWARENESS: u64 = 1;
const AUTH: u64 = 2;
const QUERY_AWARENESS: u64 = 3;

const SYNC_STEP_1: u64 = 0;
const SYNC_STEP_2: u64 = 1;
const UPDATE: u64 = 2;

const DENIED: u64 = 0;

/// Why a frame was refused. The sender's fault in every case; its connection is to be closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    /// The frame has no bytes.
    #[error("the frame is empty")]
    Empty,
    /// A number, string or count could not be read.
    #[error(transparent)]
    Unreadable(#[from] ReadError),
    /// A sync message is of none of the three kinds; holds its number.
    #[error("unknown kind of sync message {0}")]
    UnknownSync(u64),
    /// An auth message is not a refusal; holds its number.
    #[error("unknown kind of auth message {0}")]
    UnknownAuth(u64),
    /// More messages than [`Limits::frame_messages`].
    #[error("a frame holds more than {0} messages")]
    TooManyMessages(usize),
    /// A state vector could not be read.
    #[error("a state vector: {0}")]
    StateVector(ReadError),
    /// A state vector is larger than [`Limits::state_vector_bytes`].
    #[error("a state vector is larger than {0} bytes")]
    StateVectorTooLarge(usize),
    /// An update was refused.
    #[error("an update: {0}")]
    Update(#[from] UpdateError),
    /// An awareness update was refused.
    #[error(transparent)]
    Awareness(#[from] AwarenessError),
    /// An address is longer than [`Address::MAX_BYTES`](super::hocuspocus::Address::MAX_BYTES).
    #[error("an address is longer than {0} bytes")]
    AddressTooLong(usize),
    /// A scope is neither of the two.
    #[error("unknown scope")]
    UnknownScope,
    /// A message that only servers send each other; holds its number.
    #[error("message {0} goes between servers only")]
    BetweenServers(u64),
    /// A token is larger than [`Limits::token_bytes`].
    #[error("a token is larger than {0} bytes")]
    TokenTooLarge(usize),
    /// A stateless message is larger than [`Limits::stateless_bytes`].
    #[error("a stateless message is larger than {0} bytes")]
    StatelessTooLarge(usize),
    /// A version is larger than [`MAX_VERSION_BYTES`](super::ysweet::MAX_VERSION_BYTES).
    #[error("a version is larger than {0} bytes")]
    VersionTooLarge(usize),
}

impl FrameError {
    /// Whether the frame could be read but exceeds a limit.
    pub fn is_too_large(&self) -> bool {
        match self {
            Self::StateVectorTooLarge(_)
            | Self::AddressTooLong(_)
            | Self::TokenTooLarge(_)
            | Self::StatelessTooLarge(_)
            | Self::VersionTooLarge(_)
            | Self::Awareness(AwarenessError::TooLarge(_) | AwarenessError::StateTooLarge(_)) => true,
            Self::Empty
            | Self::Unreadable(_)
            | Self::UnknownSync(_)
            | Self::UnknownAuth(_)
            | Self::TooManyMessages(_)
            | Self::StateVector(_)
            | Self::Update(_)
            | Self::UnknownScope
            | Self::BetweenServers(_)
            | Self::Awareness(_) => false,
        }
    }
}

/// What a dialect makes of a message number.
pub(super) enum Passed {
    /// It has none of its own for it.
    No,
    /// This.
    Message(Message),
}

/// Splits a frame into its messages. Content is not copied: messages share the frame's bytes.
pub fn decode(frame: &Bytes, limits: &Limits) -> Result<Vec<Message>, FrameError> {
    decode_with(frame, limits, |_, _| Ok(Passed::No))
}

/// Splits a frame into its messages, some of which are `own` to a dialect.
pub(super) fn decode_with(
    frame: &Bytes,
    limits: &Limits,
    own: impl Fn(u64, &mut Reader<'_>) -> Result<Passed, FrameError>,
) -> Result<Vec<Message>, FrameError> {
    if frame.is_empty() {
        return Err(FrameError::Empty);
    }
    let mut messages = Vec::with_capacity(1);
    let mut reader = Reader::new(frame);
    while !reader.is_empty() {
        if messages.len() == limits.frame_messages {
            return Err(FrameError::TooManyMessages(limits.frame_messages));
        }
        let number = reader.var_uint()?;
        if let Passed::Message(message) = own(number, &mut reader)? {
            messages.push(message);
            continue;
        }
        messages.push(match number {
            SYNC => decode_sync(&mut reader, frame, limits)?,
            AWARENESS => {
                Message::Awareness(AwarenessUpdate::parse(frame.slice_ref(reader.var_bytes()?), limits)?)
            }
            AUTH => match reader.var_uint()? {
                DENIED => Message::Denied(reader.var_string()?.into()),
                other => return Err(FrameError::UnknownAuth(other)),
            },
            QUERY_AWARENESS => Message::QueryAwareness,
            _ => break,
        });
    }
    Ok(messages)
}

/// Reads a sync message, behind the number that says that it is one.
pub(super) fn decode_sync(
    reader: &mut Reader<'_>,
    frame: &Bytes,
    limits: &Limits,
) -> Result<Message, FrameError> {
    Ok(match reader.var_uint()? {
        SYNC_STEP_1 => {
            let bytes = reader.var_bytes()?;
            if bytes.len() > limits.state_vector_bytes {
                return Err(FrameError::StateVectorTooLarge(limits.state_vector_bytes));
            }
            Message::SyncStep1(StateVector::decode(bytes).map_err(FrameError::StateVector)?)
        }
        SYNC_STEP_2 => Message::SyncStep2(Update::parse(frame.slice_ref(reader.var_bytes()?))?),
        UPDATE => Message::Update(Update::parse(frame.slice_ref(reader.var_bytes()?))?),
        other => return Err(FrameError::UnknownSync(other)),
    })
}

/// Encodes one message as one frame: clients up to y-websocket 3 read only the first message of a frame. `None` for a
/// message that this dialect does not have.
pub fn encode(message: &Message) -> Option<Bytes> {
    let mut out = Vec::new();
    match message {
        Message::SyncStep1(_) | Message::SyncStep2(_) | Message::Update(_) => {
            write_var_uint(&mut out, SYNC);
            encode_sync(&mut out, message);
        }
        Message::Awareness(update) => {
            out = head(&[AWARENESS], update.bytes().len());
            write_var_bytes(&mut out, update.bytes());
        }
        Message::QueryAwareness => out = head(&[QUERY_AWARENESS], 0),
        Message::Denied(reason) => {
            out = head(&[AUTH, DENIED], reason.len());
            write_var_bytes(&mut out, reason.as_bytes());
        }
        Message::SyncStatus { .. } | Message::Version(_) | Message::Stateless(_) | Message::Storing(_) => {
            return None;
        }
    }
    Some(out.into())
}

/// Appends a sync message, without the number that says that it is one. Other messages append nothing.
pub(super) fn encode_sync(out: &mut Vec<u8>, message: &Message) {
    let vector;
    let (kind, payload) = match message {
        Message::SyncStep1(asked) => {
            vector = asked.encode();
            (SYNC_STEP_1, vector.as_ref())
        }
        Message::SyncStep2(update) => (SYNC_STEP_2, update.bytes().as_ref()),
        Message::Update(update) => (UPDATE, update.bytes().as_ref()),
        Message::Awareness(_)
        | Message::QueryAwareness
        | Message::Denied(_)
        | Message::SyncStatus { .. }
        | Message::Version(_)
        | Message::Stateless(_)
        | Message::Storing(_) => return,
    };
    out.reserve_exact(payload.len() + 6);
    write_var_uint(out, kind);
    write_var_bytes(out, payload);
}

fn head(numbers: &[u64], payload: usize) -> Vec<u8> {
    let mut out = Vec::with_capacity(numbers.len() + 5 + payload);
    for number in numbers {
        write_var_uint(&mut out, *number);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::awareness::AwarenessEntry;
    use crate::{ClientId, Id};

    fn messages() -> Vec<Message> {
        let update = Update::parse(Bytes::from_static(&[1, 1, 1, 0, 4, 1, 1, b't', 1, b'a', 0])).unwrap();
        let vector = [(Id { client: ClientId::MAX, clock: 0 }.client, 7)].into_iter().collect();
        let presence = AwarenessEntry { client: ClientId::MIN, clock: 1, state: Some("{}") };
        vec![
            Message::SyncStep1(vector),
            Message::SyncStep2(Update::empty()),
            Message::Update(update),
            Message::Awareness(AwarenessUpdate::encode([presence])),
            Message::QueryAwareness,
            Message::Denied("read only".into()),
        ]
    }

    #[test]
    fn messages_survive_alone_and_packed() {
        let limits = Limits::default();
        let mut packed = Vec::new();
        for message in messages() {
            let frame = encode(&message).unwrap();
            assert_eq!(decode(&frame, &limits), Ok(vec![message]));
            packed.extend_from_slice(&frame);
        }
        assert_eq!(decode(&packed.into(), &limits), Ok(messages()));
    }

    #[test]
    fn a_frame_cut_anywhere_is_refused() {
        for message in messages() {
            let frame = encode(&message).unwrap();
            for cut in 0..frame.len() {
                assert!(decode(&frame.slice(..cut), &Limits::default()).is_err(), "{message:?} at {cut}");
            }
        }
    }

    #[test]
    fn private_extensions_are_passed_over() {
        let limits = Limits::default();
        for number in 4..=127u8 {
            assert_eq!(decode(&Bytes::from(vec![number, 0xff, 0xff]), &limits), Ok(vec![]));
        }
        assert_eq!(decode(&Bytes::from_static(&[0, 3, 2]), &limits), Err(FrameError::UnknownSync(3)));
        assert_eq!(decode(&Bytes::from_static(&[3; 65]), &limits), Err(FrameError::TooManyMessages(64)));
        assert_eq!(decode(&Bytes::new(), &limits), Err(FrameError::Empty));
        assert!(decode(&Bytes::from_static(&[0xff; 10]), &limits).is_err());
    }
}
