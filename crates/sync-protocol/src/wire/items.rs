//! The bodies of sessions over HTTP: frames, whole or in pieces, each with its length in front.
//!
//! An item is a number, whose lowest bit says whether the frame goes on in the next item and whose others are the length, and
//! as many bytes. PROTOCOL.md, section 11, is the contract.

use bytes::Bytes;

use super::varint::{ReadError, Reader, write_var_uint};

/// The largest item that [`split`] makes, in bytes.
pub const ITEM_BYTES: usize = 256 << 10;

/// Items in one body that are read. Each costs a little beside its bytes.
pub const MAX_ITEMS: usize = 16 << 10;

/// A frame, or a piece of one. Never empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Item {
    /// The bytes.
    pub bytes: Bytes,
    /// Whether the frame goes on in the next item.
    pub more: bool,
}

/// Why a body was refused. The sender's fault in every case.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ItemsError {
    /// An item that cannot be delimited.
    #[error("an item: {0}")]
    Unreadable(#[from] ReadError),
    /// An item of nothing.
    #[error("an item has no bytes")]
    Empty,
    /// More than [`MAX_ITEMS`].
    #[error("a body holds more than {MAX_ITEMS} items")]
    TooMany,
}

/// Cuts a frame into items, without copying. An empty frame has none.
pub fn split(mut frame: Bytes) -> impl Iterator<Item = Item> {
    std::iter::from_fn(move || {
        if frame.is_empty() {
            return None;
        }
        let bytes = frame.split_to(frame.len().min(ITEM_BYTES));
        Some(Item { bytes, more: !frame.is_empty() })
    })
}

/// The items of a body, which they share.
pub fn decode(body: &Bytes) -> Result<Vec<Item>, ItemsError> {
    let mut reader = Reader::new(body);
    let mut items = Vec::new();
    while !reader.is_empty() {
        if items.len() == MAX_ITEMS {
            return Err(ItemsError::TooMany);
        }
        let head = reader.var_uint()?;
        let length = usize::try_from(head / 2).map_err(|_| ReadError::CountExceedsInput)?;
        if length == 0 {
            return Err(ItemsError::Empty);
        }
        items.push(Item { bytes: body.slice_ref(reader.take(length)?), more: head % 2 == 1 });
    }
    Ok(items)
}

/// Writes an item behind what is there.
pub fn encode(out: &mut Vec<u8>, item: &Item) {
    write_var_uint(out, item.bytes.len() as u64 * 2 + u64::from(item.more));
    out.extend_from_slice(&item.bytes);
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
        let items = [item(b"abc", true), item(b"d", false)];
        let mut body = Vec::new();
        for item in &items {
            encode(&mut body, item);
        }
        assert_eq!(body, b"\x07abc\x02d");
        assert_eq!(decode(&body.into()).as_deref(), Ok(&items[..]));
        assert_eq!(decode(&Bytes::new()), Ok(vec![]));
    }

    #[test]
    fn what_is_no_item_is_refused() {
        for (body, error) in [
            (&b"\x07ab"[..], ItemsError::Unreadable(ReadError::EndsEarly)),
            (b"\x80", ItemsError::Unreadable(ReadError::EndsEarly)),
            (b"\x00", ItemsError::Empty),
            (b"\x01", ItemsError::Empty),
            (
                b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\x7f",
                ItemsError::Unreadable(ReadError::IntegerOutOfRange),
            ),
        ] {
            assert_eq!(decode(&Bytes::copy_from_slice(body)), Err(error), "{body:?}");
        }
        assert_eq!(decode(&b"\x02a".repeat(MAX_ITEMS + 1).into()), Err(ItemsError::TooMany));
    }
}
