mod loaded;

use bytes::Bytes;
use proptest::prelude::*;

use super::*;
use crate::update::id_set::ClockRange;

fn unhex(hex: &str) -> Update {
    let bytes = (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap());
    Update::parse(bytes.collect::<Vec<_>>().into()).unwrap()
}

fn hex(update: &Update) -> String {
    update.bytes().iter().fold(String::new(), |hex, byte| hex + &format!("{byte:02x}"))
}

fn filled(updates: &[Update]) -> Replica {
    let mut replica = Replica::new();
    for update in updates {
        replica.insert(update);
    }
    replica
}

/// Two replicas are the same, in all that is seen of them.
fn is_like(replica: &Replica, expected: &Replica) -> Result<(), TestCaseError> {
    prop_assert_eq!(replica, expected);
    prop_assert_eq!(&replica.torn, &expected.torn);
    prop_assert_eq!(replica.state_vector(), expected.state_vector());
    prop_assert_eq!(replica.structs(), expected.structs());
    Ok(())
}

fn client(id: u64) -> ClientId {
    ClientId::new(id).unwrap()
}

fn vector(entries: &[(u64, Clock)]) -> StateVector {
    entries.iter().map(|(id, clock)| (client(*id), *clock)).collect()
}

// The updates of the `yjs-pending` recording: a, b and c typed by client 1, b deleted, E put behind c by client 2.
const TYPED: [&str; 5] = [
    "0101010004010174016100",
    "01010101840100016200",
    "01010102840101016300",
    "000101010101",
    "01010200840102014500",
];

#[test]
fn typing_joins_and_deleting_cuts() {
    let updates = TYPED.map(unhex);
    assert_eq!(hex(filled(&updates[..3]).encode_ref()), "01010100040101740361626300");
    // As Yjs encodes it: "a", one deleted, "c" behind it.
    let all = filled(&updates);
    assert_eq!(hex(&all.encode()), "0201020084010201450301000401017401618101000184010101630101010101");
    assert_eq!(all.state_vector(), vector(&[(1, 3), (2, 1)]));
}

impl Replica {
    /// For comparisons that read from left to right.
    fn encode_ref(&self) -> &'static Update {
        Box::leak(Box::new(self.encode()))
    }
}

#[test]
fn every_order_gives_the_same_document_and_says_what_is_missing() {
    let updates = TYPED.map(unhex);
    let expected = filled(&updates);
    let mut orders = vec![vec![]];
    for at in 0..updates.len() {
        orders = orders
            .into_iter()
            .flat_map(|order: Vec<usize>| {
                (0..=order.len()).map(move |place| {
                    let mut longer = order.clone();
                    longer.insert(place, at);
                    longer
                })
            })
            .collect();
    }
    for order in orders {
        let mut replica = Replica::new();
        let mut seen = [false; 5];
        for &at in &order {
            let inserted = replica.insert(&updates[at]);
            seen[at] = true;
            assert_eq!(inserted.delta.as_ref(), Some(&updates[at]), "{order:?}");
            let needs: &[usize] = match at {
                1 => &[0],
                2 => &[0, 1],
                4 => &[2],
                _ => &[],
            };
            assert_eq!(inserted.gap, needs.iter().any(|need| !seen[*need]), "{order:?} at {at}");
            let contiguous = seen.iter().take(3).take_while(|seen| **seen).count() as u64;
            assert_eq!(replica.state_vector().clock(client(1)), contiguous, "{order:?}");
            assert!(replica.insert(&updates[at]).delta.is_none());
        }
        assert_eq!(replica, expected, "{order:?}");
        assert_eq!(replica.encode(), expected.encode());
    }
}

#[test]
fn a_delta_is_only_what_was_new() {
    let updates = TYPED.map(unhex);
    let mut replica = filled(&updates[..2]);
    // The whole document again, with one more letter and the delete.
    let whole = filled(&updates[..4]).encode();
    let delta = replica.insert(&whole).delta.unwrap();
    assert_eq!(hex(&delta), "01010102840101016301010101 01".replace(' ', ""));
    // What is missing in two places is not given with a false gap between.
    let mut replica = filled(&[unhex(TYPED[1])]);
    let whole = filled(&updates[..3]).encode();
    assert_eq!(replica.insert(&whole).delta.unwrap(), whole);
}

