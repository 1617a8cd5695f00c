//! The bodies of a session's requests and answers. PROTOCOL.md, section 11, is their contract.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use quire_sync_protocol::wire::varint::{ReadError, Reader, write_var_bytes, write_var_uint};

use crate::http::ApiError;
use crate::stream::Cursor;

/// The largest item that is made here.
pub(super) const ITEM_BYTES: usize = 256 << 10;

/// Items in one body that are read. Each costs a little beside its bytes.
pub(super) const ITEMS: usize = 16 << 10;

/// A frame, or a piece of one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Item {
    pub(super) bytes: Bytes,
    /// The frame goes on in the next item.
    pub(super) more: bool,
}

/// Cuts a frame into items, without copying.
pub(super) fn split(mut frame: Bytes) -> impl Iterator<Item = Item> {
    std::iter::from_fn(move || {
        if frame.is_empty() {
            return None;
        }
        let bytes = frame.split_to(frame.len().min(ITEM_BYTES));
        Some(Item { bytes, more: !frame.is_empty() })
    })
}

impl From<BadItems> for ApiError {
    fn from(error: BadItems) -> Self {
        Self::Malformed(error.to_string())
    }
}

/// Why a body was refused. The client's fault in every case.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum BadItems {
    #[error("an item: {0}")]
    Unreadable(#[from] ReadError),
    #[error("an item has no bytes")]
    Empty,
    #[error("a body holds more than {ITEMS} items")]
    TooMany,
}

/// The items of a body, which they share.
pub(super) fn items(body: &Bytes) -> Result<Vec<Item>, BadItems> {
    let mut reader = Reader::new(body);
    let mut items = Vec::new();
    while !reader.is_empty() {
        if items.len() == ITEMS {
            return Err(BadItems::TooMany);
        }
        let head = reader.var_uint()?;
        let length = usize::try_from(head / 2).map_err(|_| ReadError::CountExceedsInput)?;
        if length == 0 {
            return Err(BadItems::Empty);
        }
        items.push(Item { bytes: body.slice_ref(reader.take(length)?), more: head % 2 == 1 });
    }
    Ok(items)
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
        for item in &self.items {
            write_var_uint(&mut out, item.bytes.len() as u64 * 2 + u64::from(item.more));
            out.extend_from_slice(&item.bytes);
        }
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
    fn a_frame_is_cut_and_stays_in_order() {
        let frame = Bytes::from((0..=ITEM_BYTES * 2).map(|n| n.to_le_bytes()[1]).collect::<Vec<_>>());
        let items: Vec<_> = split(frame.clone()).collect();
        assert_eq!(
            items.iter().map(|item| (item.bytes.len(), item.more)).collect::<Vec<_>>(),
            [(ITEM_BYTES, true), (ITEM_BYTES, true), (1, false)]
        );
        assert_eq!(items.iter().flat_map(|item| item.bytes.to_vec()).collect::<Vec<_>>(), frame);
        assert_eq!(split(Bytes::from_static(b"a")).collect::<Vec<_>>(), [item(b"a", false)]);
        assert_eq!(split(Bytes::new()).count(), 0);
    }

    #[test]
    fn bodies_are_read_as_they_are_written() {
        let cursor = Cursor { tag: 0xab, number: 7 };
        let delivery = Delivery { cursor, items: vec![item(b"abc", true), item(b"d", false)] };
        let body = delivery.encode(None);
        assert_eq!(&body[..], b"\x0a000000ab.7\x07abc\x02d");
        assert_eq!(items(&body.slice(11..)).unwrap(), delivery.items);
        let opened = Opened { session: "x".into(), lease: Duration::from_millis(200) };
        assert_eq!(&delivery.encode(Some(&opened))[..5], b"\x01x\xc8\x01\x0a");
        assert_eq!(items(&Bytes::new()).unwrap(), []);
    }

    #[test]
    fn what_is_no_item_is_refused() {
        for (body, error) in [
            (&b"\x07ab"[..], BadItems::Unreadable(ReadError::EndsEarly)),
            (b"\x80", BadItems::Unreadable(ReadError::EndsEarly)),
            (b"\x00", BadItems::Empty),
            (b"\x01", BadItems::Empty),
            (b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\x7f", BadItems::Unreadable(ReadError::IntegerOutOfRange)),
        ] {
            assert_eq!(items(&Bytes::copy_from_slice(body)), Err(error), "{body:?}");
        }
        assert_eq!(items(&b"\x02a".repeat(ITEMS + 1).into()), Err(BadItems::TooMany));
    }

    #[test]
    fn events() {
        let mut out = String::new();
        write_event(&mut out, Cursor { tag: 0, number: 1 }, &item(b"\xff\xff", true));
        write_event(&mut out, Cursor { tag: 0, number: 2 }, &item(b"a", false));
        assert_eq!(out, "event: part\nid: 00000000.1\ndata: //8=\n\nid: 00000000.2\ndata: YQ==\n\n");
    }
}
