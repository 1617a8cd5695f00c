//! Sessions that ask, and sessions that could not keep up.

use super::*;

/// A room with a document of several parts: three clients who typed 100 times each, in turn.
fn big() -> (Hall, Update) {
    let mut hall = Hall::with(RoomConfig { whole_sync_bytes: 500, part_bytes: 300, ..RoomConfig::default() });
    let mut all = Replica::new();
    for clock in 0..100 {
        for client in 1..4 {
            // Behind somebody else's, so that nothing is joined.
            let behind = (clock > 0 || client > 1)
                .then(|| if client == 1 { (3, clock - 1) } else { (client - 1, clock) });
            let edit = typed(client, clock, "x", behind);
            all.insert(&edit);
            hall.room.load(&[edit]);
        }
    }
    hall.join(1, Access::Write);
    (hall, all.encode())
}

/// The message of the only output, a part.
fn only_part(outputs: &[Output], session: u64) -> Message {
    let [Output::Part { to, message }] = outputs else { panic!("not one part: {outputs:?}") };
    assert_eq!(*to, SessionId(session));
    message.clone()
}

#[test]
fn a_second_question_waits_until_the_answer_has_left() {
    let mut hall = Hall::with_writers(&[1]);
    let edit = more(5, 0, "ab");
    hall.room.handle_update(&edit, hall.now);
    hall.flush();
    let question = |clock| Message::SyncStep1(vector(&[(5, clock)]));
    assert_eq!(hall.say(1, question(0)), [part(1, Message::SyncStep2(edit))]);
    // However many it asks, the last one is answered, once.
    for clock in [2, 0, 1] {
        assert_eq!(hall.say(1, question(clock)), []);
    }
    assert_eq!(hall.drained(1), [part(1, Message::SyncStep2(more(5, 1, "b")))]);
    assert_eq!(hall.drained(1), []);
    assert_eq!(hall.drained(1), []);
    assert_eq!(hall.say(1, question(2)), [part(1, Message::SyncStep2(Update::empty()))]);
}

#[test]
fn what_was_stored_as_one_update_is_the_first_answer_unless_something_has_changed() {
    let content = more(5, 0, "ab");
    // Not what it should be, to tell it from the encoding of the replica.
    let stored = more(6, 0, "stored");
    let hall = || {
        let mut hall = Hall::new();
        hall.room.load_replica(replica(&[&content]), Some(stored.clone()));
        hall.join(1, Access::Write);
        hall.join(2, Access::Write);
        hall
    };
    let everything = || Message::SyncStep1(vector(&[]));
    let answer = |session, update: &Update| [part(session, Message::SyncStep2(update.clone()))];

    let mut asked = hall();
    assert_eq!(asked.say(1, everything()), answer(1, &stored));
    assert_eq!(asked.say(2, everything()), answer(2, &content));

    let mut asked_by_one_who_has_some = hall();
    assert_eq!(
        asked_by_one_who_has_some.say(1, Message::SyncStep1(vector(&[(5, 1)]))),
        answer(1, &more(5, 1, "b"))
    );
    assert_eq!(asked_by_one_who_has_some.say(2, everything()), answer(2, &content));

    let mut changed = hall();
    changed.edit(2, &more(5, 2, "c"));
    changed.stored(1);
    assert_eq!(changed.say(2, everything()), answer(2, &more(5, 0, "abc")));
}

#[test]
fn a_session_gets_what_is_new_while_its_answer_drains() {
    let mut hall = Hall::with_writers(&[1, 2]);
    hall.say(2, Message::SyncStep1(vector(&[])));
    let edit = more(1, 0, "a");
    assert_eq!(hall.edit(1, &edit), [append(1, &edit), many(&[2], update(&edit))]);
}

