use super::structs::{Body, Item, Parent, Place};
use super::*;
use crate::id::Id;

fn parse(bytes: &[u8]) -> Result<Update, UpdateError> {
    Update::parse(Bytes::copy_from_slice(bytes))
}

/// One client with these structs, from clock 0, and no deletes.
fn with_structs(count: u8, structs: &[u8]) -> Vec<u8> {
    [&[1, count, 7, 0], structs, &[0]].concat()
}

/// What a struct looks like when it is read and written again.
fn rewritten(update: &Update) -> Vec<u8> {
    let mut out = Vec::new();
    update.for_each_struct(|_, _, next| next.write(&mut out));
    out
}

#[test]
fn every_kind_of_struct_is_read_measured_and_written_as_it_was() {
    let root = [1, 1, b'r'];
    let cases: Vec<(&str, Vec<u8>, Clock)> = vec![
        ("gc", vec![0, 5], 5),
        ("skip", vec![10, 9], 9),
        ("deleted", [&[1][..], &root, &[3]].concat(), 3),
        ("json", [&[2][..], &root, &[2, 1, b'1', 9], b"undefined"].concat(), 2),
        ("binary", [&[3][..], &root, &[2, 0xff, 0]].concat(), 1),
        ("string", [&[4][..], &root, &[7], "a\u{e4}\u{1f600}".as_bytes()].concat(), 4),
        ("embed", [&[5][..], &root, &[2], b"{}"].concat(), 1),
        ("format", [&[6][..], &root, &[1, b'b', 4], b"true"].concat(), 1),
        ("array", [&[7][..], &root, &[0]].concat(), 1),
        ("element", [&[7][..], &root, &[3, 1, b'p']].concat(), 1),
        ("hook", [&[7][..], &root, &[5, 1, b'h']].concat(), 1),
        ("xml text", [&[7][..], &root, &[6]].concat(), 1),
        ("link to one", [&[7][..], &root, &[7, 0, 1, 2]].concat(), 1),
        ("link to a range", [&[7][..], &root, &[7, 1, 1, 2, 3, 4]].concat(), 1),
        ("link to all of a root", [&[7][..], &root, &[7, 0b11_1001, 1, b'r', 1, b'r']].concat(), 1),
        ("any", [&[8][..], &root, &[3, 126, 125, 0x40, 122, 0, 0, 0, 0, 0, 0, 0, 5]].concat(), 3),
        ("doc", [&[9][..], &root, &[1, b'g', 118, 1, 1, b'a', 120]].concat(), 1),
        ("move of one", [&[11][..], &root, &[1, 1, 2]].concat(), 1),
        ("move of a range", [&[11][..], &root, &[0x80, 1, 1, 2, 3, 4]].concat(), 1),
        ("key", vec![0x28, 1, 1, b'r', 1, b'k', 1, 126], 1),
        ("parent by id", vec![0x04, 0, 9, 3, 1, b'a'], 1),
        ("origin", vec![0x84, 9, 3, 1, b'a'], 1),
        ("right origin", vec![0x44, 9, 3, 1, b'a'], 1),
        ("both origins, keyed", vec![0xe8, 9, 3, 9, 4, 1, 126], 1),
        ("right origin, keyed", vec![0x68, 9, 3, 1, 126], 1),
    ];
    for (name, encoded, len) in cases {
        let bytes = with_structs(1, &encoded);
        let update = parse(&bytes).unwrap_or_else(|error| panic!("{name}: {error}"));
        update.for_each_struct(|client, clock, next| {
            assert_eq!((client.value(), clock, next.len), (7, 0, len), "{name}");
        });
        assert_eq!(rewritten(&update), encoded, "{name}");
        for cut in 0..bytes.len() {
            assert!(parse(&bytes[..cut]).is_err(), "{name} cut at {cut}");
        }
    }
}

#[test]
fn an_item_says_where_it_stands() {
    let update = parse(&with_structs(1, &[0xe8, 9, 3, 8, 4, 1, 126])).unwrap();
    let id = |client, clock| Id { client: ClientId::new(client).unwrap(), clock };
    update.for_each_struct(|_, _, next| {
        let Body::Item(Item { place, .. }) = next.body else { panic!() };
        assert_eq!(place, Place::After { origin: id(9, 3), right_origin: Some(id(8, 4)), keyed: true });
    });
    let update = parse(&with_structs(1, &[0x28, 0, 9, 3, 1, b'k', 1, 126])).unwrap();
    update.for_each_struct(|_, _, next| {
        let Body::Item(Item { place, .. }) = next.body else { panic!() };
        assert_eq!(place, Place::Within { parent: Parent::Item(id(9, 3)), key: Some("k") });
    });
}

