//! Envelopes, there and back, and byte by byte.

use std::sync::Arc;

use bytes::Bytes;
use proptest::prelude::*;
use quire_sync_protocol::id::MAX_SAFE_INTEGER;
use quire_sync_protocol::{ClientId, NodeId, PresenceEntry};

use super::*;

const NODE: NodeId = NodeId(0x0102_0304_0506_0708);

fn client(value: u64) -> ClientId {
    ClientId::new(value).unwrap()
}

fn entry(number: u64, state: Option<Arc<str>>) -> PresenceEntry {
    PresenceEntry { client: client(number), clock: 1, state, identity: None }
}

fn opened(envelope: &[u8]) -> Result<Opened, OpenError> {
    open(&Bytes::copy_from_slice(envelope))
}

/// One message of each kind, with all that may lack and without, and the bytes behind version and sender.
fn examples() -> Vec<(Message, Vec<u8>)> {
    let updates = vec![Bytes::from_static(&[0, 0]), Bytes::from_static(&[7])];
    let edits_head =
        [&[1][..], &[0, 0, 0, 0, 0, 0, 0, 1], &[0, 0, 0, 0, 0, 0, 1, 0], &[0, 0, 0, 0, 0, 0, 1, 1]].concat();
    let there = PresenceEntry {
        client: client(300),
        clock: 5,
        state: Some("{}".into()),
        identity: Some("ann".into()),
    };
    let gone = PresenceEntry { client: client(1), clock: 6, state: None, identity: None };
    vec![
        (
            Message::Edits { epoch: 1, first: 256, last: 257, updates },
            [&edits_head[..], &[2, 2, 0, 0, 1, 7]].concat(),
        ),
        (
            Message::Edits { epoch: 1, first: 256, last: 257, updates: Vec::new() },
            [&edits_head[..], &[0]].concat(),
        ),
        (
            Message::Presence(vec![there, gone]),
            [&[2, 2][..], &[12, 0xac, 2, 5, 1, 2, b'{', b'}', 1, 3], b"ann", &[4, 1, 6, 0, 0]].concat(),
        ),
        (Message::Announce(vec![(client(300), 5), (client(1), 0)]), vec![3, 2, 0xac, 2, 5, 1, 0]),
        (Message::Broadcast { from: None, text: "hi".into() }, vec![4, 0, 2, b'h', b'i']),
        (Message::Broadcast { from: Some("a".into()), text: "".into() }, vec![4, 1, 1, b'a', 0]),
        (Message::Hello { question: 3 }, vec![5, 0, 0, 0, 0, 0, 0, 0, 3]),
        (
            Message::Settled { to: NodeId(1), question: u64::MAX },
            [&[6, 0, 0, 0, 0, 0, 0, 0, 1][..], &[0xff; 8]].concat(),
        ),
        (Message::Ended { epoch: 9 }, vec![7, 0, 0, 0, 0, 0, 0, 0, 9]),
        (
            Message::Rung { event: "new".into(), says: "{}".into() },
            [&[8, 3][..], b"new", &[2], b"{}"].concat(),
        ),
        (Message::Revoked, vec![9]),
        (Message::Alive { address: "http://a".into() }, [&[10, 8][..], b"http://a"].concat()),
        (Message::Question { question: 3, says: "1".into() }, vec![11, 0, 0, 0, 0, 0, 0, 0, 3, 1, b'1']),
        (
            Message::Answer { to: NodeId(2), question: 3, says: "1".into() },
            vec![12, 0, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0, 3, 1, b'1'],
        ),
    ]
}

#[test]
fn envelopes_are_laid_out_as_documented() {
    for (message, body) in examples() {
        let bytes = [&[1, 1, 2, 3, 4, 5, 6, 7, 8], &*body].concat();
        assert_eq!(seal(NODE, &message), Ok(vec![Bytes::from(bytes.clone())]), "{message:?}");
        assert_eq!(opened(&bytes), Ok(Opened::Message(NODE, message)));
    }
}

#[test]
fn what_later_releases_add_is_skipped() {
    for (message, body) in examples() {
        let bytes = [&[1, 1, 2, 3, 4, 5, 6, 7, 8], &*body, &[0xff, 0xff, 0xff]].concat();
        assert_eq!(opened(&bytes), Ok(Opened::Message(NODE, message)));
    }
    let longer_entry = [1, 0, 0, 0, 0, 0, 0, 0, 1, 2, 2, 6, 4, 7, 0, 0, 8, 8, 4, 5, 7, 0, 0];
    let entries = [4, 5].map(|number| PresenceEntry { clock: 7, ..entry(number, None) });
    assert_eq!(opened(&longer_entry), Ok(Opened::Message(NodeId(1), Message::Presence(entries.to_vec()))));
    assert_eq!(opened(&[2]), Ok(Opened::Unknown));
    for unknown in [0, 13, 100] {
        assert_eq!(opened(&[1, 0, 0, 0, 0, 0, 0, 0, 1, unknown, 0xff]), Ok(Opened::Unknown));
    }
}

#[test]
fn what_is_cut_short_is_refused() {
    for (message, _) in examples() {
        let whole = seal(NODE, &message).unwrap().remove(0);
        for length in 0..whole.len() {
            assert!(open(&whole.slice(..length)).is_err(), "{message:?} cut at {length}");
        }
    }
}

