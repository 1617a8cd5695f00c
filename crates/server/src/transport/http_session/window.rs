//! What a session has sent and its client has not acknowledged.

use std::collections::VecDeque;

use bytes::Bytes;
use quire_sync_protocol::wire::items::{ITEM_BYTES, Item, split};

use super::wire::Delivery;
use crate::stream::Cursor;

/// Numbered items, kept until they are acknowledged.
///
/// Bounded by its user, who adds only while there [is room](Window::has_room): then it holds `limit` bytes beyond what
/// was added last.
#[derive(Debug)]
pub(super) struct Window {
    tag: u32,
    items: VecDeque<Item>,
    /// The number of the last item that is acknowledged, and so gone.
    acknowledged: u64,
    bytes: usize,
    limit: usize,
}

/// What an item costs beside its bytes. Clients count the same.
const ENTRY_BYTES: usize = 64;

/// The least limit of a window. A client that streams acknowledges after [`ITEM_BYTES`]: with less room it would be
/// waited for while it waits for more.
pub(super) const LEAST_BYTES: usize = 2 * ITEM_BYTES;

/// What one delivery holds, beyond one item.
const DELIVERY_BYTES: usize = 2 * ITEM_BYTES;

/// A cursor that is not of this session, or not of what it still has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Elsewhere;

impl Window {
    pub(super) fn new(tag: u32, limit: usize) -> Self {
        Self { tag, items: VecDeque::new(), acknowledged: 0, bytes: 0, limit }
    }

    /// Whether more may be added.
    pub(super) fn has_room(&self) -> bool {
        self.bytes < self.limit
    }

    pub(super) fn add(&mut self, frame: Bytes) {
        for item in split(frame) {
            self.bytes += item.bytes.len() + ENTRY_BYTES;
            self.items.push_back(item);
        }
    }

    /// The number of the last item.
    pub(super) fn last(&self) -> u64 {
        self.acknowledged + self.items.len() as u64
    }

    /// Forgets what lies before the cursor. Without one, nothing is acknowledged. Gives the number of the last acknowledged item.
    pub(super) fn acknowledge(&mut self, cursor: Option<Cursor>) -> Result<u64, Elsewhere> {
        let Some(Cursor { tag, number }) = cursor else {
            return if self.acknowledged == 0 { Ok(0) } else { Err(Elsewhere) };
        };
        if tag != self.tag || number < self.acknowledged || number > self.last() {
            return Err(Elsewhere);
        }
        while self.acknowledged < number {
            let Some(item) = self.items.pop_front() else { break };
            self.bytes -= item.bytes.len() + ENTRY_BYTES;
            self.acknowledged += 1;
        }
        if self.items.is_empty() {
            // A burst is over; a session may be idle for hours.
            self.items.shrink_to_fit();
        }
        Ok(number)
    }

    /// The items behind that of this number, with their cursors.
    pub(super) fn behind(&self, number: u64) -> impl Iterator<Item = (Cursor, &Item)> {
        let skip = usize::try_from(number.saturating_sub(self.acknowledged)).unwrap_or(usize::MAX);
        let numbers = self.acknowledged + 1..;
        let tag = self.tag;
        numbers.zip(&self.items).skip(skip).map(move |(number, item)| (Cursor { tag, number }, item))
    }

    /// The place behind the item of this number.
    pub(super) fn cursor(&self, number: u64) -> Cursor {
        Cursor { tag: self.tag, number }
    }

    /// What one answer gives of them. Shares their bytes.
    pub(super) fn delivery(&self, number: u64) -> Delivery {
        let (mut cursor, mut items, mut bytes) = (self.cursor(number), Vec::new(), 0);
        for (place, item) in self.behind(number) {
            if bytes >= DELIVERY_BYTES {
                break;
            }
            bytes += item.bytes.len();
            cursor = place;
            items.push(item.clone());
        }
        Delivery { cursor, items }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cursor(tag: u32, number: u64) -> Cursor {
        Cursor { tag, number }
    }

    fn window(frames: &[&'static [u8]]) -> Window {
        let mut window = Window::new(5, 1000);
        for frame in frames {
            window.add(Bytes::from_static(frame));
        }
        window
    }

    #[test]
    fn what_is_not_acknowledged_is_given_again() {
        let mut window = window(&[b"a", b"b", b"c"]);
        for _ in 0..2 {
            let given = window.delivery(1);
            assert_eq!(given.items.iter().map(|item| item.bytes.as_ref()).collect::<Vec<_>>(), [b"b", b"c"]);
            assert_eq!(given.cursor, Cursor { tag: 5, number: 3 });
        }
        assert_eq!(window.acknowledge(Some(cursor(5, 2))), Ok(2));
        assert_eq!(window.acknowledge(Some(cursor(5, 2))), Ok(2), "the same again");
        window.add(Bytes::from_static(b"d"));
        assert_eq!(window.delivery(2).cursor, Cursor { tag: 5, number: 4 });
        assert_eq!(window.delivery(4), Delivery { cursor: Cursor { tag: 5, number: 4 }, items: vec![] });
    }

    #[test]
    fn foreign_old_and_future_cursors_are_elsewhere() {
        let mut window = window(&[b"a", b"b", b"c"]);
        assert_eq!(window.acknowledge(None), Ok(0));
        assert_eq!(window.acknowledge(Some(cursor(5, 2))), Ok(2));
        for elsewhere in [cursor(6, 2), cursor(5, 1), cursor(5, 4), cursor(5, u64::MAX)] {
            assert_eq!(window.acknowledge(Some(elsewhere)), Err(Elsewhere), "{elsewhere:?}");
        }
        assert_eq!(window.acknowledge(None), Err(Elsewhere));
        assert_eq!(window.delivery(2).items.len(), 1);
    }

    #[test]
    fn room_comes_with_acknowledgements_only() {
        let mut window = Window::new(5, 1000);
        while window.has_room() {
            window.add(Bytes::from(vec![0; 300]));
        }
        assert_eq!(window.last(), 3);
        assert_eq!(window.acknowledge(Some(cursor(5, 1))), Ok(1));
        assert!(window.has_room());
        assert_eq!(window.acknowledge(Some(cursor(5, 3))), Ok(3));
        assert_eq!(window.bytes, 0);
    }

    #[test]
    fn one_delivery_is_bounded_and_a_large_frame_goes_in_several() {
        let mut window = Window::new(5, 1000);
        window.add(Bytes::from(vec![0; 5 * ITEM_BYTES]));
        let (mut at, mut lengths) = (0, Vec::new());
        while at < window.last() {
            let given = window.delivery(at);
            at = given.cursor.number;
            lengths.push(given.items.len());
        }
        assert_eq!(lengths, [2, 2, 1]);
    }
}