#[test]
fn what_cannot_be_delimited_is_refused_with_its_reason() {
    let item = |content: &[u8]| with_structs(1, &[content, &[1, 1, b'r']].concat());
    let with = |kind: u8, content: &[u8]| with_structs(1, &[&[kind, 1, 1, b'r'], content].concat());
    assert_eq!(parse(&item(&[12])), Err(UpdateError::UnknownContent(12)));
    assert_eq!(parse(&item(&[31])), Err(UpdateError::UnknownContent(31)));
    assert_eq!(parse(&with(7, &[8])), Err(UpdateError::UnknownType(8)));
    assert_eq!(parse(&with(8, &[1, 99])), Err(UpdateError::UnknownValue(99)));
    assert_eq!(parse(&with(5, &[1, b'x'])), Err(UpdateError::InvalidJson));
    assert_eq!(parse(&with(2, &[1, 1, b'x'])), Err(UpdateError::InvalidJson));
    assert_eq!(parse(&with(9, &[1, b'g', 126])), Err(UpdateError::InvalidDocumentOptions));
    assert_eq!(parse(&with(4, &[1, 0xff])), Err(UpdateError::Unreadable(ReadError::InvalidText)));
    let deep = [&[1][..], &[117, 1].repeat(200_000), &[126]].concat();
    assert_eq!(parse(&with(8, &deep)), Err(UpdateError::TooDeep));
    assert_eq!(parse(&[0, 0, 0]), Err(UpdateError::TrailingBytes));
    assert_eq!(parse(&[]), Err(UpdateError::Unreadable(ReadError::EndsEarly)));
}

#[test]
fn an_item_that_builds_on_a_later_one_of_its_client_is_refused() {
    // Client 7 at clock 0; each names clock 0 or 1 of its own, which Yjs takes for known, and throws.
    for place in [&[0x84, 7, 0][..], &[0x84, 7, 1], &[0x44, 7, 1], &[0xc4, 1, 0, 7, 0], &[4, 0, 7, 0]] {
        let item = [place, &[1, b'a']].concat();
        assert_eq!(parse(&with_structs(1, &item)), Err(UpdateError::BuildsOnLater), "{place:?}");
    }
    let typed = [4, 1, 1, b't', 1, b'a', 0x84, 7, 0, 1, b'b'];
    assert!(parse(&with_structs(2, &typed)).is_ok());
}

#[test]
fn counts_and_clocks_out_of_range_are_refused() {
    let huge = [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x0f];
    let too_many = Err(UpdateError::Unreadable(ReadError::CountExceedsInput));
    assert_eq!(parse(&huge), too_many);
    assert_eq!(parse(&[&[1][..], &huge].concat()), too_many);
    assert_eq!(parse(&[&[0][..], &huge].concat()), too_many);
    assert_eq!(parse(&[&[0, 1, 1][..], &huge].concat()), too_many);
    // A struct at the last clock there is may not reach beyond it, and neither may a delete.
    let last = [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x0f];
    assert!(parse(&[&[1, 1, 7][..], &last, &[0, 1, 0]].concat()).is_err());
    assert_eq!(parse(&[&[0, 1, 7, 1][..], &last, &[1]].concat()), Err(UpdateError::ClockOutOfRange));
    assert!(parse(&[&[0, 1, 7, 1][..], &last, &[0]].concat()).is_ok());
}

#[test]
fn deletes_come_in_any_order_and_are_put_in_order() {
    let update = parse(&[0, 2, 1, 3, 9, 1, 2, 3, 4, 2, 3, 1, 5, 5]).unwrap();
    let deletes = update.deletes();
    let of = |id| deletes.ranges(ClientId::new(id).unwrap()).to_vec();
    assert_eq!(of(3), [ClockRange { start: 5, end: 10 }]);
    assert_eq!(of(1), [ClockRange { start: 2, end: 6 }, ClockRange { start: 9, end: 10 }]);
}

#[test]
fn only_the_empty_update_is_empty() {
    assert!(Update::empty().is_empty());
    assert!(parse(&[0, 0]).unwrap().is_empty());
    assert!(!parse(&with_structs(1, &[0, 1])).unwrap().is_empty());
    assert!(!parse(&[0, 1, 1, 1, 0, 1]).unwrap().is_empty());
}
