//! The layout of the keys. FORMAT.md describes it; numbers are big-endian, so that byte order is number order.

use bytes::Bytes;
use quire_sync_protocol::DocId;

use crate::engine::KeyRange;
use crate::engines::witness;
use crate::inbox::UserId;

/// The store's own description. Its place is the same in all versions of the layout.
pub(crate) const FORMAT: &[u8] = b"\0format";

/// The version of the layout of all other keys: their first byte.
const LAYOUT: u8 = 1;

/// The second byte of a key. Other numbers are reserved; FORMAT.md says for what.
#[derive(Clone, Copy)]
enum Keyspace {
    Catalog = 1,
    Names = 2,
    Log = 3,
    Snapshots = 4,
    Inboxes = 6,
    Tombstones = 7,
}

/// The catalog entry of a document.
pub(crate) fn catalog(doc: &DocId) -> Bytes {
    key(Keyspace::Catalog, doc.as_str().as_bytes())
}

/// The name behind a catalog key; `None` if it is not one of a document.
pub(crate) fn catalog_doc(key: &[u8]) -> Option<DocId> {
    let name = key.strip_prefix(&[LAYOUT, Keyspace::Catalog as u8])?;
    DocId::new(str::from_utf8(name).ok()?).ok()
}

/// All catalog entries behind that of `after`.
pub(crate) fn catalog_range(after: Option<&DocId>) -> KeyRange {
    let all = whole(Keyspace::Catalog);
    match after {
        Some(doc) => all.after(&catalog(doc)),
        None => all,
    }
}

/// The name of the document with this number.
pub(crate) fn name(number: u64) -> Bytes {
    key(Keyspace::Names, &number.to_be_bytes())
}

/// All names.
pub(crate) fn name_range() -> KeyRange {
    whole(Keyspace::Names)
}

/// The document number behind a key of [`name_range`]; `None` if it is malformed.
pub(crate) fn name_number(key: &[u8]) -> Option<u64> {
    let number = key.strip_prefix(&[LAYOUT, Keyspace::Names as u8])?;
    Some(u64::from_be_bytes(number.try_into().ok()?))
}

/// One chunk of an update.
pub(crate) fn update(number: u64, seq: u64, chunk: u32) -> Bytes {
    chunked(Keyspace::Log, number, seq, chunk)
}

/// The updates of a document from `seq` on.
pub(crate) fn update_range(number: u64, seq: u64) -> KeyRange {
    within(Keyspace::Log, number, seq, u64::MAX)
}

/// One chunk of a snapshot.
pub(crate) fn snapshot(number: u64, generation: u64, chunk: u32) -> Bytes {
    chunked(Keyspace::Snapshots, number, generation, chunk)
}

/// The chunks of one snapshot of a document.
pub(crate) fn snapshot_range(number: u64, generation: u64) -> KeyRange {
    within(Keyspace::Snapshots, number, generation, generation)
}

/// The chunks of all snapshots of a document.
pub(crate) fn snapshot_ranges(number: u64) -> KeyRange {
    within(Keyspace::Snapshots, number, 0, u64::MAX)
}

/// The updates of all documents.
pub(crate) fn all_updates() -> KeyRange {
    whole(Keyspace::Log)
}

/// The snapshots of all documents.
pub(crate) fn all_snapshots() -> KeyRange {
    whole(Keyspace::Snapshots)
}

/// Where no key of this layout lies.
pub(crate) fn reserved() -> [KeyRange; 6] {
    let last = vec![u8::MAX; 2];
    let after_format = KeyRange { from: Vec::new(), to: vec![LAYOUT, Keyspace::Catalog as u8] }.after(FORMAT);
    [
        KeyRange { from: Vec::new(), to: FORMAT.to_vec() },
        after_format,
        KeyRange {
            from: vec![LAYOUT, Keyspace::Snapshots as u8 + 1],
            to: vec![LAYOUT, Keyspace::Inboxes as u8],
        },
        KeyRange { from: vec![LAYOUT, Keyspace::Tombstones as u8 + 1], to: vec![u8::MAX] },
        // There the engines count their commits.
        KeyRange { from: vec![u8::MAX], to: witness::KEY.to_vec() },
        KeyRange { from: Vec::new(), to: last }.after(witness::KEY),
    ]
}

/// The document number in a key of log or snapshots; `None` if it is malformed.
pub(crate) fn number(key: &[u8]) -> Option<u64> {
    let (_, rest) = key.split_at_checked(2)?;
    rest.first_chunk::<8>().map(|number| u64::from_be_bytes(*number))
}

/// The first possible key behind those of this key's keyspace and document.
pub(crate) fn after_number(key: &[u8]) -> Vec<u8> {
    let mut next = key.get(..2 + 8).unwrap_or(key).to_vec();
    // The number below counts up; behind the last one the next keyspace begins.
    while let Some(last) = next.pop() {
        if last < u8::MAX {
            next.push(last + 1);
            break;
        }
    }
    next
}

