//! Updates to store, and what they make together.

use bytes::Bytes;
use quire_persistence::{Append, DocumentStore, Epoch, Seq, Stored};
use quire_sync_protocol::{DocId, Replica, Update};

/// Histories that yjs 13.6.33 wrote, one update per change.
pub(crate) const HISTORIES: [&[&str]; 5] = [
    // Text with emoji and what ties them together.
    &[
        "01010100040101740661f09f98806200",
        "01010104c4010201031cf09f91a8e2808df09f91a9e2808df09f91a7f09f87a9f09f87aac3a900",
        "000101010001",
    ],
    // An insertion in the middle of a pair of surrogates.
    &["01010100040101740b78f09f988079f09f98817a00", "01010107c401010102012d00", "000101010401"],
    // Lists, maps and text within each other.
    &[
        "010401002701016d046c697374000700010001280001010178017d01880101027705706c61696e7d0200",
        "010201052700010101740204000105046465657000",
        "0101010a84010907657220f09f988000",
        "0102010f07010161012700010f016b0000",
        "000101010602",
        "01020200c701010103020400020003696e7300",
    ],
    // XML.
    &[
        "010b010007010178030768656164696e67070001000604000101015487010003097061726167726170680700010306040001040648656c6c6f20\
         86010a04626f6c64027b7d84010b04626f6c6486010f04626f6c64046e756c6c2800010305616c69676e01770663656e7465722800010305\
         6c6576656c017d0200",
        "010101138401020469746c6500",
        "000101011101",
    ],
    // Sub-documents.
    &[
        "010101002901016d037375620a7375622d677569642d317602086175746f4c6f616478046d657461760101767d0100",
        "010101012901016d046c617a790a7375622d677569642d32760000",
    ],
];

/// Five changes of two clients, each of which builds on the one before.
pub(crate) const CHAIN: [&str; 5] = [
    "0101010004010174016100",
    "01010101840100016200",
    "01010102840101016300",
    "000101010101",
    "01010200840102014500",
];

/// Bytes from hexadecimal digits.
pub(crate) fn bytes(hex: &str) -> Bytes {
    let digits: Vec<u32> = hex.chars().filter_map(|digit| digit.to_digit(16)).collect();
    digits.chunks(2).map(|pair| u8::try_from(pair[0] << 4 | pair[1]).unwrap()).collect()
}

/// What a client writes that types `text` at the end of its own text, of which it has typed `clock` ASCII characters before.
pub(crate) fn typed(client: u64, clock: u64, text: &str) -> Bytes {
    let mut update = vec![1, 1];
    varint(&mut update, client);
    varint(&mut update, clock);
    if clock == 0 {
        update.extend([0x04, 1, 1, b't']);
    } else {
        update.push(0x84);
        varint(&mut update, client);
        varint(&mut update, clock - 1);
    }
    varint(&mut update, text.len() as u64);
    update.extend(text.as_bytes());
    update.push(0);
    update.into()
}

fn varint(to: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        to.push(u8::try_from(value & 0x7f).unwrap() | 0x80);
        value >>= 7;
    }
    to.push(u8::try_from(value).unwrap());
}

/// What these updates make together.
pub(crate) fn united<'a>(updates: impl IntoIterator<Item = &'a Bytes>) -> Replica {
    let mut replica = Replica::new();
    for update in updates {
        replica.insert(&Update::parse(update.clone()).unwrap());
    }
    replica
}

/// What a stored document is.
pub(crate) fn replica(stored: &Stored) -> Replica {
    united(stored.snapshot.iter().chain(&stored.updates))
}

pub(crate) fn doc(name: &str) -> DocId {
    DocId::new(name).unwrap()
}

/// An update on its way into a document that was never replaced.
pub(crate) fn append(name: &str, update: impl Into<Bytes>) -> Append {
    Append { doc: doc(name), epoch: Epoch::FIRST, update: update.into() }
}

/// Appends updates to one document, one at a time, and returns the last seq.
pub(crate) fn append_each(store: &impl DocumentStore, name: &str, updates: &[Bytes]) -> Seq {
    let mut last = Seq(0);
    for update in updates {
        last = store.append(&[append(name, update.clone())]).unwrap()[0];
    }
    last
}