#[test]
fn a_big_answer_goes_in_parts_and_ends_with_the_word_that_it_is_all() {
    let (mut hall, document) = big();
    let mut reader = Replica::new();
    let mut message = only_part(&hall.say(1, Message::SyncStep1(vector(&[]))), 1);
    let mut parts = 0;
    let mut clocks = 0;
    let rest = loop {
        match message {
            Message::Update(part) => {
                assert!(part.bytes().len() < 600, "{} bytes", part.bytes().len());
                reader.insert(&part);
                let reached: u64 = reader.state_vector().iter().map(|(_, clock)| clock).sum();
                assert!(reached > clocks);
                clocks = reached;
                // The same share of everybody: no client far ahead.
                let (least, most) = (reader.state_vector().clock(id(1)), reader.state_vector().clock(id(3)));
                assert!(least.abs_diff(most) <= 1, "{least} and {most}");
                parts += 1;
            }
            Message::SyncStep2(rest) => break rest,
            other => panic!("{other:?}"),
        }
        message = only_part(&hall.drained(1), 1);
    };
    reader.insert(&rest);
    assert!(parts >= 3, "{parts} parts");
    assert_eq!(reader.encode(), document);
    assert_eq!(hall.drained(1), []);
}

#[test]
fn edits_that_come_in_the_middle_are_in_the_end() {
    let (mut hall, _) = big();
    hall.join(2, Access::Write);
    let mut reader = Replica::new();
    let mut message = only_part(&hall.say(1, Message::SyncStep1(vector(&[]))), 1);
    let mut edits = [deleted(2, 99, 1), more(9, 0, "y"), deleted(1, 0, 1), more(9, 1, "z")].into_iter();
    let mut ticket = 0;
    let rest = loop {
        match message {
            Message::Update(part) => drop(reader.insert(&part)),
            Message::SyncStep2(rest) => break rest,
            other => panic!("{other:?}"),
        }
        if let Some(edit) = edits.next() {
            // It goes to nobody: the only other session catches up.
            ticket += 1;
            assert_eq!(hall.edit(2, &edit), [append(ticket, &edit)]);
        }
        message = only_part(&hall.drained(1), 1);
    };
    reader.insert(&rest);
    assert!(ticket >= 3, "{ticket} edits");
    assert_eq!(&reader, hall.room.replica());
}

#[test]
fn a_session_that_lost_something_hears_nothing_until_it_has_drained() {
    let mut hall = Hall::with_writers(&[1, 2, 3]);
    let edits = [more(1, 0, "ab"), deleted(1, 0, 1), more(1, 2, "cd"), more(1, 4, "e")];
    let mut reader = replica(&[&edits[0]]);
    edits[..3].iter().for_each(|edit| drop(hall.edit(1, edit)));
    hall.pass(1);
    let behind = [Output::Event(RoomEvent::Behind(SessionId(2)))];
    assert_eq!(hall.lost(2, &[update(&edits[1]), update(&edits[2])]), behind);
    let outputs = hall.edit(1, &edits[3]);
    assert_eq!(outputs, [append(4, &edits[3]), many(&[3], update(&edits[3]))]);
    // One diff that begins where it lost something.
    let Message::Update(diff) = only_part(&hall.drained(2), 2) else { panic!("not an update") };
    assert_eq!(diff, merged(&[&edits[1], &edits[2], &edits[3]]));
    reader.insert(&diff);
    assert_eq!(&reader, hall.room.replica());
    assert_eq!(hall.drained(2), []);
    // It is live again.
    let next = more(1, 5, "f");
    assert_eq!(hall.edit(1, &next), [append(5, &next), many(&[2, 3], update(&next))]);
}

#[test]
fn what_is_lost_in_any_phase_comes_again() {
    // While the answer to its question drains: the answer stays in the outbox, what followed it is lost.
    let mut hall = Hall::with_writers(&[1, 2]);
    let edits = [more(1, 0, "a"), more(1, 1, "b"), more(1, 2, "c")];
    hall.edit(1, &edits[0]);
    hall.say(2, Message::SyncStep1(vector(&[])));
    hall.edit(1, &edits[1]);
    hall.lost(2, &[update(&edits[1])]);
    assert_eq!(hall.drained(2), [part(2, update(&edits[1]))]);

    // With a question waiting: it is answered, from where the loss began.
    assert_eq!(hall.say(2, Message::SyncStep1(vector(&[(1, 2)]))), []);
    hall.lost(2, &[update(&edits[1])]);
    assert_eq!(hall.drained(2), [part(2, Message::SyncStep2(edits[1].clone()))]);

    // While it catches up, once more: the part itself, and what it asks.
    hall.lost(2, &[update(&edits[1])]);
    hall.edit(1, &edits[2]);
    hall.lost(2, &[]);
    assert_eq!(hall.say(2, Message::SyncStep1(vector(&[(1, 1)]))), []);
    let rest = merged(&[&more(1, 1, "bc")]);
    assert_eq!(hall.drained(2), [part(2, Message::SyncStep2(rest))]);
    assert_eq!(hall.drained(2), []);
}

