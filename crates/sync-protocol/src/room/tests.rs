use bytes::Bytes;

use super::*;
use crate::Access;

fn update(bytes: &'static [u8]) -> Update {
    Update::parse(Bytes::from_static(bytes)).unwrap()
}

/// All outputs since the last call.
fn outputs(room: &mut Room) -> Vec<Output> {
    std::iter::from_fn(|| room.poll_output()).collect()
}

fn room_with(sessions: &[SessionId], now: Instant) -> Room {
    let mut room = Room::new(RoomConfig::default());
    for session in sessions {
        room.handle_connect(*session, SessionSetup { access: Access::Write, identity: None }, now);
    }
    outputs(&mut room);
    room
}

#[test]
fn an_edit_of_the_batch_in_which_an_outbox_overflows_is_not_lost() {
    let now = Instant::now();
    let [writer, slow] = [SessionId(1), SessionId(2)];
    let mut room = room_with(&[writer, slow], now);
    let typed = update(&[1, 1, 1, 0, 4, 1, 1, b't', 1, b'a', 0]);
    room.handle_message(writer, Message::Update(typed.clone()), now);
    // Before the batch ends the outbox of the other is full of presence; when it ends, it is still not empty.
    room.handle_lost(slow, &[Message::Awareness(crate::AwarenessUpdate::empty())]);
    room.flush(now);
    let to_slow = |output: &Output| matches!(output, Output::Transmit { to, .. } if to.includes(slow));
    assert!(!outputs(&mut room).iter().any(to_slow));
    room.handle_drained(slow, now);
    let part = Output::Part { to: slow, message: Message::Update(typed) };
    assert_eq!(outputs(&mut room).first(), Some(&part));
}
