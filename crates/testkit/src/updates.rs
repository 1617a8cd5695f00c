//! Updates, and replicas that take them.

use bytes::Bytes;
use quire_sync_protocol::id::MAX_SAFE_INTEGER;
use quire_sync_protocol::update::id_set::{ClockRange, IdSet};
use quire_sync_protocol::update::structs::{Body, Place};
use quire_sync_protocol::wire::varint::Reader;
use quire_sync_protocol::{Clock, Id, Replica, StateVector, Update};

use crate::ids::{self, erased, held, intersection, is_within, union};

/// So many updates are taken out of one input.
const MOST: usize = 8;

/// Some updates, one after the other: a length, then so many bytes, or what is left of them.
pub fn updates(data: &[u8]) {
    let updates = accepted(data);
    for update in &updates {
        is_sound(update);
        is_taken_at_once(update.bytes());
    }
    is_taken_at_once(data);
    let mut replica = Replica::new();
    let mut work = Work::default();
    for update in &updates {
        work.add(update);
        insert(&mut replica, update);
        is_consistent(&replica, work);
    }
    orders_agree(&updates);
    diffs_give_the_rest(&replica, &updates);
    parts_give_all(&replica);
}

/// The updates of an input that are taken.
pub fn accepted(data: &[u8]) -> Vec<Update> {
    let mut reader = Reader::new(data);
    let mut updates = Vec::new();
    while !reader.is_empty() && updates.len() < MOST {
        let Ok(length) = reader.var_uint() else { break };
        let rest = reader.rest();
        let length = usize::try_from(length).unwrap_or(usize::MAX).min(rest.len());
        let Ok(bytes) = reader.take(length) else { break };
        updates.extend(Update::parse(Bytes::copy_from_slice(bytes)));
    }
    updates
}

/// What is visited is what the bytes can back, with clocks in order and in range.
pub(crate) fn is_sound(update: &Update) {
    let mut structs = 0;
    let mut blocks = 0;
    let mut next_id = None;
    update.for_each_struct(|client, clock, next| {
        structs += 1;
        if next_id != Some(Id { client, clock }) {
            blocks += 1;
        }
        assert!(clock + next.len <= MAX_SAFE_INTEGER);
        next_id = Some(Id { client, clock: clock + next.len });
    });
    let mut ranges = 0;
    update.for_each_delete(|_, range| {
        ranges += 1;
        assert!(range.start <= range.end && range.end <= MAX_SAFE_INTEGER);
    });
    // A struct and a range take two bytes at the least, the head of a block three.
    assert!(2 * structs + 3 * blocks + 2 * ranges <= update.bytes().len().max(1));
    assert_eq!(Update::parse(update.bytes().clone()).as_ref(), Ok(update));
    assert!(!update.is_empty() || structs + ranges == 0);
}

/// Checking and taking in one go finds what is wrong, and takes the rest, as one after the other does.
fn is_taken_at_once(bytes: &[u8]) {
    let bytes = Bytes::copy_from_slice(bytes);
    match (Update::parse(bytes.clone()), Replica::from_stored(Some(bytes), &[])) {
        (Ok(update), Ok((taken, whole))) => {
            assert_eq!(whole.as_ref(), Some(&update));
            let mut replica = Replica::new();
            replica.insert(&update);
            // If an id comes twice, it depends on the order which of its structs is taken.
            if is_honest(std::slice::from_ref(&update)) {
                assert_eq!(taken, replica);
                assert_eq!(taken.state_vector(), replica.state_vector());
            } else {
                assert_eq!(held(&taken), held(&replica));
            }
        }
        (Err(expected), Err(found)) => assert_eq!(found, expected),
        (parsed, taken) => panic!("parsed: {parsed:?}, taken: {taken:?}"),
    }
}

/// How much went into a replica, by which what it does and holds is bounded.
#[derive(Clone, Copy, Debug, Default)]
struct Work {
    structs: usize,
    ranges: usize,
    bytes: usize,
}