/// Seq or generation, and chunk, of a key that [`update`] or [`snapshot`] made for this document; `None` if it is malformed.
pub(crate) fn place(key: &[u8]) -> Option<(u64, u32)> {
    let (_, rest) = key.split_at_checked(2 + 8)?;
    let (major, chunk) = rest.split_first_chunk::<8>()?;
    Some((u64::from_be_bytes(*major), u32::from_be_bytes(chunk.try_into().ok()?)))
}

/// One chunk of the tombstone of a document of this name. A name holds no zero byte, so no two names share a prefix.
pub(crate) fn tombstone(doc: &DocId, chunk: u32) -> Bytes {
    let name = doc.as_str().as_bytes();
    let mut rest = Vec::with_capacity(name.len() + 5);
    rest.extend(name);
    rest.push(0);
    rest.extend(chunk.to_be_bytes());
    key(Keyspace::Tombstones, &rest)
}

/// The chunks of the tombstone of this document.
pub(crate) fn tombstone_range(doc: &DocId) -> KeyRange {
    let from = tombstone(doc, 0).into();
    let mut to: Vec<u8> = tombstone(doc, u32::MAX).into();
    to.push(0);
    KeyRange { from, to }
}

/// All tombstones behind that of `after`.
pub(crate) fn tombstones_range(after: Option<&DocId>) -> KeyRange {
    let mut range = whole(Keyspace::Tombstones);
    if let Some(doc) = after {
        range.from = tombstone_range(doc).to;
    }
    range
}

/// The document behind a key of [`tombstones_range`], and the chunk; `None` if it is malformed.
pub(crate) fn tombstone_place(key: &[u8]) -> Option<(DocId, u32)> {
    let rest = key.strip_prefix(&[LAYOUT, Keyspace::Tombstones as u8])?;
    let (name, chunk) = rest.split_last_chunk::<4>()?;
    let name = name.strip_suffix(&[0])?;
    Some((DocId::new(str::from_utf8(name).ok()?).ok()?, u32::from_be_bytes(*chunk)))
}

/// What a key of an inbox is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum InboxPlace {
    State,
    Notification(u64),
    Key,
}

impl InboxPlace {
    /// The number of a notification.
    pub(crate) fn number(self) -> Option<u64> {
        match self {
            Self::Notification(number) => Some(number),
            Self::State | Self::Key => None,
        }
    }
}

/// The state of an inbox.
pub(crate) fn inbox_state(user: &UserId) -> Bytes {
    in_inbox(user, 0, &[])
}

/// A notification.
pub(crate) fn notification(user: &UserId, number: u64) -> Bytes {
    in_inbox(user, 1, &number.to_be_bytes())
}

/// The notifications of a user, from this number on.
pub(crate) fn notification_range(user: &UserId, number: u64) -> KeyRange {
    KeyRange { from: notification(user, number).into(), to: in_inbox(user, 2, &[]).into() }
}

/// The number of the notification that was posted with this key.
pub(crate) fn inbox_key(user: &UserId, key: &str) -> Bytes {
    in_inbox(user, 2, key.as_bytes())
}

/// Everything of one inbox.
pub(crate) fn inbox_range(user: &UserId) -> KeyRange {
    KeyRange { from: inbox_state(user).into(), to: in_inbox(user, 3, &[]).into() }
}

/// All inboxes.
pub(crate) fn inboxes() -> KeyRange {
    whole(Keyspace::Inboxes)
}

/// Whose inbox a key of [`inboxes`] belongs to, and what it is for; `None` if it is malformed.
pub(crate) fn inbox_place(key: &[u8]) -> Option<(UserId, InboxPlace)> {
    let rest = key.strip_prefix(&[LAYOUT, Keyspace::Inboxes as u8])?;
    let end = rest.iter().position(|byte| *byte == 0)?;
    let (name, rest) = rest.split_at_checked(end)?;
    let user = UserId::new(str::from_utf8(name).ok()?)?;
    let place = match rest {
        [0, 0] => InboxPlace::State,
        [0, 1, number @ ..] => InboxPlace::Notification(u64::from_be_bytes(number.try_into().ok()?)),
        [0, 2, ..] => InboxPlace::Key,
        _ => return None,
    };
    Some((user, place))
}

/// A name holds no zero byte, so no two names share a prefix.
fn in_inbox(user: &UserId, kind: u8, rest: &[u8]) -> Bytes {
    let name = user.as_str().as_bytes();
    let mut all = Vec::with_capacity(name.len() + 2 + rest.len());
    all.extend(name);
    all.extend([0, kind]);
    all.extend(rest);
    key(Keyspace::Inboxes, &all)
}

