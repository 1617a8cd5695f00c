//! A yrs document edits through a room. Run with `cargo run --example yrs_peer`.

#![allow(clippy::expect_used, clippy::print_stdout, reason = "an example says what it does")]

use std::error::Error;
use std::time::Instant;

use quire_sync_protocol::peer::Peer;
use quire_sync_protocol::{Access, ClientId, Output, Room, RoomConfig, SessionId, SessionSetup};
use yrs::{GetString, Text, Transact};

fn main() -> Result<(), Box<dyn Error>> {
    let mut room = Room::new(RoomConfig::default());
    let mut peers = [1, 2].map(|id| (SessionId(id), Peer::new(ClientId::new(id).expect("a small number"))));
    for (session, peer) in &mut peers {
        let setup = SessionSetup::anonymous(Access::Write);
        room.handle_connect(*session, setup, Instant::now());
        peer.handle_connect();
    }
    let (_, first) = &mut peers[0];
    let text = first.doc().get_or_insert_text("t");
    first.edit(|transaction| text.insert(transaction, 0, "written by yrs"))?;

    settle(&mut room, &mut peers)?;
    let (_, second) = &peers[1];
    let text = second.doc().get_or_insert_text("t");
    let read = text.get_string(&second.doc().transact());
    assert_eq!(read, "written by yrs");
    println!("the second document reads: {read}");
    Ok(())
}

/// Carries messages until nobody has anything to say.
fn settle(room: &mut Room, peers: &mut [(SessionId, Peer)]) -> Result<(), Box<dyn Error>> {
    loop {
        for (session, peer) in &mut *peers {
            while let Some(message) = peer.poll_transmit() {
                room.handle_message(*session, message, Instant::now());
            }
        }
        room.flush(Instant::now());
        let mut quiet = true;
        while let Some(output) = room.poll_output() {
            quiet = false;
            match output {
                Output::Append { ticket, .. } => room.handle_stored(ticket, Instant::now()),
                Output::Transmit { to, message } => {
                    for (_, peer) in peers.iter_mut().filter(|(session, _)| to.includes(*session)) {
                        peer.handle_message(&message)?;
                    }
                }
                Output::Part { to, message } => {
                    for (_, peer) in peers.iter_mut().filter(|(session, _)| *session == to) {
                        peer.handle_message(&message)?;
                    }
                    room.handle_drained(to, Instant::now());
                }
                Output::PublishPresence(_)
                | Output::Announce(_)
                | Output::Broadcast { .. }
                | Output::Presence(_)
                | Output::Event(_) => {}
            }
        }
        if quiet {
            return Ok(());
        }
    }
}