impl Work {
    fn add(&mut self, update: &Update) {
        update.for_each_struct(|_, _, _| self.structs += 1);
        update.for_each_delete(|_, _| self.ranges += 1);
        self.bytes += update.bytes().len();
    }
}

/// Inserts an update; what is said of it is what happened.
fn insert(replica: &mut Replica, update: &Update) {
    let before = replica.clone();
    let had = held(replica);
    let lacked = replica.lacks(update);
    let inserted = replica.insert(update);

    assert_eq!(inserted.delta.is_some(), lacked);
    assert_eq!(held(replica), union(&had, &ids::ids(update)));
    assert!(is_within(&update.deletes(), replica.deletes()));
    assert!(is_within(
        replica.deletes(),
        &union(before.deletes(), &union(&update.deletes(), &erased(update)))
    ));
    // If an id comes twice, it depends on the order within the update which of its structs is taken.
    if is_honest(std::slice::from_ref(update)) {
        assert_eq!(inserted.gap, has_gap(&had, update, replica), "{update:?}");
    }

    let mut mirror = before.clone();
    match inserted.delta {
        Some(delta) => {
            is_sound(&delta);
            assert!(is_within(&ids::ids(&delta), &ids::ids(update)));
            mirror.insert(&delta);
        }
        None => assert_eq!(before, *replica),
    }
    assert_eq!(mirror, *replica, "the delta is not all that was new");

    assert!(!replica.lacks(update));
    let after = replica.clone();
    let again = replica.insert(update);
    assert!(again.delta.is_none() && !again.gap, "twice brings something");
    assert_eq!(after, *replica);
}

/// Whether what is new of an update lies behind a missing clock, or next to or inside of something that is missing.
fn has_gap(had: &IdSet, update: &Update, after: &Replica) -> bool {
    let vector = after.state_vector();
    let mut had = had.clone();
    let mut gap = false;
    update.for_each_struct(|client, clock, next| {
        let (Body::Item(_) | Body::Gc) = next.body else { return };
        let mut own = IdSet::default();
        own.insert(client, ClockRange { start: clock, end: clock + next.len });
        let new = own.without(&had);
        had.unite(&own);
        gap |= new.ranges(client).iter().any(|range| range.end > vector.clock(client));
        let Body::Item(item) = next.body else { return };
        let starts_whole = new.ranges(client).first().is_some_and(|first| first.start == clock);
        let is_cut = new.ranges(client).iter().any(|range| range.start > clock);
        let needs = if starts_whole { item.place.dependencies() } else { [None, None] };
        let right = if is_cut { item.place.right_origin() } else { None };
        gap |= needs.into_iter().chain([right]).flatten().any(|id| !after.holds(id));
    });
    gap
}

/// A replica is what its encoding says, in the form in which all replicas that hold the same are.
fn is_consistent(replica: &Replica, work: Work) {
    let encoded = replica.encode();
    is_sound(&encoded);
    let held = ids::ids(&encoded);
    assert_eq!(replica.state_vector(), ids::contiguous(&held));
    assert_eq!(encoded.deletes(), *replica.deletes());
    assert_eq!(
        intersection(&held, replica.deletes()),
        erased(&encoded),
        "deleted content is gone, other is not"
    );
    assert_eq!(replica.is_empty(), encoded.is_empty());

    let mut again = Replica::new();
    let inserted = again.insert(&encoded);
    assert_eq!(inserted.delta.unwrap_or(Update::empty()), encoded);
    assert_eq!(again, *replica);
    assert_eq!(again.structs(), replica.structs());

    // Each struct and each range has two ends at which something else may be cut.
    assert!(replica.structs() <= 2 * (work.structs + work.ranges));
    // What a cut adds: a place of two ids, a length, and a replacement character.
    let most = 3 * work.bytes + 64 * replica.structs() + 20;
    assert!(encoded.bytes().len() <= most, "{} bytes encoded", encoded.bytes().len());
    let most = 2 * encoded.bytes().len() + 192 * (replica.structs() + work.ranges);
    assert!(replica.heap_bytes() <= most, "{} bytes for {work:?}", replica.heap_bytes());
}

