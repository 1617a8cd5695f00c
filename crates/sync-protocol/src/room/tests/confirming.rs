//! Nobody hears that an edit is stored before it is.

use super::*;

#[test]
fn an_edit_is_confirmed_when_it_is_stored_and_not_before() {
    let mut hall = Hall::with_writers(&[1, 2]);
    let edits = [more(1, 0, "a"), more(1, 1, "b"), more(2, 0, "x")];
    hall.edit(1, &edits[0]);
    hall.edit(1, &edits[1]);
    hall.edit(2, &edits[2]);
    assert_eq!(hall.stored(0), []);
    assert!(!hall.room.is_settled());
    assert_eq!(hall.stored(2), [one(1, update(&edits[0])), one(1, update(&edits[1]))]);
    assert_eq!(hall.stored(1), []);
    assert_eq!(hall.stored(3), [one(2, update(&edits[2]))]);
    assert_eq!(hall.stored(3), []);
    assert!(hall.room.is_settled());
}

#[test]
fn what_holds_nothing_new_goes_nowhere_and_is_not_given_back() {
    let mut hall = Hall::with_writers(&[1, 2]);
    let edit = more(1, 0, "a");
    hall.say(1, update(&edit));
    // In the same batch, by somebody else too; in a later one; after it has been stored; as an answer.
    assert_eq!(hall.say(1, update(&edit)), []);
    assert_eq!(hall.say(2, update(&edit)), []);
    assert_eq!(hall.flush(), [append(1, &edit), many(&[2], update(&edit))]);
    assert_eq!(hall.edit(2, &edit), []);
    assert_eq!(hall.stored(1), [one(1, update(&edit))]);
    assert_eq!(hall.edit(2, &edit), []);
    assert_eq!(hall.say(2, Message::SyncStep2(edit)), []);
    assert_eq!(hall.flush(), []);
    assert!(hall.room.is_settled());
}

#[test]
fn an_edit_that_was_known_in_part_is_given_back_whole() {
    let mut hall = Hall::with_writers(&[1, 2]);
    let (first, all, rest, last) = (more(1, 0, "ab"), more(1, 0, "abcd"), more(1, 2, "cd"), more(1, 4, "e"));
    hall.edit(1, &first);
    hall.say(2, update(&all));
    hall.say(2, update(&last));
    let news = merged(&[&rest, &last]);
    assert_eq!(hall.flush(), [append(2, &news), many(&[1], update(&news))]);
    assert_eq!(hall.stored(2), [one(1, update(&first)), one(2, update(&merged(&[&all, &last])))]);
}

#[test]
fn an_answer_that_holds_something_new_is_confirmed() {
    let mut hall = Hall::with_writers(&[1, 2]);
    let edit = more(1, 0, "a");
    assert_eq!(hall.say(1, Message::SyncStep2(edit.clone())), []);
    assert_eq!(hall.flush(), [append(1, &edit)]);
    assert_eq!(hall.stored(1), [one(1, update(&edit)), many(&[2], update(&edit))]);
}

/// A server died after it had passed an edit on and before it had stored it. Another client brings it back; its author must not
/// take that for the confirmation, since this server may die as well.
#[test]
fn another_clients_answer_does_not_confirm_what_it_brings_before_that_is_stored() {
    let mut hall = Hall::with_writers(&[1, 2, 3]);
    let lost = merged(&[&more(1, 0, "abc"), &deleted(1, 1, 1)]);
    hall.say(2, Message::SyncStep2(lost.clone()));
    let edit = more(3, 0, "x");
    hall.say(3, update(&edit));
    // Who types meanwhile is heard at once.
    let all = merged(&[&lost, &edit]);
    assert_eq!(hall.flush(), [append(1, &all), many(&[1, 2], update(&edit))]);
    // The author's own answer holds nothing new, and its question asks for nothing.
    assert_eq!(hall.say(1, Message::SyncStep2(lost.clone())), []);
    assert_eq!(hall.flush(), []);
    let stored = hall.stored(1);
    assert_eq!(stored, [one(2, update(&lost)), one(3, update(&edit)), many(&[1, 3], update(&lost))]);
}

#[test]
fn another_clients_answer_does_not_confirm_a_deletion_before_it_is_stored() {
    let mut hall = Hall::with_writers(&[1, 2]);
    let text = more(1, 0, "abc");
    hall.room.handle_update(&text, hall.now);
    hall.flush();
    hall.stored(1);
    let lost = deleted(1, 1, 1);
    hall.say(2, Message::SyncStep2(merged(&[&text, &lost])));
    // Asked within the batch, and after it.
    let nothing = Message::SyncStep2(Update::empty());
    assert_eq!(hall.say(1, Message::SyncStep1(vector(&[(1, 3)]))), [part(1, nothing.clone())]);
    hall.drained(1);
    hall.flush();
    assert_eq!(hall.say(1, Message::SyncStep1(vector(&[(1, 3)]))), [part(1, nothing)]);
    assert_eq!(hall.stored(2).last(), Some(&many(&[1], update(&lost))));
    hall.drained(1);
    assert_eq!(hall.say(1, Message::SyncStep1(vector(&[(1, 3)]))), [part(1, Message::SyncStep2(lost))]);
}

