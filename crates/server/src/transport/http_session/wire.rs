//! The bodies of a session's requests and answers. PROTOCOL.md, section 11, is their contract.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use quire_sync_protocol::wire::items::{self, Item, ItemsError};
use quire_sync_protocol::wire::varint::{write_var_bytes, write_var_uint};

use super::super::close::Close;
use crate::http::ApiError;

impl From<ItemsError> for ApiError {
    fn from(error: ItemsError) -> Self {
        Self::Malformed(error.to_string())
    }
}

/// A place in what a session has sent: behind the item of this number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Cursor {
    /// Of this session, so that no cursor of another is taken for one of its own.
    pub(super) tag: u32,
    pub(super) number: u64,
}

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:08x}.{}", self.tag, self.number)
    }
}

/// A text is no cursor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct NoCursor;

impl FromStr for Cursor {
    type Err = NoCursor;

    fn from_str(text: &str) -> Result<Self, NoCursor> {
        let (tag, number) = text.split_once('.').ok_or(NoCursor)?;
        let is_number = !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit());
        if tag.len() != 8 || !tag.bytes().all(|byte| byte.is_ascii_hexdigit()) || !is_number {
            return Err(NoCursor);
        }
        let tag = u32::from_str_radix(tag, 16).map_err(|_| NoCursor)?;
        Ok(Self { tag, number: number.parse().map_err(|_| NoCursor)? })
    }
}

/// What a client is told about its new session.
#[derive(Clone, Debug)]
pub(super) struct Opened {
    /// Its name.
    pub(super) session: String,
    /// It ends when no request has come for this long.
    pub(super) lease: Duration,
}

/// What a poll and an opening give.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Delivery {
    pub(super) cursor: Cursor,
    pub(super) items: Vec<Item>,
}

impl Delivery {
    /// As a body; behind what opens a session in the answer that opens one.
    pub(super) fn encode(&self, opened: Option<&Opened>) -> Bytes {
        let bytes: usize = self.items.iter().map(|item| item.bytes.len() + 4).sum();
        let mut out = Vec::with_capacity(bytes + 64);
        if let Some(Opened { session, lease }) = opened {
            write_var_bytes(&mut out, session.as_bytes());
            write_var_uint(&mut out, u64::try_from(lease.as_millis()).unwrap_or(u64::MAX));
        }
        write_var_bytes(&mut out, self.cursor.to_string().as_bytes());
        self.items.iter().for_each(|item| items::encode(&mut out, item));
        out.into()
    }
}

/// Begins a stream: the client learns from it that events come through.
pub(super) const GREETING: Bytes = Bytes::from_static(b": quire\n\n");

/// Keeps a stream alive. Without an id, so that it moves no cursor.
pub(super) const COMMENT: Bytes = Bytes::from_static(b":\n\n");

/// Writes an item as an event.
pub(super) fn write_event(out: &mut String, cursor: Cursor, item: &Item) {
    if item.more {
        out.push_str("event: part\n");
    }
    out.push_str("id: ");
    out.push_str(&cursor.to_string());
    out.push_str("\ndata: ");
    STANDARD.encode_string(&item.bytes, out);
    out.push_str("\n\n");
}

/// The last event of a stream.
pub(super) fn close_event(close: &Close) -> Bytes {
    let data = serde_json::json!({ "code": close.code(), "reason": close.reason() });
    format!("event: close\ndata: {data}\n\n").into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn item(bytes: &'static [u8], more: bool) -> Item {
        Item { bytes: Bytes::from_static(bytes), more }
    }

    #[test]
    fn bodies_are_read_as_they_are_written() {
        let cursor = Cursor { tag: 0xab, number: 7 };
        let delivery = Delivery { cursor, items: vec![item(b"abc", true), item(b"d", false)] };
        let body = delivery.encode(None);
        assert_eq!(&body[..], b"\x0a000000ab.7\x07abc\x02d");
        assert_eq!(items::decode(&body.slice(11..)).unwrap(), delivery.items);
        let opened = Opened { session: "x".into(), lease: Duration::from_millis(200) };
        assert_eq!(&delivery.encode(Some(&opened))[..5], b"\x01x\xc8\x01\x0a");
    }

    #[test]
    fn a_cursor_is_written_one_way() {
        let cursor = Cursor { tag: 0xab, number: 7 };
        assert_eq!("000000ab.7".parse(), Ok(cursor));
        for text in [
            "",
            "7",
            "ab.7",
            "000000ab.",
            "000000ab.-1",
            "000000ab.+1",
            "000000ab.99999999999999999999",
            "+00000ab.7",
        ] {
            assert_eq!(text.parse::<Cursor>(), Err(NoCursor), "{text}");
        }
    }

    #[test]
    fn events() {
        let mut out = String::new();
        write_event(&mut out, Cursor { tag: 0, number: 1 }, &item(b"\xff\xff", true));
        write_event(&mut out, Cursor { tag: 0, number: 2 }, &item(b"a", false));
        assert_eq!(out, "event: part\nid: 00000000.1\ndata: //8=\n\nid: 00000000.2\ndata: YQ==\n\n");
        assert_eq!(
            close_event(&Close::Restart),
            "event: close\ndata: {\"code\":1012,\"reason\":\"the server is restarting, come back\"}\n\n"
        );
    }
}
