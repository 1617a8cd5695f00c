//! Pieces of a document, cut anywhere: what honest clients could have sent of it.

use std::collections::BTreeSet;

use bytes::Bytes;
use quire_sync_protocol::id::MAX_SAFE_INTEGER;
use quire_sync_protocol::update::content::Content;
use quire_sync_protocol::update::id_set::{ClockRange, IdSet};
use quire_sync_protocol::update::structs::{Body, Item};
use quire_sync_protocol::wire::varint::write_var_uint;
use quire_sync_protocol::{ClientId, Clock, Id, Replica, Update};

/// A document from which pieces are cut. Its deletes are not in the pieces.
#[derive(Clone, Debug)]
pub struct Source {
    whole: Replica,
    ids: IdSet,
    /// The second halves of surrogate pairs: cut there, what a piece holds depends on where it was cut before.
    halves: BTreeSet<Id>,
}

impl Source {
    /// What all of these updates insert.
    pub fn new(updates: &[Update]) -> Self {
        let mut whole = Replica::new();
        for update in updates {
            whole.insert(&without_deletes(update));
        }
        let encoded = whole.encode();
        let mut halves = BTreeSet::new();
        encoded.for_each_struct(|client, clock, next| {
            let Body::Item(Item { content: Content::String(text), .. }) = next.body else { return };
            let mut at = clock;
            for char in text.whole.chars() {
                if char.len_utf16() == 2 {
                    halves.insert(Id { client, clock: at + 1 });
                }
                at += char.len_utf16() as Clock;
            }
        });
        Self { ids: crate::ids::ids(&encoded), whole, halves }
    }

    /// Clients that behave like real ones: text with wide characters, values, values of keys, types, in several runs, and
    /// insertions between those of the others.
    pub fn invented() -> Self {
        let updates: Vec<_> = (1..=3u8).map(invented).collect();
        Self::new(&updates)
    }

    /// Everything.
    pub fn whole(&self) -> &Replica {
        &self.whole
    }

    /// The clients with their ranges of clocks.
    pub fn ids(&self) -> &IdSet {
        &self.ids
    }

    /// This clock, or the next one if this is the second half of a surrogate pair.
    pub fn whole_character(&self, client: ClientId, clock: Clock) -> Clock {
        clock + Clock::from(self.halves.contains(&Id { client, clock }))
    }

    /// The structs of one client in this range, with these deletes. Holds no structs where the source has none.
    pub fn cut(&self, client: ClientId, range: ClockRange, deletes: &IdSet) -> Update {
        // What a reader of the part behind `range` lacks of the part from its start on is `range` itself.
        let mut reader = Replica::new();
        reader.insert(&self.from(client, range.end));
        let piece = reader.insert(&self.from(client, range.start)).delta.unwrap_or(Update::empty());
        with_deletes(&piece, deletes)
    }

    /// Everything of this client from this clock on, and nothing else.
    fn from(&self, client: ClientId, clock: Clock) -> Update {
        let clocks =
            self.ids.iter().map(|(other, _)| (other, if other == client { clock } else { MAX_SAFE_INTEGER }));
        self.whole.diff(&clocks.collect())
    }
}

/// An update that only deletes.
pub fn deletes(deletes: &IdSet) -> Update {
    with_deletes(&Update::empty(), deletes)
}

/// The structs of an update with another delete set.
pub fn with_deletes(update: &Update, deletes: &IdSet) -> Update {
    let mut bytes = structs(update).to_vec();
    write_var_uint(&mut bytes, deletes.iter().count() as u64);
    for (client, ranges) in deletes.iter() {
        write_var_uint(&mut bytes, client.value());
        write_var_uint(&mut bytes, ranges.len() as u64);
        for range in ranges {
            write_var_uint(&mut bytes, range.start);
            write_var_uint(&mut bytes, range.len());
        }
    }
    Update::parse(bytes.into()).expect("a delete set is ranges of clocks")
}

fn without_deletes(update: &Update) -> Update {
    Update::parse(Bytes::from([structs(update), &[0]].concat())).expect("the same with an empty delete set")
}

/// The bytes before the delete set: those from where on the rest is a delete set.
fn structs(update: &Update) -> &[u8] {
    let mut deletes = Vec::new();
    let mut clients = 0;
    let mut ranges = Vec::new();
    let mut last = None;
    update.for_each_delete(|client, range| {
        if last != Some(client) {
            clients += 1;
            last = Some(client);
            ranges.push((client, Vec::new()));
        }
        if let Some((_, list)) = ranges.last_mut() {
            list.push(range);
        }
    });
    write_var_uint(&mut deletes, clients);
    for (client, list) in ranges {
        write_var_uint(&mut deletes, client.value());
        write_var_uint(&mut deletes, list.len() as u64);
        for range in list {
            write_var_uint(&mut deletes, range.start);
            write_var_uint(&mut deletes, range.len());
        }
    }
    let found = update.bytes().strip_suffix(deletes.as_slice());
    found.expect("what the libraries write is written the shortest way")
}

/// What client `id`, of 1 to 3, inserted in 38 clocks, the last ones between two letters of the next client.
fn invented(id: u8) -> Update {
    let other = id % 3 + 1;
    let structs: [&[u8]; 10] = [
        &[4, 1, 1, b't', 10, b'a', b'b', 0xc3, 0xa4, 0xf0, 0x9f, 0x98, 0x80, b'c', b'd'],
        &[8, 1, 1, b'l', 4, 126, 125, 3, 119, 1, b'x', 117, 1, 120],
        &[0x28, 1, 1, b'm', 1, b'k', 1, 125, 1],
        &[0xa8, id, 11, 1, 125, 2],
        &[0xa8, id, 12, 1, 125, 3],
        &[0xa8, id, 13, 1, 125, 4],
        &[2, 1, 1, b'j', 3, 1, b'1', 9, b'u', b'n', b'd', b'e', b'f', b'i', b'n', b'e', b'd', 2, b'4', b'2'],
        &[0xc4, id, 2, id, 3, 6, b'v', b'w', b'x', b'y', b'z', b'q'],
        &[7, 1, 1, b'n', 1],
        &[0xc4, other, 0, other, 1, 8, b'1', b'2', b'3', b'4', b'5', b'6', b'7', b'8'],
    ];
    let bytes = [&[1, 10, id, 0][..], &structs.concat(), &[0]].concat();
    Update::parse(bytes.into()).expect("it is written as Yjs writes")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_of_a_source_give_it_back() {
        let source = Source::invented();
        let mut joined = Replica::new();
        for (client, ranges) in source.ids().iter() {
            for range in ranges {
                for clock in range.start..range.end {
                    let one = ClockRange { start: clock, end: clock + 1 };
                    let (start, end) =
                        (source.whole_character(client, clock), source.whole_character(client, clock + 1));
                    let piece = source.cut(client, ClockRange { start, end }, &IdSet::default());
                    if start < end {
                        assert_eq!(
                            crate::ids::ids(&piece).ranges(client),
                            [ClockRange { start, end }],
                            "{one:?}"
                        );
                        joined.insert(&piece);
                    }
                }
            }
        }
        assert_eq!(joined, *source.whole());
    }

    #[test]
    fn deletes_are_put_in_and_taken_out() {
        let mut set = IdSet::default();
        set.insert(ClientId::MIN, ClockRange { start: 300, end: 302 });
        set.insert(ClientId::MAX, ClockRange { start: 0, end: 1 });
        let source = Source::invented();
        let update = with_deletes(&source.whole().encode(), &set);
        assert_eq!(update.deletes(), set);
        assert_eq!(without_deletes(&update), source.whole().encode());
    }
}