fn key(space: Keyspace, rest: &[u8]) -> Bytes {
    let mut key = Vec::with_capacity(2 + rest.len());
    key.extend([LAYOUT, space as u8]);
    key.extend(rest);
    key.into()
}

fn chunked(space: Keyspace, number: u64, major: u64, chunk: u32) -> Bytes {
    let mut rest = [0; 20];
    let (left, right) = rest.split_at_mut(8);
    let (middle, right) = right.split_at_mut(8);
    left.copy_from_slice(&number.to_be_bytes());
    middle.copy_from_slice(&major.to_be_bytes());
    right.copy_from_slice(&chunk.to_be_bytes());
    key(space, &rest)
}

fn whole(space: Keyspace) -> KeyRange {
    KeyRange { from: vec![LAYOUT, space as u8], to: vec![LAYOUT, space as u8 + 1] }
}

/// From the first possible key of `first` to the last possible one of `last`, both of this document.
fn within(space: Keyspace, number: u64, first: u64, last: u64) -> KeyRange {
    let from = chunked(space, number, first, 0).into();
    // Behind the last chunk there can be, and before anything of the next seq, generation or document.
    let mut to: Vec<u8> = chunked(space, number, last, u32::MAX).into();
    to.push(0);
    KeyRange { from, to }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_laid_out_as_documented() {
        let doc = DocId::new("a/b").unwrap();
        assert_eq!(catalog(&doc), &b"\x01\x01a/b"[..]);
        assert_eq!(name(258), &b"\x01\x02\0\0\0\0\0\0\x01\x02"[..]);
        assert_eq!(update(1, 2, 3), &b"\x01\x03\0\0\0\0\0\0\0\x01\0\0\0\0\0\0\0\x02\0\0\0\x03"[..]);
        assert_eq!(snapshot(1, 2, 3), &b"\x01\x04\0\0\0\0\0\0\0\x01\0\0\0\0\0\0\0\x02\0\0\0\x03"[..]);
        assert_eq!(tombstone(&doc, 3), &b"\x01\x07a/b\0\0\0\0\x03"[..]);
    }

    #[test]
    fn keys_give_back_what_they_were_made_of() {
        let doc = DocId::new("\u{2602}/x").unwrap();
        assert_eq!(catalog_doc(&catalog(&doc)), Some(doc));
        assert_eq!(catalog_doc(b"\x01\x01\xff"), None);
        assert_eq!(name_number(&name(u64::MAX)), Some(u64::MAX));
        assert_eq!(name_number(b"\x01\x02\0"), None);
        assert_eq!(place(&update(7, 8, 9)), Some((8, 9)));
        assert_eq!(number(&update(7, 8, 9)), Some(7));
        assert_eq!(after_number(&update(7, 8, 9)), update(8, 0, 0)[..10]);
        assert_eq!(after_number(&update(u64::MAX, 8, 9)), [1, 4]);
        assert_eq!(place(&update(7, 8, 9)[..21]), None);
        let doc = DocId::new("a").unwrap();
        assert_eq!(tombstone_place(&tombstone(&doc, 1)), Some((doc, 1)));
        assert_eq!(tombstone_place(b"\x01\x07a\0\0\0\0"), None);
    }

    #[test]
    fn ranges_hold_their_document_and_nothing_else() {
        let range = update_range(7, 5);
        for (seq, chunk, inside) in [(4, u32::MAX, false), (5, 0, true), (u64::MAX, u32::MAX, true)] {
            assert_eq!(range.contains(&update(7, seq, chunk)), inside, "{seq} {chunk}");
        }
        assert!(!range.contains(&update(8, 0, 0)) && !range.contains(&update(6, u64::MAX, u32::MAX)));
        let range = snapshot_range(7, 5);
        assert!(range.contains(&snapshot(7, 5, 0)) && range.contains(&snapshot(7, 5, u32::MAX)));
        assert!(!range.contains(&snapshot(7, 6, 0)) && !range.contains(&snapshot(7, 4, u32::MAX)));
        let doc = DocId::new("b").unwrap();
        let range = catalog_range(Some(&doc));
        assert!(!range.contains(&catalog(&doc)));
        assert!(range.contains(&catalog(&DocId::new("b!").unwrap())));
        assert!(!range.contains(&name(0)));
        let longer = DocId::new("b!").unwrap();
        assert!(tombstone_range(&doc).contains(&tombstone(&doc, u32::MAX)));
        assert!(!tombstone_range(&doc).contains(&tombstone(&longer, 0)));
        assert!(tombstones_range(Some(&doc)).contains(&tombstone(&longer, 0)));
        assert!(!tombstones_range(Some(&doc)).contains(&tombstone(&doc, u32::MAX)));
    }
}
