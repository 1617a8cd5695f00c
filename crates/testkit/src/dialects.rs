//! Frames of the dialects of Hocuspocus and y-sweet, and the bodies of sessions over HTTP.

use bytes::Bytes;
use quire_sync_protocol::wire::hocuspocus::{self, Address, Body, Frame};
use quire_sync_protocol::wire::{frame, items, ysweet};
use quire_sync_protocol::{Limits, Message};

use crate::frames::payload;
use crate::updates::is_sound;

/// A frame has an address or is refused; what is wrong behind the address is its document's alone. What is read takes no more
/// than the bytes of the frame, and comes back when it is written.
pub fn hocuspocus(data: &[u8]) {
    let limits = Limits::default();
    let tight = Limits {
        state_vector_bytes: 8,
        awareness_bytes: 16,
        stateless_bytes: 4,
        token_bytes: 4,
        ..limits.clone()
    };
    let bytes = Bytes::copy_from_slice(data);
    let decoded = hocuspocus::decode(&bytes, &limits);
    match (&decoded, hocuspocus::decode(&bytes, &tight)) {
        (Ok(Frame::Document { address, body }), Ok(Frame::Document { address: again, body: tightly })) => {
            assert_eq!(*address, again);
            assert!(tightly.is_err() || *body == tightly, "a tighter limit only refuses");
        }
        (decoded, tightly) => assert_eq!(*decoded, tightly),
    }
    match decoded {
        Err(_) => {}
        Ok(frame @ (Frame::Ping | Frame::Pong)) => {
            assert_eq!(hocuspocus::encode(&frame).as_deref(), Some(data));
        }
        Ok(Frame::Document { address, body: Err(_) }) => {
            assert!(address.to_string().len() >= address.document().len());
        }
        Ok(frame @ Frame::Document { .. }) => document(frame, data.len(), &limits),
    }
}

fn document(frame: Frame, length: usize, limits: &Limits) {
    let written = hocuspocus::encode(&frame).expect("what can be read can be written");
    // Numbers may have been written in more bytes than they need, and something may have stood behind the message.
    assert!(written.len() <= length, "{} bytes out of {length}", written.len());
    let Frame::Document { address, body: Ok(body) } = &frame else { return };
    assert!(address.document().len() <= Address::MAX_BYTES);
    let held = match body {
        Body::Message(message) => {
            if let Message::SyncStep2(update) | Message::Update(update) = message {
                is_sound(update);
            }
            payload(message)
        }
        Body::Token { token, version } => token.reveal().len() + version.as_ref().map_or(0, String::len),
        Body::Refused(text) | Body::Close(Some(text)) => text.len(),
        Body::TokenRequest | Body::Authenticated(_) | Body::Close(None) | Body::Unknown(_) => 0,
    };
    assert!(held < length);
    assert_eq!(hocuspocus::decode(&written, limits), Ok(frame));
}

/// Like frames of the y-websocket dialect, which reads the same of what it knows.
pub fn ysweet(data: &[u8]) {
    let limits = Limits::default();
    let bytes = Bytes::copy_from_slice(data);
    let Ok(messages) = ysweet::decode(&bytes, &limits) else { return };
    assert!(messages.len() <= limits.frame_messages);
    let held: usize = messages.iter().map(payload).sum();
    assert!(held <= data.len(), "{held} bytes out of {}", data.len());
    for message in &messages {
        let alone = ysweet::encode(message).expect("what can be read can be written");
        assert_eq!(ysweet::decode(&alone, &limits).as_deref(), Ok(std::slice::from_ref(message)));
        match message {
            Message::Version(version) => assert!(version.len() <= ysweet::MAX_VERSION_BYTES),
            other => assert_eq!(frame::decode(&alone, &limits).as_deref(), Ok(std::slice::from_ref(other))),
        }
        if let Message::SyncStep2(update) | Message::Update(update) = message {
            is_sound(update);
        }
    }
}

/// A body is refused, or its items are all of it and come back when they are written. A frame that is cut is whole again.
pub fn items(data: &[u8]) {
    let body = Bytes::copy_from_slice(data);
    let written = |items: &[items::Item]| {
        let mut out = Vec::new();
        for item in items {
            items::encode(&mut out, item);
        }
        out
    };
    if let Ok(read) = items::decode(&body) {
        assert!(read.len() <= items::MAX_ITEMS && read.iter().all(|item| !item.bytes.is_empty()));
        let again = written(&read);
        assert!(again.len() <= data.len());
        assert_eq!(items::decode(&again.into()), Ok(read));
    }
    let cut: Vec<_> = items::split(body).collect();
    assert_eq!(cut.iter().flat_map(|item| item.bytes.to_vec()).collect::<Vec<_>>(), data);
    assert!(cut.iter().rev().skip(1).all(|item| item.more) && cut.last().is_none_or(|item| !item.more));
    assert_eq!(items::decode(&written(&cut).into()), Ok(cut));
}
