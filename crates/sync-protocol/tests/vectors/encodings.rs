//! Edit histories: whatever the order and however often, the replica ends as Yjs does.

use super::rng::Rng;
use super::{deletes, deletes_of, from_hex, replica, update, updates, vector};
use quire_sync_protocol::{Replica, StateVector, Update};
use serde_json::Value;

/// All histories.
fn cases(file: &Value) -> Vec<(&str, &Value)> {
    let cases = file["cases"].as_array().unwrap();
    assert_eq!(cases.len(), 25);
    cases.iter().map(|case| (case["name"].as_str().unwrap(), case)).collect()
}

/// The edits of a history. One is too long to list and stands as its state alone.
fn edits(case: &Value) -> Vec<Update> {
    let state = || vec![update(&case["state_v1"])];
    if case["updates_v1"].is_null() { state() } else { updates(&case["updates_v1"]) }
}

/// Histories in which a reader deletes what no client has deleted: the loser of two values set at once for one key,
/// or what is inserted into something deleted. A keeper, which does not know what content means, leaves it to them.
const IMPLIED: &[&str] = &["map-overwrite", "nested-replaced"];

fn check(name: &str, how: &str, case: &Value, replica: &Replica) {
    let vector = StateVector::decode(&from_hex(case["state_vector"]["hex"].as_str().unwrap())).unwrap();
    assert_eq!(vector, super::clocks(&case["state_vector"]["clocks"]), "{name}");
    assert_eq!(replica.state_vector(), vector, "{name}, {how}");
    if how == "state" || !IMPLIED.contains(&name) {
        assert_eq!(deletes_of(replica), deletes(&case["delete_set"]), "{name}, {how}");
    } else {
        let state = super::replica([&update(&case["state_v1"])]);
        assert!(replica.deletes().without(state.deletes()).is_empty(), "{name}, {how}");
        assert_ne!(replica.deletes(), state.deletes(), "{name}, {how}: nothing is implied");
    }
}

#[test]
fn every_update_is_taken_as_it_is() {
    let file = vector("yjs-encodings");
    for (name, case) in cases(&file) {
        let listed = case["updates_v1"].as_array().into_iter().flatten();
        for hex in listed.chain([&case["merged_v1"], &case["state_v1"]]).filter(|hex| !hex.is_null()) {
            assert_eq!(update(hex).bytes(), &from_hex(hex.as_str().unwrap()), "{name}");
        }
    }
}

#[test]
fn any_order_and_repetition_ends_as_yjs_does() {
    let file = vector("yjs-encodings");
    for (name, case) in cases(&file) {
        let list = edits(case);
        let ordered = replica(&list);
        check(name, "in order", case, &ordered);
        check(name, "reversed", case, &replica(list.iter().rev()));
        for seed in 0..50 {
            let mut rng = Rng::new(seed);
            let mut shuffled: Vec<_> = list.iter().chain(list.iter().filter(|_| rng.once_in(2))).collect();
            let mut rng = Rng::new(seed);
            shuffled.sort_by_cached_key(|_| rng.any());
            let shuffled = replica(shuffled);
            check(name, &format!("seed {seed}"), case, &shuffled);
            assert!(shuffled == ordered, "{name}, seed {seed}: the same ids, but something else in them");
        }
        // As one update (Yjs leaves out a flag there that says nothing), and as the state that a client would send,
        // alone and on top.
        let state = update(&case["state_v1"]);
        let merged = if case["merged_v1"].is_null() { state.clone() } else { update(&case["merged_v1"]) };
        check(name, "merged", case, &replica([&merged]));
        check(name, "state", case, &replica([&state]));
        let mut more = ordered.clone();
        assert!(more.insert(&merged).delta.is_none(), "{name}: merged on top");
        assert_eq!(more.insert(&state).delta.is_some(), IMPLIED.contains(&name), "{name}: state on top");
        check(name, "state", case, &more);
        // What it gives to somebody who has nothing is all of it; to somebody who has all of it, only the deletes.
        check(name, "given on", case, &replica([&ordered.encode()]));
        let rest = ordered.diff(&ordered.state_vector());
        rest.for_each_struct(|client, clock, _| panic!("{name}: {client} {clock} is not lacking"));
    }
}
