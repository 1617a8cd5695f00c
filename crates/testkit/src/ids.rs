//! What an update or a replica holds, as sets of ids.

use quire_sync_protocol::update::id_set::{ClockRange, IdSet};
use quire_sync_protocol::update::structs::{Body, Item};
use quire_sync_protocol::update::{Update, content::Content};
use quire_sync_protocol::{Replica, StateVector};

/// The ids of all structs but Skip.
pub fn ids(update: &Update) -> IdSet {
    let mut ids = IdSet::default();
    update.for_each_struct(|client, clock, next| {
        if next.body != Body::Skip {
            ids.insert(client, ClockRange { start: clock, end: clock + next.len });
        }
    });
    ids
}

/// The ids of the structs that say by themselves that they are deleted.
pub fn erased(update: &Update) -> IdSet {
    let mut erased = IdSet::default();
    update.for_each_struct(|client, clock, next| match next.body {
        Body::Gc | Body::Item(Item { content: Content::Deleted, .. }) => {
            erased.insert(client, ClockRange { start: clock, end: clock + next.len });
        }
        Body::Skip | Body::Item(_) => {}
    });
    erased
}

/// The ids that a replica holds, deleted or not.
pub fn held(replica: &Replica) -> IdSet {
    ids(&replica.encode())
}

/// All ids of both.
pub fn union(one: &IdSet, other: &IdSet) -> IdSet {
    let mut all = one.clone();
    all.unite(other);
    all
}

/// The ids that are in both.
pub fn intersection(one: &IdSet, other: &IdSet) -> IdSet {
    one.without(&one.without(other))
}

/// Whether all ids of the first are in the second.
pub fn is_within(one: &IdSet, other: &IdSet) -> bool {
    one.without(other).is_empty()
}

/// For each client the clocks from 0 up to the first that is missing.
pub fn contiguous(ids: &IdSet) -> StateVector {
    let first = ids.iter().filter_map(|(client, ranges)| Some((client, ranges.first()?)));
    first.filter(|(_, range)| range.start == 0).map(|(client, range)| (client, range.end)).collect()
}

/// The ids at or above the clocks of a state vector.
pub fn above(ids: &IdSet, known: &StateVector) -> IdSet {
    let mut above = IdSet::default();
    for (client, ranges) in ids.iter() {
        for range in ranges {
            above.insert(client, ClockRange { start: range.start.max(known.clock(client)), end: range.end });
        }
    }
    above
}