#[test]
fn a_deleted_item_keeps_its_place_and_loses_its_content() {
    // Under key k of root m: 1, then 2 in its place, which deletes the first.
    let updates = ["01010100280101 6d016b017d01 00", "0101010 1a80100017d02 0101010001"];
    let updates = updates.map(|update| unhex(&update.replace(' ', "")));
    let replica = filled(&updates);
    assert_eq!(hex(&replica.encode()), "0102010021010 16d016b01a80100017d020101010001".replace(' ', ""));
    // The delete first, the item later: the same.
    assert_eq!(filled(&[updates[1].clone(), updates[0].clone()]), replica);
}

#[test]
fn half_a_surrogate_pair_becomes_what_yjs_makes_of_it() {
    // Text "x" and an emoji of two units; the second unit is deleted.
    let typed = unhex("010101000401017405 78f09f9880 00".replace(' ', "").as_str());
    let cut = unhex("000101010201");
    let both = filled(&[typed.clone(), cut.clone()]);
    assert_eq!(hex(&both.encode()), "010201000401017404 78efbfbd 81010101 0101010201".replace(' ', ""));
    assert_eq!(filled(&[cut, typed.clone()]), both);
    // A reader that has one unit of the pair gets the other as a replacement; what is kept stays whole.
    let kept = filled(&[typed]);
    assert_eq!(hex(&kept.diff(&vector(&[(1, 2)]))), "0101010284010103efbfbd00");
    assert!(hex(&kept.encode()).contains("f09f9880"));
}

#[test]
fn an_early_item_does_not_let_a_later_range_reach_beyond_it() {
    // The recorded case `gc-range-over-an-early-item`.
    let updates =
        ["010101002701016d016b0100", "01010102280001000179017d0200", "010201002101016d016b0100020101010003"];
    let replica = filled(&updates.map(unhex));
    assert_eq!(replica.state_vector(), vector(&[(1, 3)]));
    assert_eq!(replica.deletes().ranges(client(1)), [ClockRange { start: 0, end: 3 }]);
    replica.encode().for_each_struct(|_, clock, next| assert!(clock + next.len <= 3));
}

#[test]
fn blocks_out_of_order_are_put_in_order_for_others() {
    // Client 1 in two blocks, which Yjs would read as one.
    let update = unhex("02010100040101740161 01010184010001620 0".replace(' ', "").as_str());
    let delta = Replica::new().insert(&update).delta.unwrap();
    assert_eq!(hex(&delta), "0101010004010174026162 00".replace(' ', ""));
}

#[test]
fn a_struct_without_length_says_nothing() {
    let update = unhex("0102010000000001 00".replace(' ', "").as_str());
    let mut replica = Replica::new();
    let delta = replica.insert(&update).delta.unwrap();
    assert_eq!(hex(&delta), "0101010000010 0".replace(' ', ""));
}

#[test]
fn what_is_empty_is_not_handed_on() {
    // Yjs throws on an item without length, and on a range of the delete set without.
    let by_two = "02 01 02 00 04 01 01 74 01 61 02 01 00 04 01 01 74 00 04 01 01 74 01 62 00";
    for (update, handed_on) in [
        (by_two, "02 01 02 00 04 01 01 74 01 61 01 01 00 04 01 01 74 01 62 00"),
        ("00 02 02 01 05 00 01 01 03 01", "00 01 01 01 03 01"),
        ("01 01 01 00 00 01 01 02 01 05 00", "01 01 01 00 00 01 00"),
    ] {
        let delta = Replica::new().insert(&unhex(&update.replace(' ', ""))).delta.unwrap();
        assert_eq!(hex(&delta), handed_on.replace(' ', ""), "{update}");
    }
}

/// Small documents by invented clients that behave like real ones: what an id holds is fixed beforehand, and an
/// update holds any slices of it, with any deletes. (An id has one content: the first law of Yjs.)
#[derive(Clone, Debug)]
struct Piece {
    client: u64,
    start: usize,
    end: usize,
    deletes: Vec<(u64, u64, u64)>,
}