#[test]
fn counts_and_choices_are_checked() {
    let head = [1, 0, 0, 0, 0, 0, 0, 0, 1];
    let body = |body: &[u8]| opened(&[&head, body].concat());
    assert_eq!(
        body(&[2, 5, 0]),
        Err(OpenError::Read(quire_sync_protocol::wire::varint::ReadError::CountExceedsInput))
    );
    assert_eq!(body(&[4, 2, 0]), Err(OpenError::NoChoice(2)));
    let mut many = vec![2];
    quire_sync_protocol::wire::varint::write_var_uint(&mut many, MAX_ENTRIES as u64 + 1);
    many.resize(many.len() + MAX_ENTRIES + 1, 0);
    assert_eq!(body(&many), Err(OpenError::TooMany(MAX_ENTRIES + 1)));
    assert_eq!(opened(&vec![0; MAX_BYTES + 1]), Err(OpenError::TooLarge(MAX_BYTES + 1)));
    for (first, last, updates) in [(5, 4, 0), (5, 5, 2), (5, 8, 2), (0, u64::MAX, 1)] {
        let message = Message::Edits { epoch: 1, first, last, updates: vec![Bytes::new(); updates] };
        let sealed = seal(NODE, &message).unwrap().remove(0);
        assert_eq!(open(&sealed), Err(OpenError::Seqs { first, last, updates }));
    }
}

#[test]
fn what_is_too_large_is_divided_announced_or_refused() {
    let large = |bytes: usize, count: usize| Message::Edits {
        epoch: 1,
        first: 1,
        last: count as u64,
        updates: vec![Bytes::from(vec![1; bytes]); count],
    };
    for (message, is_whole) in [
        (large(MAX_BYTES - 100, 1), true),
        (large(MAX_BYTES, 1), false),
        (large(2, MAX_UPDATES), true),
        (large(2, MAX_UPDATES + 1), false),
    ] {
        let sealed = seal(NODE, &message).unwrap();
        assert!(sealed.len() == 1 && sealed[0].len() <= MAX_BYTES);
        let Ok(Opened::Message(_, Message::Edits { first, last, updates, .. })) = open(&sealed[0]) else {
            panic!()
        };
        let Message::Edits { first: was_first, last: was_last, .. } = message else { panic!() };
        assert_eq!((first, last, updates.is_empty()), (was_first, was_last, !is_whole));
    }

    let state: Arc<str> = "x".repeat(64 << 10).into();
    let mut entries: Vec<_> = (0..50).map(|number| entry(number, Some(Arc::clone(&state)))).collect();
    entries.extend((0..20_000).map(|number| entry(number, None)));
    let sealed = seal(NODE, &Message::Presence(entries.clone())).unwrap();
    assert!(sealed.iter().all(|envelope| envelope.len() <= MAX_BYTES));
    let mut read = Vec::new();
    for envelope in &sealed {
        let Ok(Opened::Message(NODE, Message::Presence(some))) = open(envelope) else { panic!() };
        read.extend(some);
    }
    assert_eq!(read, entries);
    assert!(sealed.len() < 9, "{} envelopes", sealed.len());

    let huge: Arc<str> = "x".repeat(MAX_BYTES).into();
    assert!(seal(NODE, &Message::Presence(vec![entry(1, Some(Arc::clone(&huge)))])).is_err());
    assert!(seal(NODE, &Message::Broadcast { from: None, text: huge }).is_err());
    assert_eq!(seal(NODE, &Message::Presence(Vec::new())).unwrap().len(), 1);
    let many = Message::Announce(vec![(client(1), 1); MAX_ENTRIES + 1]);
    assert_eq!(seal(NODE, &many).unwrap().len(), 2);
}

fn text() -> impl Strategy<Value = Arc<str>> {
    any::<String>().prop_map(Arc::from)
}

fn optional_text() -> impl Strategy<Value = Option<Arc<str>>> {
    prop::option::of(text())
}

fn safe() -> impl Strategy<Value = u64> {
    0..=MAX_SAFE_INTEGER
}

fn message() -> impl Strategy<Value = Message> {
    let update = prop::collection::vec(any::<u8>(), 0..50).prop_map(Bytes::from);
    let entry =
        (safe(), safe(), optional_text(), optional_text()).prop_map(|(id, clock, state, identity)| {
            PresenceEntry { client: client(id), clock, state, identity }
        });
    prop_oneof![
        (any::<u64>(), 0..=u64::MAX - 10, prop::collection::vec(update, 1..10)).prop_map(
            |(epoch, first, updates)| Message::Edits {
                epoch,
                first,
                last: first + updates.len() as u64 - 1,
                updates
            }
        ),
        prop::collection::vec(entry, 0..10).prop_map(Message::Presence),
        prop::collection::vec((safe().prop_map(client), safe()), 0..10).prop_map(Message::Announce),
        (optional_text(), text()).prop_map(|(from, text)| Message::Broadcast { from, text }),
        any::<u64>().prop_map(|question| Message::Hello { question }),
        (any::<u64>(), any::<u64>()).prop_map(|(to, question)| Message::Settled { to: NodeId(to), question }),
        any::<u64>().prop_map(|epoch| Message::Ended { epoch }),
        (text(), text()).prop_map(|(event, says)| Message::Rung { event, says }),
        Just(Message::Revoked),
        text().prop_map(|address| Message::Alive { address }),
        (any::<u64>(), text()).prop_map(|(question, says)| Message::Question { question, says }),
        (any::<u64>(), any::<u64>(), text()).prop_map(|(to, question, says)| Message::Answer {
            to: NodeId(to),
            question,
            says
        }),
    ]
}

proptest! {
    #[test]
    fn a_message_comes_back(from in any::<u64>(), message in message()) {
        let sealed = seal(NodeId(from), &message).unwrap();
        prop_assert_eq!(sealed.len(), 1);
        prop_assert_eq!(open(&sealed[0]), Ok(Opened::Message(NodeId(from), message)));
    }
}
