//! The bodies of a session's requests and answers. PROTOCOL.md, section 11, is their contract.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use quire_sync_protocol::wire::items::{self, Item, ItemsError};
use quire_sync_protocol::wire::varint::{write_var_bytes, write_var_uint};

use crate::http::ApiError;
use crate::stream::Cursor;

impl From<ItemsError> for ApiError {
    fn from(error: ItemsError) -> Self {
        Self::Malformed(error.to_string())
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
    fn events() {
        let mut out = String::new();
        write_event(&mut out, Cursor { tag: 0, number: 1 }, &item(b"\xff\xff", true));
        write_event(&mut out, Cursor { tag: 0, number: 2 }, &item(b"a", false));
        assert_eq!(out, "event: part\nid: 00000000.1\ndata: //8=\n\nid: 00000000.2\ndata: YQ==\n\n");
    }
}