/// What client `id` inserted in 40 clocks: text with wide characters, values, keyed values, in several runs.
fn source(id: u64) -> Update {
    let structs: [&[u8]; 10] = [
        &[4, 1, 1, b't', 10, b'a', b'b', 0xc3, 0xa4, 0xf0, 0x9f, 0x98, 0x80, b'c', b'd'],
        &[8, 1, 1, b'l', 4, 126, 125, 3, 119, 1, b'x', 117, 1, 120],
        &[0x28, 1, 1, b'm', 1, b'k', 1, 125, 1],
        &[0xa8, 0, 11, 1, 125, 2],
        &[0xa8, 0, 12, 1, 125, 3],
        &[0xa8, 0, 13, 1, 125, 4],
        &[
            2, 1, 1, b'j', 3, 1, b'1', 9, b'u', b'n', b'd', b'e', b'f', b'i', b'n', b'e', b'd', 4, b'n',
            b'u', b'l', b'l',
        ],
        &[0xc4, 0, 2, 0, 3, 6, b'v', b'w', b'x', b'y', b'z', b'q'],
        &[7, 1, 1, b'n', 1],
        &[0x84, 0, 24, 8, b'1', b'2', b'3', b'4', b'5', b'6', b'7', b'8'],
    ];
    let mut bytes = vec![1, 10, u8::try_from(id).unwrap(), 0];
    for one in structs {
        let mut one = one.to_vec();
        // Origins name the client itself.
        if one[0] & 0x80 != 0 {
            one[1] = u8::try_from(id).unwrap();
            if one[0] & 0x40 != 0 {
                one[3] = u8::try_from(id).unwrap();
            }
        }
        bytes.append(&mut one);
    }
    bytes.push(0);
    Update::parse(bytes.into()).unwrap()
}

/// The clocks at which every slicing gives the same, whatever came before: not within the emoji at clocks 3 and 4.
fn safe(clock: usize) -> usize {
    if clock == 4 { 5 } else { clock }
}

fn build(piece: &Piece) -> Update {
    let mut whole = Replica::new();
    whole.insert(&source(piece.client));
    let (start, end) = (safe(piece.start), safe(piece.end));
    let mut writer = crate::update::UpdateWriter::default();
    let mut body = Vec::new();
    let mut count = 0;
    source(piece.client).for_each_struct(|client, clock, next| {
        let (from, to) = ((start as u64).max(clock), (end as u64).min(clock + next.len));
        if from < to {
            next.slice(crate::Id { client, clock }, from - clock, to - clock).write(&mut body);
            count += 1;
        }
    });
    if count > 0 {
        writer.client(count, client(piece.client), start as u64).append(&mut body);
    }
    let mut deletes = IdSet::default();
    for (id, start, len) in &piece.deletes {
        let (from, to) =
            (safe(usize::try_from(*start).unwrap()), safe(usize::try_from(start + len).unwrap()));
        deletes.insert(client(*id), ClockRange { start: from as u64, end: to as u64 });
    }
    writer.finish(&deletes)
}

fn pieces() -> impl Strategy<Value = Vec<Update>> {
    let deletes = proptest::collection::vec((1..4u64, 0..38u64, 1..6u64), 0..3);
    let piece = (1..4u64, 0..38usize, 1..20usize, deletes).prop_map(|(client, start, len, deletes)| Piece {
        client,
        start,
        end: (start + len).min(38),
        deletes,
    });
    proptest::collection::vec(piece.prop_map(|piece| build(&piece)), 1..12)
}

/// These in one update, with their blocks in this order, which no client writes if they are of one client.
fn glued(updates: &[Update]) -> Update {
    let mut bytes = vec![updates.iter().map(|update| update.bytes()[0]).sum()];
    let mut deletes = IdSet::default();
    for update in updates {
        let own = update.deletes();
        bytes.extend(&update.bytes()[1..update.bytes().len() - own.encoded_bytes()]);
        deletes.unite(&own);
    }
    deletes.write(&mut bytes);
    Update::parse(bytes.into()).unwrap()
}

fn cases() -> ProptestConfig {
    let cases = std::env::var("QUIRE_PROPERTY_CASES").ok().and_then(|cases| cases.parse().ok());
    ProptestConfig { cases: cases.unwrap_or(256), ..ProptestConfig::default() }
}