#[test]
fn what_waits_for_the_end_of_the_batch_is_not_taken_for_known() {
    let mut hall = Hall::with_writers(&[1, 2]);
    let edit = more(1, 0, "a");
    hall.say(1, update(&edit));
    hall.lost(2, &[]);
    assert_eq!(hall.flush(), [append(1, &edit)]);
    assert_eq!(hall.drained(2), [part(2, update(&edit))]);
}

#[test]
fn a_question_in_between_does_not_hide_what_was_lost() {
    // An echo was lost, and its sender, which knows its own edit, asks for what else there is.
    let mut hall = Hall::with_writers(&[1]);
    let edit = more(1, 0, "ab");
    hall.edit(1, &edit);
    assert_eq!(hall.stored(1), [one(1, update(&edit))]);
    hall.lost(1, &[update(&edit)]);
    assert_eq!(hall.say(1, Message::SyncStep1(vector(&[(1, 2)]))), []);
    assert_eq!(hall.drained(1), [part(1, Message::SyncStep2(edit))]);
}

#[test]
fn a_part_that_was_lost_comes_again() {
    let (mut hall, document) = big();
    let first = only_part(&hall.say(1, Message::SyncStep1(vector(&[]))), 1);
    hall.lost(1, std::slice::from_ref(&first));
    let again = only_part(&hall.drained(1), 1);
    assert_eq!(again, first);
    let Message::Update(content) = again else { panic!("not an update") };
    let mut reader = replica(&[&content]);
    loop {
        match only_part(&hall.drained(1), 1) {
            Message::Update(part) => drop(reader.insert(&part)),
            Message::SyncStep2(rest) => break drop(reader.insert(&rest)),
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(reader.encode(), document);
}

#[test]
fn lost_presence_is_sent_when_the_outbox_has_emptied_with_those_who_have_gone() {
    let mut hall = Hall::with_writers(&[1, 2, 3]);
    hall.say(1, Message::Awareness(shown(7, 1, Some("1"))));
    hall.flush();
    hall.lost(2, &[Message::Awareness(shown(7, 1, Some("1")))]);
    // While it catches up it hears nothing of presence either.
    hall.say(3, Message::Awareness(shown(8, 1, Some("2"))));
    let outputs = hall.flush();
    assert_eq!(outputs.first(), Some(&many(&[1], Message::Awareness(shown(8, 1, Some("2"))))));
    hall.room.handle_disconnect(SessionId(3), hall.now);
    hall.outputs();
    let presence = AwarenessUpdate::encode([
        AwarenessEntry { client: id(7), clock: 1, state: Some("1") },
        AwarenessEntry { client: id(8), clock: 1, state: None },
    ]);
    assert_eq!(
        hall.drained(2),
        [part(2, Message::Update(Update::empty())), one(2, Message::Awareness(presence))]
    );
    assert_eq!(hall.drained(2), []);
}

#[test]
fn lost_questions_and_refusals_are_said_again() {
    let mut hall = Hall::with_writers(&[1]);
    let greeting = hall.join(2, Access::Read);
    let refused = hall.say(2, update(&more(2, 0, "x")));
    let dropped = greeting.into_iter().chain(refused).filter_map(|output| match output {
        Output::Transmit { message, .. } => Some(message),
        _ => None,
    });
    hall.lost(2, &dropped.collect::<Vec<_>>());
    hall.edit(1, &more(1, 0, "a"));
    assert_eq!(
        hall.drained(2),
        [part(2, update(&more(1, 0, "a"))), one(2, Message::SyncStep1(vector(&[(1, 1)])))]
    );
    assert_eq!(hall.drained(2), []);
    assert_eq!(hall.say(2, update(&more(2, 0, "x"))).len(), 2);
}
