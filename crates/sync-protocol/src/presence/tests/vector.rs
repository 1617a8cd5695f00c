//! The recorded acceptance of a Yjs client, entry by entry, beside the acceptance of a room.

use super::*;

/// A room that hears everything from one session takes what a client takes, with these differences: it sends on
/// what it takes with the clock and state unchanged, so it has no event for "the same state again"; and a state of
/// an id that has gone is ignored as it is by a client, but its sender is asked to come again with a newer clock.
#[test]
fn a_room_takes_what_a_client_takes() {
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/vectors/awareness.json");
    let vector: serde_json::Value = serde_json::from_slice(&std::fs::read(file).unwrap()).unwrap();
    let receiver = vector["receiver_client_id"].as_u64().unwrap();
    let mut stage = Stage::new();
    let mut asked = Vec::new();
    let steps = vector["steps"].as_array().unwrap();
    assert_eq!(steps.len(), 13);
    for step in steps {
        let label = step["label"].as_str().unwrap();
        let bytes = from_hex(step["hex"].as_str().unwrap());
        let update = AwarenessUpdate::parse(bytes.into(), &Limits::default()).unwrap();
        // The removal of the receiver's own id is the owner's to answer: a room owns none.
        let entries: Vec<_> = update.entries().filter(|entry| entry.client.value() != receiver).collect();
        for entry in &entries {
            stage.say(&unknown(1), entry.client.value(), entry.clock, entry.state, 0);
        }
        // What the client's update event names is what goes out.
        let event = &step["events_on_receiver"]["update"];
        let named =
            ["added", "updated", "removed"].into_iter().filter_map(|kind| event[kind].as_array()).flatten();
        let mut named: Vec<_> =
            named.filter_map(serde_json::Value::as_u64).filter(|id| *id != receiver).collect();
        named.sort_unstable();
        let sent = stage.changes().map(|(entries, _)| entries).unwrap_or_default();
        assert_eq!(sent.iter().map(|entry| entry.0).collect::<Vec<_>>(), named, "{label}");

        // States and clocks stand as the client has them.
        let after = &step["receiver_after"];
        let mut states = after["states"].as_object().unwrap().clone();
        states.remove(&receiver.to_string());
        let ours = stage
            .everybody()
            .into_iter()
            .map(|(client, _, state)| (client.to_string(), serde_json::from_str(&state.unwrap()).unwrap()));
        assert_eq!(ours.collect::<serde_json::Map<_, _>>(), states, "{label}");
        let mut clocks = after["clocks"].as_object().unwrap().clone();
        clocks.remove(&receiver.to_string());
        let ours = stage.presence.ids.iter();
        let ours = ours.map(|(client, standing)| (client.to_string(), standing.clock().into()));
        assert_eq!(ours.collect::<serde_json::Map<_, _>>(), clocks, "{label}");

        asked.extend(stage.questions());
    }
    // Asked again is what comes new (1, then 3), comes back with the clock it went with, comes back newer, and
    // comes old after it has gone.
    assert_eq!(asked, [(1, 1, 1), (1, 1, 4), (1, 1, 5), (1, 1, 6), (1, 3, 1)]);
}

fn from_hex(hex: &str) -> Vec<u8> {
    let digits: Vec<u8> =
        hex.chars().map(|digit| u8::try_from(digit.to_digit(16).unwrap()).unwrap()).collect();
    digits.chunks(2).map(|pair| pair[0] << 4 | pair[1]).collect()
}