proptest! {
    #![proptest_config(cases())]

    #[test]
    fn union_is_commutative_associative_and_idempotent(updates in pieces(), order in any::<prop::sample::Index>()) {
        let all = filled(&updates);
        let mut turned = updates.clone();
        turned.rotate_left(order.index(updates.len()));
        turned.reverse();
        prop_assert_eq!(&filled(&turned), &all);
        let (left, right) = updates.split_at(order.index(updates.len()));
        let merged = [filled(left).encode(), filled(right).encode()];
        prop_assert_eq!(&filled(&merged), &all);
        let mut again = all.clone();
        for update in &updates {
            prop_assert!(again.insert(update).delta.is_none());
            prop_assert!(!again.lacks(update));
        }
        prop_assert_eq!(&again, &all);
    }

    #[test]
    fn all_at_once_is_as_one_after_the_other(
        updates in pieces(),
        glue in any::<bool>(),
        split in any::<prop::sample::Index>(),
    ) {
        let updates = if glue { updates.chunks(2).map(glued).collect() } else { updates };
        let expected = filled(&updates);
        let (before, after) = updates.split_at(split.index(updates.len() + 1));
        let mut replica = filled(before);
        replica.insert_all(after);
        is_like(&replica, &expected)?;
        let snapshot = filled(before).encode();
        is_like(&Replica::from_stored(Some(snapshot.bytes().clone()), after).unwrap().0, &expected)?;
        if let Some((first, rest)) = updates.split_first() {
            is_like(&Replica::from_stored(Some(first.bytes().clone()), rest).unwrap().0, &expected)?;
        }
        is_like(&Replica::from_stored(None, &updates).unwrap().0, &expected)?;
    }

    #[test]
    fn a_diff_and_what_its_vector_says_give_everything(updates in pieces(), split in any::<prop::sample::Index>()) {
        let all = filled(&updates);
        let mut reader = filled(&updates[..split.index(updates.len())]);
        reader.insert(&all.diff(&reader.state_vector()));
        prop_assert_eq!(&reader, &all);
        let mut reader = Replica::new();
        let mut known = StateVector::default();
        for parts in (1..4).rev() {
            let (part, reached) = all.part(&known, parts);
            prop_assert!(part.deletes().is_empty());
            reader.insert(&part);
            known = reached;
        }
        reader.insert(&all.diff(&known));
        prop_assert_eq!(&reader, &all);
    }

    #[test]
    fn deltas_alone_keep_a_reader_equal(updates in pieces()) {
        let mut replica = Replica::new();
        let mut reader = Replica::new();
        for update in &updates {
            prop_assert_eq!(replica.lacks(update), reader.lacks(update));
            if let Some(delta) = replica.insert(update).delta {
                reader.insert(&delta);
            }
            prop_assert_eq!(&reader, &replica);
        }
    }

    #[test]
    fn what_is_encoded_is_read_as_the_same(updates in pieces()) {
        let all = filled(&updates);
        let encoded = Update::parse(Bytes::copy_from_slice(all.encode().bytes())).unwrap();
        let again = filled(std::slice::from_ref(&encoded));
        prop_assert_eq!(&again, &all);
        prop_assert_eq!(again.encode(), encoded);
        prop_assert_eq!(all.structs(), again.structs());
    }
}

fn many(head: &[u64], parts: impl Iterator<Item = Vec<u8>>, tail: &[u8]) -> Update {
    let mut bytes = Vec::new();
    for number in head {
        crate::wire::varint::write_var_uint(&mut bytes, *number);
    }
    parts.for_each(|part| bytes.extend(part));
    bytes.extend(tail);
    Update::parse(bytes.into()).unwrap()
}

// These two end at once, or not within minutes if what they hold is lost.

