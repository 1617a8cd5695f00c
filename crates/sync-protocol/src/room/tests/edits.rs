//! What becomes of edits: appended, spread, refused, asked about.

use super::*;

#[test]
fn an_edit_is_appended_spread_and_published_in_this_order() {
    let mut hall = Hall::with_writers(&[1, 2, 3]);
    let edit = more(1, 0, "a");
    // Nothing goes out before the batch ends.
    assert_eq!(hall.say(1, update(&edit)), []);
    assert!(!hall.room.is_settled());
    assert_eq!(hall.flush(), [append(1, &edit), many(&[2, 3], update(&edit))]);
    assert_eq!(hall.flush(), []);
    assert_eq!(hall.room.replica(), &replica(&[&edit]));
}

#[test]
fn a_burst_of_one_sender_leaves_as_one_message() {
    let mut hall = Hall::with_writers(&[1, 2]);
    let edits = [more(1, 0, "a"), more(1, 1, "b"), deleted(1, 0, 1)];
    for edit in &edits {
        hall.say(1, update(edit));
    }
    let all = merged(&edits.each_ref());
    assert_eq!(hall.flush(), [append(1, &all), many(&[2], update(&all))]);
    assert_eq!(hall.stored(1), [one(1, update(&all))]);
}

#[test]
fn of_several_senders_each_gets_what_the_others_sent() {
    let mut hall = Hall::with_writers(&[1, 2, 3, 4]);
    let (first, second, third) = (more(1, 0, "a"), more(2, 0, "b"), more(1, 1, "c"));
    hall.say(1, update(&first));
    hall.say(2, update(&second));
    hall.say(1, update(&third));
    let server = more(9, 0, "s");
    assert_eq!(hall.room.handle_update(&server, hall.now), Ticket(1));
    let all = merged(&[&first, &second, &third, &server]);
    let ones = merged(&[&first, &third]);
    assert_eq!(
        hall.flush(),
        [
            append(1, &all),
            many(&[3, 4], update(&all)),
            many(&[2], update(&ones)),
            many(&[1], update(&second)),
            many(&[1, 2], update(&server))
        ]
    );
    assert_eq!(hall.stored(1), [one(1, update(&ones)), one(2, update(&second))]);
    // The server's own edit once more: stored with the same ticket.
    assert_eq!(hall.room.handle_update(&server, hall.now), Ticket(1));
    assert_eq!(hall.flush(), []);
}

#[test]
fn only_what_is_new_of_an_edit_goes_on() {
    let mut hall = Hall::with_writers(&[1, 2]);
    hall.edit(1, &more(1, 0, "ab"));
    let rest = more(1, 2, "cd");
    assert_eq!(hall.edit(1, &more(1, 0, "abcd")), [append(2, &rest), many(&[2], update(&rest))]);
    assert_eq!(hall.edit(2, &Update::empty()), []);
}

#[test]
fn a_viewers_edits_are_dropped_and_it_is_told_once() {
    let mut hall = Hall::with_writers(&[1]);
    hall.join(2, Access::Read);
    let known = more(1, 0, "a");
    hall.edit(1, &known);
    let refused = || Output::Event(RoomEvent::EditRefused(SessionId(2)));
    // What it may well have got here is no edit.
    for message in [
        Message::SyncStep2(Update::empty()),
        Message::SyncStep2(known.clone()),
        update(&known),
        update(&Update::empty()),
    ] {
        assert_eq!(hall.say(2, message), []);
    }
    let denied = one(2, Message::Denied("this document is read-only for you".into()));
    assert_eq!(hall.say(2, update(&more(2, 0, "x"))), [refused(), denied]);
    assert_eq!(hall.say(2, update(&more(2, 0, "x"))), [refused()]);
    assert_eq!(hall.say(2, Message::SyncStep2(more(2, 0, "x"))), [refused()]);
    assert_eq!(hall.say(2, update(&deleted(1, 0, 1))), [refused()]);
    assert_eq!(hall.flush(), []);
    assert_eq!(hall.room.replica(), &replica(&[&known]));
    // It is heard in presence.
    hall.say(2, Message::Awareness(shown(7, 1, Some("1"))));
    assert_eq!(hall.flush().first(), Some(&many(&[1], Message::Awareness(shown(7, 1, Some("1"))))));
}

#[test]
fn who_builds_on_what_is_missing_is_asked_for_it_now_and_then() {
    let mut hall = Hall::with_writers(&[1, 2]);
    let question = |session, known: &[(u64, Clock)]| {
        [one(session, Message::SyncStep1(vector(known))), Output::Event(RoomEvent::Asked(SessionId(session)))]
    };
    // A gap in its own clocks, and an origin that is missing.
    assert_eq!(hall.say(1, update(&more(1, 2, "c"))), question(1, &[]));
    assert_eq!(hall.say(2, update(&typed(2, 0, "x", Some((3, 5))))), question(2, &[(2, 1)]));
    assert_eq!(hall.say(1, update(&more(1, 3, "d"))), []);
    // Nothing new, nothing asked, whenever.
    hall.pass(1000);
    assert_eq!(hall.say(1, update(&more(1, 2, "cd"))), []);
    assert_eq!(hall.say(1, update(&more(1, 4, "e"))), question(1, &[(2, 1)]));
    // What fills the gap asks for nothing.
    hall.pass(1000);
    assert_eq!(hall.say(1, Message::SyncStep2(more(1, 0, "abcde"))), []);
    assert_eq!(hall.say(1, update(&more(1, 5, "f"))), []);
    assert_eq!(hall.room.replica().state_vector(), vector(&[(1, 6), (2, 1)]));
    // All of it was appended, gaps or not.
    let outputs = hall.flush();
    let Some(Output::Append { update, .. }) = outputs.first() else { panic!("{outputs:?}") };
    assert_eq!(&replica(&[update]), hall.room.replica());
}
