//! Frames of the y-websocket dialect.

use bytes::Bytes;
use quire_sync_protocol::wire::frame;
use quire_sync_protocol::{Limits, Message, Update};

use crate::updates::is_sound;

/// A frame is refused whole, or read into messages that take no more than its bytes and come back when they are written.
pub fn frames(data: &[u8]) {
    let limits = Limits::default();
    let tight = Limits { frame_messages: 2, state_vector_bytes: 8, awareness_bytes: 16, ..Limits::default() };
    let frame = Bytes::copy_from_slice(data);
    let decoded = frame::decode(&frame, &limits);
    if let Ok(messages) = frame::decode(&frame, &tight) {
        assert!(messages.len() <= tight.frame_messages);
        assert_eq!(decoded.as_ref(), Ok(&messages), "a tighter limit only refuses");
    }
    let Ok(messages) = decoded else { return };
    assert!(messages.len() <= limits.frame_messages);
    let held: usize = messages.iter().map(payload).sum();
    assert!(held <= data.len(), "{held} bytes out of {}", data.len());
    let mut packed = Vec::new();
    for message in &messages {
        let alone = frame::encode(message).unwrap();
        assert_eq!(frame::decode(&alone, &limits).as_deref(), Ok(std::slice::from_ref(message)));
        packed.extend_from_slice(&alone);
        if let Message::SyncStep2(update) | Message::Update(update) = message {
            is_sound(update);
        }
    }
    if !packed.is_empty() {
        assert_eq!(frame::decode(&packed.into(), &limits), Ok(messages));
    }
}

/// The bytes that a message keeps, those of a state vector as it is encoded at the least.
pub(crate) fn payload(message: &Message) -> usize {
    match message {
        Message::SyncStep1(vector) => vector.iter().count() * 2,
        Message::SyncStep2(update) | Message::Update(update) => Update::bytes(update).len(),
        Message::Awareness(update) => update.bytes().len(),
        Message::Denied(reason) => reason.len(),
        Message::QueryAwareness => 1,
        // Of other dialects.
        Message::SyncStatus { .. } | Message::Storing(_) => 1,
        Message::Version(version) => version.len(),
        Message::Stateless(text) => text.len(),
    }
}
