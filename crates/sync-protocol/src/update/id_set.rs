//! Sets of ids, as ranges of clocks for each client. A delete set is one.

use std::collections::BTreeMap;

use crate::id::{ClientId, Clock};
use crate::wire::varint::{var_uint_bytes, write_var_uint};

/// The clocks from `start` up to, but without, `end`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClockRange {
    /// The first clock.
    pub start: Clock,
    /// The clock behind the last.
    pub end: Clock,
}

impl ClockRange {
    /// How many clocks it holds.
    pub fn len(&self) -> Clock {
        self.end.saturating_sub(self.start)
    }

    /// Whether it holds none.
    pub fn is_empty(&self) -> bool {
        self.start >= self.end
    }
}

/// A set of ids. For each client its ranges are ascending, not empty, and do not touch.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct IdSet {
    clients: BTreeMap<ClientId, Vec<ClockRange>>,
}

impl IdSet {
    /// Whether it holds nothing.
    pub fn is_empty(&self) -> bool {
        self.clients.is_empty()
    }

    /// The clients, ascending, each with its ranges.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = (ClientId, &[ClockRange])> {
        self.clients.iter().map(|(client, ranges)| (*client, ranges.as_slice()))
    }

    /// The ranges of one client.
    pub fn ranges(&self, client: ClientId) -> &[ClockRange] {
        self.clients.get(&client).map(Vec::as_slice).unwrap_or_default()
    }

    /// The ranges of one client that end after `clock`.
    pub(crate) fn ranges_from(&self, client: ClientId, clock: Clock) -> &[ClockRange] {
        let ranges = self.ranges(client);
        ranges.get(ranges.partition_point(|range| range.end <= clock)..).unwrap_or_default()
    }

    /// How many ids it holds.
    pub fn len(&self) -> Clock {
        self.clients.values().flatten().map(ClockRange::len).sum()
    }

    /// Adds a range. An empty one adds nothing.
    pub fn insert(&mut self, client: ClientId, range: ClockRange) {
        if range.is_empty() {
            return;
        }
        let ranges = self.clients.entry(client).or_default();
        // Ascending input, as clients write it, only ever touches the end.
        match ranges.last_mut() {
            Some(last) if last.start <= range.start => {
                if range.start <= last.end {
                    last.end = last.end.max(range.end);
                } else {
                    ranges.push(range);
                }
            }
            None => ranges.push(range),
            Some(_) => {
                let from = ranges.partition_point(|other| other.end < range.start);
                let to = ranges.partition_point(|other| other.start <= range.end);
                let touched = ranges.get(from..to).unwrap_or_default();
                let start = touched.first().map_or(range.start, |first| first.start.min(range.start));
                let end = touched.last().map_or(range.end, |last| last.end.max(range.end));
                ranges.splice(from..to, [ClockRange { start, end }]);
            }
        }
    }

    /// Collects ranges in any order, in time that grows little more than their number.
    pub(crate) fn collect(fill: impl FnOnce(&mut dyn FnMut(ClientId, ClockRange))) -> Self {
        let mut clients = BTreeMap::<ClientId, Vec<ClockRange>>::new();
        fill(&mut |client, range| {
            if !range.is_empty() {
                clients.entry(client).or_insert_with(|| Vec::with_capacity(1)).push(range);
            }
        });
        for ranges in clients.values_mut() {
            if !ranges.windows(2).all(|pair| matches!(pair, [left, right] if left.end < right.start)) {
                ranges.sort_unstable_by_key(|range| range.start);
                *ranges = united(ranges, &[]);
            }
        }
        Self { clients }
    }

    /// Adds all of `other`.
    pub fn unite(&mut self, other: &Self) {
        for (client, ranges) in &other.clients {
            let own = self.clients.entry(*client).or_default();
            if let [range] = ranges.as_slice() {
                self.insert(*client, *range);
            } else if own.is_empty() {
                own.clone_from(ranges);
            } else {
                *own = united(own, ranges);
            }
        }
    }

    /// What `self` holds and `other` does not.
    #[must_use]
    pub fn without(&self, other: &Self) -> Self {
        let mut rest = Self::default();
        for (client, ranges) in &self.clients {
            let mut kept = Vec::new();
            for range in ranges {
                let mut start = range.start;
                for taken in other.ranges_from(*client, range.start) {
                    if taken.start >= range.end {
                        break;
                    }
                    if start < taken.start {
                        kept.push(ClockRange { start, end: taken.start });
                    }
                    start = taken.end;
                }
                if start < range.end {
                    kept.push(ClockRange { start, end: range.end });
                }
            }
            if !kept.is_empty() {
                rest.clients.insert(*client, kept);
            }
        }
        rest
    }

    /// How many bytes [`Self::write`] takes.
    pub(crate) fn encoded_bytes(&self) -> usize {
        let ranges = |ranges: &Vec<ClockRange>| -> usize {
            ranges.iter().map(|range| var_uint_bytes(range.start) + var_uint_bytes(range.len())).sum()
        };
        let clients = self.clients.iter().map(|(client, list)| {
            var_uint_bytes(client.value()) + var_uint_bytes(list.len() as u64) + ranges(list)
        });
        var_uint_bytes(self.clients.len() as u64) + clients.sum::<usize>()
    }

    /// Appends the encoding of a delete set: for each client, descending as Yjs writes them, its id and the start
    /// and length of each range.
    pub(crate) fn write(&self, out: &mut Vec<u8>) {
        write_var_uint(out, self.clients.len() as u64);
        for (client, ranges) in self.clients.iter().rev() {
            write_var_uint(out, client.value());
            write_var_uint(out, ranges.len() as u64);
            for range in ranges {
                write_var_uint(out, range.start);
                write_var_uint(out, range.len());
            }
        }
    }

    /// Bytes of memory held.
    pub(crate) fn heap_bytes(&self) -> usize {
        let lists = self.clients.values().map(|ranges| ranges.capacity() * size_of::<ClockRange>());
        lists.sum::<usize>() + self.clients.len() * (size_of::<ClientId>() + size_of::<Vec<ClockRange>>())
    }
}

