//! The power fails: a long run is recorded on a device in memory, and cut at every sync in turn.
//!
//! `QUIRE_POWER_CUTS=N` cuts each of them in N ways; without it, one way each.

use std::env;

use quire_sync_protocol::{Replica, Update};

use super::*;

/// Calls of the store in a long recording, and in a short one.
const LONG: usize = 2_000;
const SHORT: usize = 400;

const DOCUMENTS: usize = 8;

/// Seq and letters of each document.
type State = [(u64, u64); DOCUMENTS];

/// A life of a store.
struct Recording {
    disk: Disk,
    /// The disk as it was before.
    before: Disk,
    /// The documents at first and after each operation, and how many actions on the device that took.
    states: Vec<(usize, State)>,
}

/// Splitmix64, so that a failure can be told by its seed.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut bits = self.0;
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        bits ^ (bits >> 31)
    }

    fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.next() % end as u64).unwrap()
    }

    fn bit(&mut self) -> bool {
        self.next() & 1 == 1
    }
}

fn doc(number: usize) -> DocId {
    DocId::new(&format!("document {number}")).unwrap()
}

/// Appends to one or several documents, small and large, and compactions.
fn record(size: Option<u64>, journal_bytes: usize, operations: usize, seed: u64) -> Recording {
    let mut random = Random(seed);
    let disk = Disk::new();
    // Until this is done, the file has another name.
    drop(engine(&disk).unwrap());
    let disk = disk.copy();
    let before = disk.copy();
    size.inspect(|size| disk.claim_size(*size));
    let mut state = State::default();
    let store = LocalStore::open(engine_with(&disk, journal_bytes).unwrap()).unwrap();
    let mut states = vec![(disk.actions(), state)];
    for operation in 0..operations {
        if operation % 16 == 15 {
            let number = random.below(DOCUMENTS);
            if state[number].0 > 0 {
                store.compact(&doc(number)).unwrap();
            }
        } else {
            let batch: Vec<Append> = (0..=random.below(3))
                .map(|_| {
                    let number = random.below(DOCUMENTS);
                    let (seq, length) = &mut state[number];
                    let letters = if random.below(100) == 0 { 20_000 } else { 1 + random.below(30) };
                    let update = typed(*length, letters);
                    *seq += 1;
                    *length += letters as u64;
                    Append { doc: doc(number), epoch: Epoch::FIRST, update }
                })
                .collect();
            store.append(&batch).unwrap();
        }
        states.push((disk.actions(), state));
    }
    drop(store);
    Recording { disk, before, states }
}

impl Recording {
    /// What must be there if the power fails before this action: the documents after the last operation that had returned,
    /// or after the one that was under way.
    fn expect(&self, disk: &Disk, action: usize, context: &str) {
        let told = |what: &dyn std::fmt::Display| -> ! { panic!("{context}: {what}") };
        let store = engine(disk).unwrap_or_else(|error| told(&error));
        let store = LocalStore::open(store).unwrap_or_else(|error| told(&error));
        let returned = self.states.partition_point(|(end, _)| *end <= action).saturating_sub(1);
        let seqs: Vec<u64> = (0..DOCUMENTS)
            .map(|number| {
                store.info(&doc(number)).unwrap_or_else(|error| told(&error)).map_or(0, |info| info.seq.0)
            })
            .collect();
        let possible = &self.states[returned..self.states.len().min(returned + 2)];
        let Some((_, state)) = possible.iter().find(|(_, state)| state.iter().map(|(seq, _)| seq).eq(&seqs))
        else {
            told(&format!("{seqs:?} after operation {returned} is neither of {possible:?}"))
        };
        for (number, (_, length)) in state.iter().enumerate() {
            // All of them at times, else those that this is about.
            let changed = possible.iter().any(|(_, other)| other[number] != state[number]);
            if changed || action % DOCUMENTS == number || action.is_multiple_of(97) {
                let stored = store.load(&doc(number)).unwrap_or_else(|error| told(&error));
                let mut replica = Replica::new();
                for update in stored.iter().flat_map(|stored| stored.snapshot.iter().chain(&stored.updates)) {
                    replica.insert(&Update::parse(update.clone()).unwrap());
                }
                let mut whole = Replica::new();
                if *length > 0 {
                    whole.insert(&Update::parse(typed(0, usize::try_from(*length).unwrap())).unwrap());
                }
                if replica != whole {
                    told(&format!("document {number} does not hold its {length} letters"));
                }
            }
        }
        // It can be used as before.
        let update = typed(state[0].1, 1);
        let appended = store.append(&[Append { doc: doc(0), epoch: Epoch::FIRST, update }]);
        assert_eq!(appended.unwrap_or_else(|error| told(&error)), [Seq(state[0].0 + 1)], "{context}");
    }

    fn cut_everywhere(&self, seed: u64, ways: usize) {
        let mut cuts = self.disk.cuts(&self.before);
        let mut count = 0;
        while let Some(cut) = cuts.next() {
            for way in 0..ways {
                let mut random = Random(seed ^ (way as u64) << 48 ^ cut.action as u64);
                let kind = (count + way) % 4;
                // Of several writes, those before this one arrive.
                let first = random.below(cut.at_stake() + 1);
                let disk = cut.disk(|number| match kind {
                    0 => false,
                    1 => random.bit(),
                    2 => number < first,
                    _ => number != first,
                });
                let what =
                    ["nothing unsynced", "random sectors", "the first writes", "all but one write"][kind];
                let action = cut.action;
                self.expect(
                    &disk,
                    action,
                    &format!("seed {seed}, cut before action {action}, way {way}: {what} survives"),
                );
            }
            count += 1;
        }
        // Each call syncs once or more, but for compactions of what is compacted.
        assert!(count * 20 > self.states.len() * 19, "{count} syncs only");
    }
}

/// Cuts a run on a store that is large enough for commits to record what is in use, or not, and whose journal holds this much.
fn run(size: Option<u64>, journal_bytes: usize, operations: usize) {
    let seed = 4;
    match env::var("QUIRE_POWER_CUTS") {
        Ok(ways) => record(size, journal_bytes, LONG, seed).cut_everywhere(seed, ways.parse().unwrap()),
        Err(_) => record(size, journal_bytes, operations, seed).cut_everywhere(seed, 1),
    }
}

#[test]
fn no_power_cut_loses_what_was_acknowledged() {
    run(None, JOURNAL_BYTES, LONG);
}

#[test]
fn no_power_cut_of_a_large_store_loses_what_was_acknowledged() {
    run(Some(RECORDED_FROM), JOURNAL_BYTES, SHORT);
}

/// The journal is put in its places every few commits.
#[test]
fn no_power_cut_around_the_end_of_a_journal_loses_what_was_acknowledged() {
    run(None, 2_000, SHORT);
}

#[test]
#[should_panic(expected = "is neither of")]
fn a_device_that_forgets_what_it_has_synced_is_found_out() {
    let recording = record(None, JOURNAL_BYTES, 20, 4);
    let mut cuts = recording.disk.cuts(&recording.before);
    let forgetful = cuts.next().unwrap().disk(|_| false);
    let last = std::iter::from_fn(|| cuts.next().map(|cut| cut.action)).last().unwrap();
    recording.expect(&forgetful, last, "forgetful");
}