#[test]
fn news_in_an_answer_reach_who_was_catching_up_when_they_were_stored() {
    let mut hall = Hall::with_writers(&[1, 2]);
    let news = more(9, 0, "abc");
    hall.say(2, Message::SyncStep2(news.clone()));
    hall.flush();
    hall.lost(1, &[]);
    // What is not stored is not in what makes up for the loss.
    assert_eq!(hall.stored(1), [one(2, update(&news))]);
    assert_eq!(hall.drained(1), [part(1, update(&news))]);
    // Who has gone has brought it nevertheless.
    let more_news = more(9, 3, "d");
    hall.drained(1);
    hall.say(2, Message::SyncStep2(more_news.clone()));
    hall.flush();
    hall.room.handle_disconnect(SessionId(2), hall.now);
    assert_eq!(hall.stored(2), [many(&[1], update(&more_news))]);
}

#[test]
fn a_ticket_from_the_future_confirms_nothing_that_was_not_appended() {
    let mut hall = Hall::with_writers(&[1, 2]);
    let edit = more(1, 0, "a");
    hall.say(1, update(&edit));
    assert_eq!(hall.stored(9), []);
    hall.flush();
    assert!(!hall.room.is_settled());
    assert_eq!(hall.stored(9), [one(1, update(&edit))]);
    assert!(hall.room.is_settled());
}

#[test]
fn who_has_gone_is_not_told() {
    let mut hall = Hall::with_writers(&[1, 2]);
    hall.edit(1, &more(1, 0, "a"));
    hall.room.handle_disconnect(SessionId(1), hall.now);
    assert_eq!(hall.stored(1), []);
    assert!(hall.room.is_settled());
}

#[test]
fn an_answer_does_not_confirm_what_its_asker_has_sent_since() {
    let mut hall = Hall::with_writers(&[1]);
    let (before, own, foreign) = (more(1, 0, "abc"), more(1, 3, "de"), more(2, 0, "x"));
    hall.edit(1, &before);
    hall.stored(1);
    hall.say(1, Message::SyncStep1(vector(&[(1, 3)])));
    // Asked before, answered after its next edits, which only it and this room know.
    hall.say(1, Message::SyncStep1(vector(&[(1, 3)])));
    hall.edit(1, &own);
    hall.edit(1, &deleted(1, 1, 1));
    hall.room.handle_update(&foreign, hall.now);
    hall.room.handle_update(&deleted(1, 2, 1), hall.now);
    hall.flush();
    let theirs = merged(&[&foreign, &deleted(1, 2, 1)]);
    assert_eq!(hall.drained(1), [part(1, Message::SyncStep2(theirs))]);
    hall.drained(1);
    assert_eq!(hall.stored(3), [one(1, update(&own)), one(1, update(&deleted(1, 1, 1)))]);
    // Now it is stored, and so may be said.
    let all = merged(&[&before, &own, &foreign, &deleted(1, 1, 2)]);
    let answered = hall.say(1, Message::SyncStep1(vector(&[])));
    assert_eq!(answered, [part(1, Message::SyncStep2(all))]);
}

#[test]
fn a_diff_for_what_was_lost_does_not_confirm_what_is_not_stored() {
    let mut hall = Hall::with_writers(&[1, 2]);
    let edits = [more(1, 0, "ab"), more(1, 2, "cd")];
    hall.edit(1, &edits[0]);
    let echo = hall.stored(1);
    assert_eq!(echo, [one(1, update(&edits[0]))]);
    hall.edit(1, &edits[1]);
    hall.lost(1, &[update(&edits[0])]);
    // The lost echo is made up for; the second edit, which follows on it, is not in it.
    assert_eq!(hall.drained(1), [part(1, update(&edits[0]))]);
    hall.drained(1);
    assert_eq!(hall.stored(2), [one(1, update(&edits[1]))]);
}

#[test]
fn another_clients_answer_does_not_confirm_what_is_not_stored() {
    let mut hall = Hall::with_writers(&[1, 2]);
    let own = more(9, 1, "b");
    hall.edit(1, &own);
    // It holds news on both sides of what the first session waits for.
    hall.say(2, Message::SyncStep2(merged(&[&more(9, 0, "abc"), &deleted(9, 2, 1)])));
    let outputs = hall.flush();
    let [Output::Append { update: appended, .. }] = outputs.as_slice() else { panic!("{outputs:?}") };
    assert_eq!(hall.room.replica(), &replica(&[&own, appended]));
    assert_eq!(hall.stored(1), [one(1, update(&own))]);
    let stored = hall.stored(2);
    assert_eq!(stored.last(), Some(&many(&[1], update(appended))));
}

#[test]
fn what_was_sent_over_an_earlier_connection_is_not_news_to_the_next() {
    let mut hall = Hall::with_writers(&[1]);
    let edit = more(1, 0, "a");
    hall.say(1, update(&edit));
    hall.room.handle_disconnect(SessionId(1), hall.now);
    // The client comes back within the batch, and has not asked yet.
    let greeting = one(2, Message::SyncStep1(vector(&[(1, 1)])));
    assert_eq!(hall.join(2, Access::Write), [append(1, &edit), greeting]);
    assert_eq!(hall.flush(), []);
    assert_eq!(hall.stored(1), [one(1, update(&edit))]);
}