/// In whatever order updates come, the same ids are held; and merged in two halves they say the same as one by one.
fn orders_agree(updates: &[Update]) {
    let all = filled(updates.iter());
    let turned = filled(updates.iter().rev());
    assert_eq!(held(&turned), held(&all));
    assert_eq!(turned.state_vector(), all.state_vector());
    let (left, right) = updates.split_at(updates.len() / 2);
    let halves = [filled(left.iter()).encode(), filled(right.iter()).encode()];
    let merged = filled(halves.iter());
    assert_eq!(held(&merged), held(&all));
    if is_honest(updates) {
        assert_eq!(merged, all);
        assert_eq!(turned, all);
    }
}

/// Whether no id has two contents, and no cut can depend on the order: no two structs share an id, and nothing is deleted
/// that is not deleted whole.
fn is_honest(updates: &[Update]) -> bool {
    let mut seen = IdSet::default();
    let mut honest = true;
    let mut deletes = IdSet::default();
    for update in updates {
        deletes.unite(&update.deletes());
    }
    for update in updates {
        update.for_each_struct(|client, clock, next| {
            if next.body == Body::Skip || next.len == 0 {
                return;
            }
            let mut own = IdSet::default();
            own.insert(client, ClockRange { start: clock, end: clock + next.len });
            honest &= is_within(&own, &own.without(&seen));
            seen.unite(&own);
            let deleted = intersection(&own, &deletes);
            honest &= deleted.is_empty() || deleted == own;
        });
    }
    honest
}

/// Whoever has the first of the updates gets the rest by a diff from its state vector; and a diff from any state vector holds
/// what lies above it and all deletes.
fn diffs_give_the_rest(all: &Replica, updates: &[Update]) {
    for known in 0..=updates.len() {
        let mut reader = filled(updates.iter().take(known));
        let vector = reader.state_vector();
        reader.insert(&all.diff(&vector));
        assert_eq!(reader, *all);
    }
    let held = held(all);
    for vector in vectors(all, updates) {
        let diff = all.diff(&vector);
        is_sound(&diff);
        assert_eq!(ids::ids(&diff), ids::above(&held, &vector));
        assert_eq!(diff.deletes(), *all.deletes());
        let (part, reached) = all.part(&vector, 3);
        is_sound(&part);
        assert!(part.deletes().is_empty());
        assert_eq!(ids::ids(&part), ids::above(&held, &vector).without(&ids::above(&held, &reached)));
    }
}

/// State vectors that cut structs: in the middle of what is held, and where the places of items point.
fn vectors(all: &Replica, updates: &[Update]) -> Vec<StateVector> {
    let full = all.state_vector();
    let scaled = |numerator: Clock, denominator: Clock| -> StateVector {
        full.iter().map(|(client, clock)| (client, clock / denominator * numerator)).collect()
    };
    let mut vectors = vec![StateVector::default(), scaled(1, 3), scaled(1, 2), full.clone()];
    for update in updates {
        let mut vector = Vec::new();
        update.for_each_struct(|client, clock, next| {
            vector.push((client, clock + next.len / 2));
            if let Body::Item(item) = next.body
                && let Place::After { origin, .. } = item.place
            {
                vector.push((origin.client, origin.clock + 1));
            }
        });
        vectors.push(vector.into_iter().collect());
    }
    vectors
}

/// Part by part, and then the rest, is everything, and no more parts are made than were asked for.
fn parts_give_all(all: &Replica) {
    for parts in [1, 2, 7] {
        let mut reader = Replica::new();
        let mut known = StateVector::default();
        for left in (1..=parts).rev() {
            let (part, reached) = all.part(&known, left);
            assert!(part.is_empty() == (known == reached), "a part that brings nothing on, or says nothing");
            reader.insert(&part);
            known = reached;
        }
        assert!(all.part(&known, 1).0.is_empty(), "what is left after the last part");
        reader.insert(&all.diff(&known));
        assert_eq!(reader, *all);
    }
}

fn filled<'a>(updates: impl Iterator<Item = &'a Update>) -> Replica {
    let mut replica = Replica::new();
    for update in updates {
        replica.insert(update);
    }
    replica
}