/// The union of two lists of ranges, in time linear in both.
fn united(left: &[ClockRange], right: &[ClockRange]) -> Vec<ClockRange> {
    let mut all = Vec::with_capacity(left.len() + right.len());
    let (mut left, mut right) = (left.iter().peekable(), right.iter().peekable());
    loop {
        let next = match (left.peek(), right.peek()) {
            (Some(one), Some(other)) if one.start <= other.start => left.next(),
            (_, Some(_)) => right.next(),
            (Some(_), None) => left.next(),
            (None, None) => return all,
        };
        let Some(next) = next else { return all };
        match all.last_mut() {
            None => all.push(*next),
            Some(last) if next.start > last.end => all.push(*next),
            Some(last) => last.end = last.end.max(next.end),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client(id: u64) -> ClientId {
        ClientId::new(id).unwrap()
    }

    fn set(ranges: &[(u64, u64, u64)]) -> IdSet {
        let mut set = IdSet::default();
        for (id, start, end) in ranges {
            set.insert(client(*id), ClockRange { start: *start, end: *end });
        }
        set
    }

    fn ids(set: &IdSet) -> Vec<(u64, u64)> {
        set.iter()
            .flat_map(|(client, ranges)| {
                ranges
                    .iter()
                    .flat_map(move |range| (range.start..range.end).map(move |clock| (client.value(), clock)))
            })
            .collect()
    }

    proptest::proptest! {
        #[test]
        fn behaves_as_a_set_of_ids(
            left in proptest::collection::vec((0..3u64, 0..40u64, 0..6u64), 0..20),
            right in proptest::collection::vec((0..3u64, 0..40u64, 0..6u64), 0..20),
        ) {
            let build = |list: &[(u64, u64, u64)]| {
                set(&list.iter().map(|(client, start, len)| (*client, *start, start + len)).collect::<Vec<_>>())
            };
            let model = |list: &[(u64, u64, u64)]| -> std::collections::BTreeSet<(u64, u64)> {
                list.iter().flat_map(|(client, start, len)| (*start..start + len).map(move |clock| (*client, clock))).collect()
            };
            let (one, other) = (build(&left), build(&right));
            let (one_model, other_model) = (model(&left), model(&right));
            assert_eq!(ids(&one), one_model.iter().copied().collect::<Vec<_>>());
            assert_eq!(one.len(), one_model.len() as u64);
            let mut both = one.clone();
            both.unite(&other);
            assert_eq!(ids(&both), one_model.union(&other_model).copied().collect::<Vec<_>>());
            assert_eq!(ids(&one.without(&other)), one_model.difference(&other_model).copied().collect::<Vec<_>>());
            let mut encoded = Vec::new();
            both.write(&mut encoded);
            assert_eq!(encoded.len(), both.encoded_bytes());
            for ranges in both.clients.values() {
                assert!(ranges.windows(2).all(|pair| pair[0].end < pair[1].start));
            }
        }
    }
}
