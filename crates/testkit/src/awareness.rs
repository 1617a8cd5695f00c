//! Awareness updates, and JSON as they carry it.

use bytes::Bytes;
use quire_sync_protocol::limits::MAX_DEPTH;
use quire_sync_protocol::wire::awareness::{AwarenessEntry, AwarenessError};
use quire_sync_protocol::{AwarenessUpdate, ClientId, Limits, UpdateError};
use serde::de::IgnoredAny;

/// An awareness update is refused whole, or its entries come back when they are written; a state passes exactly if it
/// is JSON that is nested no deeper than is allowed.
pub fn awareness(data: &[u8]) {
    entries(data);
    if let Ok(text) = std::str::from_utf8(data) {
        state(text);
    }
}

fn entries(data: &[u8]) {
    let limits = Limits { awareness_bytes: 4096, presence_state_bytes: 1024, ..Limits::default() };
    let Ok(update) = AwarenessUpdate::parse(Bytes::copy_from_slice(data), &limits) else { return };
    assert!(data.len() <= limits.awareness_bytes);
    assert_eq!(update.bytes(), data);
    let entries: Vec<_> = update.entries().collect();
    // An entry takes three bytes at the least, and the number of entries one.
    assert!(entries.len() * 3 < data.len().max(1));
    for state in entries.iter().filter_map(|entry| entry.state) {
        assert!(state.len() <= limits.presence_state_bytes);
        assert!(serde_json::from_str::<IgnoredAny>(state).is_ok(), "{state:?} is not JSON");
    }
    let written = AwarenessUpdate::encode(entries.iter().copied());
    assert_eq!(written.entries().collect::<Vec<_>>(), entries);
    let read = AwarenessUpdate::parse(written.bytes().clone(), &limits).expect("it is no longer than it was");
    assert_eq!(read.entries().collect::<Vec<_>>(), entries);
}

/// Another reader of JSON is the judge of ours, as far down as it goes itself.
fn state(text: &str) {
    let entry = AwarenessEntry { client: ClientId::MIN, clock: 1, state: Some(text) };
    let written = AwarenessUpdate::encode([entry]);
    let ours = AwarenessUpdate::parse(written.bytes().clone(), &Limits::default());
    let judged = serde_json::from_str::<IgnoredAny>(text);
    let is_deep = text.bytes().filter(|byte| matches!(byte, b'[' | b'{')).count() > MAX_DEPTH;
    match ours {
        Ok(_) => assert!(judged.is_ok(), "taken, but no JSON: {text:?}"),
        Err(AwarenessError::InvalidState(UpdateError::TooDeep)) => assert!(is_deep, "{text:?}"),
        Err(AwarenessError::InvalidState(UpdateError::InvalidJson)) => {
            assert!(judged.is_err(), "refused, but JSON: {text:?}");
        }
        Err(AwarenessError::StateTooLarge(most)) => assert!(text.len() > most),
        Err(other) => panic!("{other} of {text:?}"),
    }
}
