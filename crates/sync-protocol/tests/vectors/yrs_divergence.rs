//! Short histories that yrs holds otherwise than Yjs, or refuses.

use super::{clocks, deletes, deletes_of, replica, updates, vector};

#[test]
fn what_yjs_holds_is_held() {
    let file = vector("yrs-divergence");
    let cases = file["cases"].as_array().unwrap();
    assert_eq!(cases.len(), 6);
    for case in cases {
        let name = case["name"].as_str().unwrap();
        // Every update is accepted.
        let mut list = updates(&case["updates_v1"]);
        if let Some(crash) = case.get("crash_updates_v1") {
            let crash = updates(crash);
            assert_eq!(replica([&replica(&crash).encode()]), replica(&crash), "{name}");
        }
        let mut all = replica(&list);
        assert_eq!(all.state_vector(), clocks(&case["yjs"]["state_vector"]), "{name}");
        if let Some(late) = case.get("late_updates_v1") {
            list.extend(updates(late));
            all = replica(&list);
            assert_eq!(all.state_vector(), clocks(&case["yjs_after_late"]["state_vector"]), "{name}");
            // The overwritten value is deleted by the reader, which knows what a key is; no client has deleted it.
            assert_eq!(deletes(&case["yjs_after_late"]["deletes"]), [(super::client("1"), vec![(0, 1)])]);
            assert!(all.deletes().is_empty(), "{name}");
        } else {
            assert_eq!(deletes_of(&all), deletes(&case["yjs"]["deletes"]), "{name}");
        }
        let reversed = replica(list.iter().rev());
        assert_eq!(reversed.state_vector(), all.state_vector(), "{name}: reversed");
        assert_eq!(reversed.deletes(), all.deletes(), "{name}: reversed");
        assert!(replica([&all.encode()]) == all, "{name}: given on");
    }
}
