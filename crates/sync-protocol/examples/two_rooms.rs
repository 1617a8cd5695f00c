//! Two rooms, say on two machines, kept equal by frames that are carried by hand. Each is a client of the other.
//! Run with `cargo run --example two_rooms`.

#![allow(clippy::expect_used, clippy::print_stdout, reason = "an example says what it does")]

use std::time::Instant;

use bytes::Bytes;
use quire_sync_protocol::wire::frame;
use quire_sync_protocol::{
    Access, Limits, Message, Output, Room, RoomConfig, SessionId, SessionSetup, Update,
};

/// The session under which each room knows the other.
const OTHER: SessionId = SessionId(0);
const EDITOR: SessionId = SessionId(1);

fn main() {
    let mut rooms = [Room::new(RoomConfig::default()), Room::new(RoomConfig::default())];
    for room in &mut rooms {
        for session in [OTHER, EDITOR] {
            room.handle_connect(session, SessionSetup::anonymous(Access::Write), Instant::now());
        }
    }
    // An editor types into each, while they are apart.
    for (room, client) in rooms.iter_mut().zip([7, 8]) {
        let typed = Bytes::from(vec![1, 1, client, 0, 4, 1, 1, b't', 1, b'a' + client, 0]);
        let typed = Update::parse(typed).expect("a sound update");
        room.handle_message(EDITOR, Message::Update(typed), Instant::now());
        room.flush(Instant::now());
    }
    // Their greetings and edits cross; each answers the other until nobody has anything to say.
    let mut frames = rooms.each_mut().map(outgoing);
    while frames.iter().any(|frames| !frames.is_empty()) {
        let [from_first, from_second] = frames;
        frames = [incoming(&mut rooms[0], from_second), incoming(&mut rooms[1], from_first)];
    }
    assert_eq!(rooms[0].replica(), rooms[1].replica());
    println!("both hold {} structs", rooms[0].replica().structs());
}

/// Frames for the other room.
fn outgoing(room: &mut Room) -> Vec<Bytes> {
    let mut frames = Vec::new();
    while let Some(output) = room.poll_output() {
        match output {
            Output::Append { ticket, .. } => room.handle_stored(ticket, Instant::now()),
            Output::Transmit { to, message } if to.includes(OTHER) => frames.extend(frame::encode(&message)),
            Output::Part { to: OTHER, message } => {
                frames.extend(frame::encode(&message));
                // A hand carries without delay: its outbox is empty at once.
                room.handle_drained(OTHER, Instant::now());
            }
            Output::Transmit { .. }
            | Output::Part { .. }
            | Output::PublishPresence(_)
            | Output::Announce(_)
            | Output::Broadcast { .. }
            | Output::Presence(_)
            | Output::Event(_) => {}
        }
    }
    frames
}

fn incoming(room: &mut Room, frames: Vec<Bytes>) -> Vec<Bytes> {
    for frame in frames {
        for message in frame::decode(&frame, &Limits::default()).expect("a sound frame") {
            room.handle_message(OTHER, message, Instant::now());
        }
    }
    room.flush(Instant::now());
    outgoing(room)
}
