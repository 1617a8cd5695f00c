//! Updates that come before what they build on.

use super::{clocks, deletes_of, replica, update, updates, vector};
use quire_sync_protocol::{Replica, StateVector};

#[test]
fn what_waits_is_kept_but_not_claimed() {
    let file = vector("yjs-pending");
    let list = updates(&file["updates_v1"]);
    let full = replica([&update(&file["utilities"]["full_v1"])]);
    let scenarios = file["scenarios"].as_array().unwrap();
    assert_eq!(scenarios.len(), 4);
    for scenario in scenarios {
        let mut all = Replica::new();
        for (number, step) in scenario["steps"].as_array().unwrap().iter().enumerate() {
            let label = format!("{} of {}", number, scenario["order"]);
            let which = usize::try_from(step["apply"].as_u64().unwrap()).unwrap();
            let known = all.clone();
            let inserted = all.insert(&list[which]);
            // Contiguous clocks are claimed. Yjs holds back an item whose neighbour is missing as well; to claim it
            // would be wrong of a reader, but of a keeper it only says that the bytes need not be sent again.
            let (ours, theirs) = (all.state_vector(), clocks(&step["state_vector_after"]));
            for (client, clock) in theirs.iter() {
                assert!(ours.clock(client) >= clock, "{label}");
            }
            if step["pending_missing"].is_null() {
                assert_eq!(ours, theirs, "{label}");
            }
            // What waits is handed on, as Yjs does: a reader of either state ends alike.
            let state = update(&step["state_v1_after"]);
            assert!(replica([&state]).deletes() == all.deletes(), "{label}: deletes");
            assert!(replica([&all.encode()]) == all, "{label}: given on");
            assert!(!all.lacks(&state), "{label}: something of what Yjs holds is not there");
            assert!(!replica([&state]).lacks(&all.encode()), "{label}: something that Yjs does not hold");
            // The same again is no news.
            assert_eq!(inserted.delta.is_none(), !known.lacks(&list[which]), "{label}");
            assert!(all.insert(&list[which]).delta.is_none(), "{label}");
        }
        assert!(all == full, "{}", scenario["order"]);
        assert_eq!(deletes_of(&all), deletes_of(&full));
    }
}

#[test]
fn a_gap_is_asked_for_and_only_up_to_it_is_claimed() {
    let file = vector("yjs-pending");
    let (list, made) = (updates(&file["updates_v1"]), &file["utilities"]);
    let torn = replica([&list[0], &list[2]]);
    let claimed =
        StateVector::decode(&super::from_hex(made["state_vector_from_gap_merge"].as_str().unwrap()));
    assert_eq!(torn.state_vector(), claimed.unwrap());
    assert_eq!(torn.encode(), update(&made["merge_0_2_with_gap"]));
    assert!(replica([&update(&made["merge_0_2_with_gap"])]) == torn);
    for merged in ["merge_0_1", "merge_1_0"] {
        assert!(replica([&update(&made[merged])]) == replica([&list[0], &list[1]]), "{merged}");
    }
    let known = replica([&list[0]]).state_vector();
    let full = replica([&update(&made["full_v1"])]);
    assert!(replica([&full.diff(&known)]) == replica([&update(&made["diff_update_full_vs_update0"])]));
    let mut torn = Replica::new();
    assert!(torn.insert(&list[2]).gap);
    assert!(!torn.insert(&list[0]).gap || torn.state_vector() == known);
    assert!(!torn.insert(&list[1]).gap);
}
