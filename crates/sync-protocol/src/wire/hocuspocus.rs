//! Frames of the Hocuspocus dialect, of providers 2 to 4: an address, and one message.
//!
//! | number | message | then |
//! |---|---|---|
//! | 0 | sync | as in the y-websocket dialect |
//! | 1 | awareness | an awareness update with its length in front |
//! | 2 | auth | 0: a token and, from providers since 4, their version; nothing behind the 0 asks for the token. 1 and a reason: refused. 2 and a scope: authenticated |
//! | 3 | query awareness | nothing |
//! | 5 | stateless | a text of the application |
//! | 7 | close | from the server a reason; the document is left, the connection stays |
//! | 8 | sync status | 1: an update is stored, 0: it is not taken |
//!
//! A frame of the one byte 9 is a ping, of 10 a pong; they have no address. 4 and 6 go between servers only. What
//! follows a message in its frame is passed over: so later versions could add to it. Source: the types of Hocuspocus 4.

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;

use super::frame::{FrameError, decode_sync, encode_sync};
use super::{Message, varint};
use crate::limits::Limits;
use crate::session::Access;
use crate::wire::awareness::AwarenessUpdate;
use crate::wire::varint::{Reader, write_var_bytes, write_var_uint};

const SYNC: u64 = 0;
const AWARENESS: u64 = 1;
const AUTH: u64 = 2;
const QUERY_AWARENESS: u64 = 3;
const STATELESS: u64 = 5;
const BROADCAST_STATELESS: u64 = 6;
const CLOSE: u64 = 7;
const SYNC_STATUS: u64 = 8;
const PING: u8 = 9;
const PONG: u8 = 10;

const TOKEN: u64 = 0;
const REFUSED: u64 = 1;
const AUTHENTICATED: u64 = 2;

const READ_WRITE: &str = "read-write";
const READ_ONLY: &str = "readonly";

/// What a frame belongs to: the name of a document, behind which a client that has it open several times on one
/// connection writes NUL and a name for the session. Answers carry the address as the client wrote it. Cheap to clone.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Address(Arc<str>);

impl Address {
    /// The longest address, in bytes.
    pub const MAX_BYTES: usize = 1024;

    /// `None` if it is longer than [`Self::MAX_BYTES`].
    pub fn new(text: &str) -> Option<Self> {
        (text.len() <= Self::MAX_BYTES).then(|| Self(text.into()))
    }

    /// The name of the document. It need not be one that a document can have.
    pub fn document(&self) -> &str {
        self.0.split('\0').next().unwrap_or_default()
    }

    /// Whether it is the name of the document and nothing else, as all sessions write it that share a frame.
    pub fn is_plain(&self) -> bool {
        !self.0.contains('\0')
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.escape_debug().fmt(f)
    }
}

/// A secret by which a client says who it is, empty if it has none. Its `Debug` form does not show it.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Token(String);

impl Token {
    /// The secret.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl From<&str> for Token {
    fn from(token: &str) -> Self {
        Self(token.into())
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(..)")
    }
}

/// One frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Frame {
    /// Asks for a sign of life. Providers before 4 do not know it, and fail on it.
    Ping,
    /// Answers a [`Frame::Ping`].
    Pong,
    /// Something about one document.
    Document {
        /// Of which.
        address: Address,
        /// What; or why it cannot be read, which is no fault of other documents on this connection.
        body: Result<Body, FrameError>,
    },
}

/// What a frame says about its document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Body {
    /// A message of the sync protocol.
    Message(Message),
    /// From a client: its token, empty if it has none.
    Token {
        /// The token.
        token: Token,
        /// The version of the provider, which providers tell since 4.
        version: Option<String>,
    },
    /// From a server: the client is to send its token.
    TokenRequest,
    /// From a server: this token opens nothing. The client may send another.
    Refused(String),
    /// From a server: the document is open, with this right.
    Authenticated(Access),
    /// From a client: it leaves the document. From a server, with a reason: the document is closed to it, and it does not
    /// come back by itself.
    Close(Option<String>),
    /// A message of another number, which clients pass over.
    Unknown(u64),
}

/// Reads a frame of either side. Content is not copied. An error concerns the whole connection: not even an address was
/// there.
pub fn decode(frame: &Bytes, limits: &Limits) -> Result<Frame, FrameError> {
    match frame.as_ref() {
        [] => return Err(FrameError::Empty),
        [PING] => return Ok(Frame::Ping),
        [PONG] => return Ok(Frame::Pong),
        _ => {}
    }
    let mut reader = Reader::new(frame);
    let address = reader.var_string()?;
    let address = Address::new(address).ok_or(FrameError::AddressTooLong(Address::MAX_BYTES))?;
    Ok(Frame::Document { address, body: decode_body(&mut reader, frame, limits) })
}

