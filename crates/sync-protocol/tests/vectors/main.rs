//! Recorded encodings and connections of the public npm packages (`tests/vectors` at the root), replayed.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a vector that is not as described fails its test"
)]

mod encodings;
mod pending;
#[path = "../support/rng.rs"]
mod rng;
mod wire;
mod yrs_divergence;

use bytes::Bytes;
use quire_sync_protocol::{ClientId, Replica, StateVector, Update};
use serde_json::Value;

/// Reads one file of vectors.
fn vector(name: &str) -> Value {
    let path = format!("{}/../../tests/vectors/{name}.json", env!("CARGO_MANIFEST_DIR"));
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

fn from_hex(hex: &str) -> Bytes {
    let digits: Vec<_> =
        hex.chars().map(|digit| u8::try_from(digit.to_digit(16).unwrap()).unwrap()).collect();
    digits.chunks(2).map(|pair| pair[0] << 4 | pair[1]).collect()
}

fn update(hex: &Value) -> Update {
    Update::parse(from_hex(hex.as_str().unwrap())).unwrap()
}

fn updates(list: &Value) -> Vec<Update> {
    list.as_array().unwrap().iter().map(update).collect()
}

fn replica<'a>(updates: impl IntoIterator<Item = &'a Update>) -> Replica {
    let mut replica = Replica::new();
    for update in updates {
        replica.insert(update);
    }
    replica
}

fn client(name: &str) -> ClientId {
    ClientId::new(name.parse().unwrap()).unwrap()
}

/// A state vector as the files write it: an object of clocks by client.
fn clocks(object: &Value) -> StateVector {
    let entries = object.as_object().unwrap().iter();
    entries.map(|(name, clock)| (client(name), clock.as_u64().unwrap())).collect()
}

/// A delete set as the files write it: an object of lists of clock and length by client.
fn deletes(object: &Value) -> Vec<(ClientId, Vec<(u64, u64)>)> {
    let ranges = |list: &Value| {
        let list = list.as_array().unwrap().iter();
        list.map(|range| (range[0].as_u64().unwrap(), range[1].as_u64().unwrap())).collect()
    };
    let mut all: Vec<_> =
        object.as_object().unwrap().iter().map(|(name, list)| (client(name), ranges(list))).collect();
    all.sort();
    all
}

fn deletes_of(replica: &Replica) -> Vec<(ClientId, Vec<(u64, u64)>)> {
    let sets = replica.deletes().iter();
    sets.map(|(client, ranges)| (client, ranges.iter().map(|range| (range.start, range.len())).collect()))
        .collect()
}