#[test]
fn a_text_is_cut_into_many_pieces_in_linear_time() {
    const UNITS: u64 = 400_000;
    let letters = std::iter::once(vec![b'x'; usize::try_from(UNITS).unwrap()]);
    let text = many(&[1, 1, 1, 0, 4, 1, 1, u64::from(b't'), UNITS], letters, &[0]);
    // Every other letter is deleted, before it comes and after.
    let starts = (0..UNITS / 2).map(|half| {
        let mut range = Vec::new();
        crate::wire::varint::write_var_uint(&mut range, 2 * half);
        range.push(1);
        range
    });
    let deletes = many(&[0, 1, 1, UNITS / 2], starts, &[]);
    let cut = filled(&[text.clone(), deletes.clone()]);
    assert_eq!(cut, filled(&[deletes, text.clone()]));
    assert_eq!(cut.structs() as u64, UNITS);
    // Every other letter has come before, as something that needs no place.
    let early = (0..UNITS).map(|clock| vec![if clock % 2 == 0 { 10 } else { 0 }, 1]);
    let early = many(&[1, UNITS, 1, 0], early, &[0]);
    assert_eq!(filled(&[early, text]).structs() as u64, UNITS);
}

#[test]
fn blocks_in_the_worst_order_are_put_in_order_in_linear_time() {
    const BLOCKS: u64 = 100_000;
    let block = |clock: u64| {
        let mut block = vec![1, 1];
        crate::wire::varint::write_var_uint(&mut block, clock);
        match clock.checked_sub(1) {
            None => block.extend([4, 1, 1, b't']),
            Some(before) => {
                block.extend([0x84, 1]);
                crate::wire::varint::write_var_uint(&mut block, before);
            }
        }
        block.extend([1, b'x']);
        block
    };
    let letters = many(&[BLOCKS], (0..BLOCKS).rev().map(block), &[0]);
    assert_eq!(filled(&[letters]).structs(), 1);
}

#[test]
fn many_small_edits_stay_small_and_their_chunks_bounded() {
    let mut replica = Replica::new();
    // 20,000 letters, every third deleted at once, as if typed and corrected.
    for clock in 0..20_000u64 {
        let mut writer = crate::update::UpdateWriter::default();
        let out = writer.client(1, client(1), clock);
        let place = if clock == 0 { vec![4, 1, 1, b't'] } else { vec![0x84] };
        out.extend_from_slice(&place);
        if clock > 0 {
            crate::wire::varint::write_id(out, crate::Id { client: client(1), clock: clock - 1 });
        }
        out.extend_from_slice(&[1, b'x']);
        let mut deletes = IdSet::default();
        if clock % 3 == 0 {
            deletes.insert(client(1), ClockRange { start: clock, end: clock + 1 });
        }
        replica.insert(&writer.finish(&deletes));
    }
    assert!(replica.chunks.values().all(|chunk| chunk.bytes.len() <= 2 * chunk::CHUNK_BYTES));
    assert_eq!(replica.state_vector(), vector(&[(1, 20_000)]));
    let encoded = replica.encode().bytes().len();
    assert!(replica.heap_bytes() < 3 * encoded, "{} for {encoded}", replica.heap_bytes());
}

#[test]
fn a_long_text_is_sent_in_even_parts_and_no_character_is_halved() {
    // One struct: 200,000 emoji, of two units each.
    let text = "\u{1f600}".repeat(200_000);
    let mut bytes = vec![1, 1, 9, 0, 4, 1, 1, b't'];
    crate::wire::varint::write_var_bytes(&mut bytes, text.as_bytes());
    bytes.push(0);
    let all = filled(&[Update::parse(bytes.into()).unwrap()]);
    let (mut reader, mut known) = (Replica::new(), StateVector::default());
    for parts in (2..9).rev() {
        let lacking = all.lacking_bytes(&known);
        assert!((95_000 * parts..110_000 * parts).contains(&lacking), "{lacking} in {parts}");
        let (part, reached) = all.part(&known, parts as u64);
        assert!((95_000..110_000).contains(&part.bytes().len()));
        reader.insert(&part);
        known = reached;
    }
    reader.insert(&all.diff(&known));
    assert_eq!(reader, all);
}

#[test]
fn values_of_one_key_stay_apart_until_they_are_deleted() {
    // 1 and then 2 under key k, without the deletion that their author sent along.
    let values = ["010101002801016d016b017d0100", "01010101a80100017d0200"].map(unhex);
    assert_eq!(filled(&values).structs(), 2);
    let deleted = unhex("0001010100 02".replace(' ', "").as_str());
    assert_eq!(filled(&[values[0].clone(), values[1].clone(), deleted]).structs(), 1);
}