fn decode_body(reader: &mut Reader<'_>, frame: &Bytes, limits: &Limits) -> Result<Body, FrameError> {
    Ok(match reader.var_uint()? {
        SYNC => Body::Message(decode_sync(reader, frame, limits)?),
        AWARENESS => {
            let update = AwarenessUpdate::parse(frame.slice_ref(reader.var_bytes()?), limits)?;
            Body::Message(Message::Awareness(update))
        }
        AUTH => decode_auth(reader, limits)?,
        QUERY_AWARENESS => Body::Message(Message::QueryAwareness),
        STATELESS => {
            let text = reader.var_string()?;
            if text.len() > limits.stateless_bytes {
                return Err(FrameError::StatelessTooLarge(limits.stateless_bytes));
            }
            Body::Message(Message::Stateless(text.into()))
        }
        other @ BROADCAST_STATELESS => return Err(FrameError::BetweenServers(other)),
        CLOSE => Body::Close(optional_string(reader)?),
        SYNC_STATUS => Body::Message(Message::SyncStatus { applied: reader.var_uint()? == 1, times: 1 }),
        other => Body::Unknown(other),
    })
}

fn decode_auth(reader: &mut Reader<'_>, limits: &Limits) -> Result<Body, FrameError> {
    Ok(match reader.var_uint()? {
        TOKEN if reader.is_empty() => Body::TokenRequest,
        TOKEN => {
            let token = reader.var_string()?;
            if token.len() > limits.token_bytes {
                return Err(FrameError::TokenTooLarge(limits.token_bytes));
            }
            Body::Token { token: token.into(), version: optional_string(reader)? }
        }
        REFUSED => Body::Refused(reader.var_string()?.into()),
        AUTHENTICATED => Body::Authenticated(match reader.var_string()? {
            READ_ONLY => Access::Read,
            READ_WRITE => Access::Write,
            _ => return Err(FrameError::UnknownScope),
        }),
        other => return Err(FrameError::UnknownAuth(other)),
    })
}

fn optional_string(reader: &mut Reader<'_>) -> Result<Option<String>, varint::ReadError> {
    if reader.is_empty() { Ok(None) } else { reader.var_string().map(|text| Some(text.into())) }
}

/// Writes a frame. `None` for a message that this dialect does not have: see [`encode_message`].
pub fn encode(frame: &Frame) -> Option<Bytes> {
    let (address, body) = match frame {
        Frame::Ping => return Some(Bytes::from_static(&[PING])),
        Frame::Pong => return Some(Bytes::from_static(&[PONG])),
        Frame::Document { address, body } => (address, body.as_ref().ok()?),
    };
    if let Body::Message(message) = body {
        return encode_message(address, message);
    }
    Some(encode_body(address, body))
}

/// Writes a message of the sync protocol. `None` for [`Message::Denied`], which would say that the token is refused, and
/// [`Message::Version`].
pub fn encode_message(address: &Address, message: &Message) -> Option<Bytes> {
    let mut out;
    match message {
        Message::SyncStep1(_) | Message::SyncStep2(_) | Message::Update(_) => {
            out = head(address, &[SYNC], 0);
            encode_sync(&mut out, message);
        }
        Message::Awareness(update) => {
            out = head(address, &[AWARENESS], update.bytes().len());
            write_var_bytes(&mut out, update.bytes());
        }
        Message::QueryAwareness => out = head(address, &[QUERY_AWARENESS], 0),
        Message::SyncStatus { applied, times: _ } => {
            out = head(address, &[SYNC_STATUS, u64::from(*applied)], 0);
        }
        Message::Stateless(text) => {
            out = head(address, &[STATELESS], text.len());
            write_var_bytes(&mut out, text.as_bytes());
        }
        Message::Denied(_) | Message::Version(_) | Message::Storing(_) => return None,
    }
    Some(out.into())
}

fn encode_body(address: &Address, body: &Body) -> Bytes {
    let text = |numbers: &[u64], text: &str| {
        let mut out = head(address, numbers, text.len());
        write_var_bytes(&mut out, text.as_bytes());
        out
    };
    let out = match body {
        Body::Message(message) => return encode_message(address, message).unwrap_or_default(),
        Body::Token { token, version } => {
            let mut out = text(&[AUTH, TOKEN], token.reveal());
            if let Some(version) = version {
                write_var_bytes(&mut out, version.as_bytes());
            }
            out
        }
        Body::TokenRequest => head(address, &[AUTH, TOKEN], 0),
        Body::Refused(reason) => text(&[AUTH, REFUSED], reason),
        Body::Authenticated(Access::Read) => text(&[AUTH, AUTHENTICATED], READ_ONLY),
        Body::Authenticated(Access::Write) => text(&[AUTH, AUTHENTICATED], READ_WRITE),
        Body::Close(None) => head(address, &[CLOSE], 0),
        Body::Close(Some(reason)) => text(&[CLOSE], reason),
        Body::Unknown(number) => head(address, &[*number], 0),
    };
    out.into()
}

