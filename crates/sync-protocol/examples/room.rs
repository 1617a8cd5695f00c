//! A room without a runtime: two clients, one edit, one confirmation. Run with `cargo run --example room`.

#![allow(clippy::expect_used, clippy::print_stdout, reason = "an example says what it does")]

use std::time::Instant;

use bytes::Bytes;
use quire_sync_protocol::{Access, Message, Output, Room, RoomConfig, SessionId, SessionSetup, Update};

fn main() {
    let mut room = Room::new(RoomConfig::default());
    for id in [1, 2] {
        let setup = SessionSetup { access: Access::Write, presence: true, identity: None };
        room.handle_connect(SessionId(id), setup, Instant::now());
    }
    carry_out(&mut room);

    // Client 7 types "a" into the text "t", as a Yjs editor encodes it.
    let typed = Bytes::from_static(&[1, 1, 7, 0, 4, 1, 1, b't', 1, b'a', 0]);
    let typed = Update::parse(typed).expect("a sound update");
    room.handle_message(SessionId(1), Message::Update(typed), Instant::now());
    room.flush(Instant::now());
    carry_out(&mut room);
    assert!(room.is_settled());
}

/// A host would write to its disk and its sockets here.
fn carry_out(room: &mut Room) {
    while let Some(output) = room.poll_output() {
        println!("{output:?}");
        if let Output::Append { ticket, .. } = output {
            room.handle_stored(ticket, Instant::now());
        }
    }
}