fn head(address: &Address, numbers: &[u64], payload: usize) -> Vec<u8> {
    let mut out = Vec::with_capacity(address.0.len() + 2 + numbers.len() + 5 + payload);
    write_var_bytes(&mut out, address.0.as_bytes());
    for number in numbers {
        write_var_uint(&mut out, *number);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state_vector::StateVector;
    use crate::update::Update;

    fn frames() -> Vec<Frame> {
        let messages = [
            Message::SyncStep1(StateVector::default()),
            Message::SyncStep2(Update::empty()),
            Message::Update(Update::empty()),
            Message::Awareness(AwarenessUpdate::empty()),
            Message::QueryAwareness,
            Message::SyncStatus { applied: true, times: 1 },
            Message::SyncStatus { applied: false, times: 1 },
            Message::Stateless("x".into()),
        ];
        let others = [
            Body::Token { token: "t".into(), version: None },
            Body::Token { token: "".into(), version: Some("4.8.0".into()) },
            Body::TokenRequest,
            Body::Refused("no".into()),
            Body::Authenticated(Access::Read),
            Body::Authenticated(Access::Write),
            Body::Close(None),
            Body::Close(Some("why".into())),
            Body::Unknown(99),
        ];
        let bodies = messages.map(Body::Message).into_iter().chain(others);
        let addresses = ["doc", "a/b", "same\0session"].map(|text| Address::new(text).unwrap());
        let documents = bodies.flat_map(|body| {
            addresses.clone().map(|address| Frame::Document { address, body: Ok(body.clone()) })
        });
        documents.chain([Frame::Ping, Frame::Pong]).collect()
    }

    #[test]
    fn frames_survive() {
        for frame in frames() {
            assert_eq!(decode(&encode(&frame).unwrap(), &Limits::default()), Ok(frame));
        }
        let address = Address::new("doc").unwrap();
        for message in [Message::Denied("no".into()), Message::Version(Bytes::new())] {
            assert_eq!(encode_message(&address, &message), None);
        }
    }

    #[test]
    fn a_frame_cut_behind_its_address_concerns_its_document_alone() {
        for frame in frames() {
            let Frame::Document { address, .. } = &frame else { continue };
            let bytes = encode(&frame).unwrap();
            let own = 1 + address.0.len();
            for cut in 0..bytes.len() {
                match decode(&bytes.slice(..cut), &Limits::default()) {
                    Ok(Frame::Document { address: read, .. }) => assert!(cut >= own && read == *address),
                    Ok(other) => panic!("{frame:?} cut at {cut} is {other:?}"),
                    Err(_) => assert!(cut < own, "{frame:?} at {cut}"),
                }
            }
        }
    }

    #[test]
    fn a_lone_nine_or_ten_is_no_address() {
        let limits = Limits::default();
        assert_eq!(decode(&Bytes::from_static(&[9]), &limits), Ok(Frame::Ping));
        assert_eq!(decode(&Bytes::from_static(&[10]), &limits), Ok(Frame::Pong));
        assert!(decode(&Bytes::from_static(&[9, 1]), &limits).is_err());
        assert!(decode(&Bytes::from_static(&[8]), &limits).is_err());
        assert_eq!(decode(&Bytes::new(), &limits), Err(FrameError::Empty));
        assert!(decode(&Bytes::from_static(&[2, 0xc3, 0x28, 1, 1, 0]), &limits).is_err());
    }

    #[test]
    fn what_is_for_servers_or_too_large_is_refused() {
        let limits = Limits { stateless_bytes: 2, token_bytes: 2, ..Limits::default() };
        let read = |bytes: &[u8]| match decode(&Bytes::copy_from_slice(bytes), &limits) {
            Ok(Frame::Document { body, .. }) => body,
            other => panic!("{other:?}"),
        };
        assert_eq!(read(&[1, b'd', 6, 1, b'x']), Err(FrameError::BetweenServers(6)));
        assert_eq!(read(&[1, b'd', 5, 3, b'x', b'y', b'z']), Err(FrameError::StatelessTooLarge(2)));
        assert_eq!(read(&[1, b'd', 2, 0, 3, b'x', b'y', b'z']), Err(FrameError::TokenTooLarge(2)));
        assert_eq!(read(&[1, b'd', 2, 3]), Err(FrameError::UnknownAuth(3)));
        assert_eq!(read(&[1, b'd', 2, 2, 1, b'x']), Err(FrameError::UnknownScope));
        let long = [vec![0x81, 0x08], vec![b'x'; 1025], vec![3]].concat();
        assert_eq!(decode(&long.into(), &limits), Err(FrameError::AddressTooLong(1024)));
    }

    #[test]
    fn an_address_is_a_document_and_perhaps_a_session() {
        for (text, document, is_plain) in [("a/b", "a/b", true), ("a\0s", "a", false), ("\0s\0t", "", false)]
        {
            let address = Address::new(text).unwrap();
            assert_eq!((address.document(), address.is_plain()), (document, is_plain));
        }
        assert!(!format!("{:?}", Token::from("secret")).contains("secret"));
    }
}
