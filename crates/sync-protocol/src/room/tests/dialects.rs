//! What becomes of edits is told in the dialect of each client, and never before it is so.

use bytes::Bytes;

use super::*;
use crate::wire::hocuspocus::Address;

impl Hall {
    fn join_in(&mut self, session: u64, access: Access, dialect: Dialect) -> Vec<Output> {
        let setup = SessionSetup { dialect, ..SessionSetup::anonymous(access) };
        self.room.handle_connect(SessionId(session), setup, self.now);
        self.outputs()
    }

    /// A Hocuspocus session that has asked and was answered.
    fn join_synced(&mut self, session: u64, access: Access) {
        self.join_in(session, access, hocuspocus());
        self.say(session, Message::SyncStep1(vector(&[])));
        self.drained(session);
    }
}

fn hocuspocus() -> Dialect {
    Dialect::Hocuspocus(Address::new("doc").unwrap())
}

fn status(session: u64, applied: bool, times: u32) -> Output {
    one(session, Message::SyncStatus { applied, times })
}

fn version(number: u8) -> Message {
    Message::Version(Bytes::copy_from_slice(&[number]))
}

fn statuses(outputs: &[Output]) -> u32 {
    let times = outputs.iter().map(|output| match output {
        Output::Transmit { message: Message::SyncStatus { times, .. }, .. } => *times,
        _ => 0,
    });
    times.sum()
}

#[test]
fn a_hocuspocus_client_is_asked_whenever_it_asks() {
    let mut hall = Hall::new();
    let stored = more(1, 0, "ab");
    hall.room.load(std::slice::from_ref(&stored));
    assert_eq!(hall.join_in(1, Access::Write, hocuspocus()), []);
    for _ in 0..2 {
        let answered = hall.say(1, Message::SyncStep1(vector(&[])));
        let question = one(1, Message::SyncStep1(vector(&[(1, 2)])));
        assert_eq!(answered, [question, part(1, Message::SyncStep2(stored.clone()))]);
        hall.drained(1);
    }
}

#[test]
fn each_update_and_each_answer_has_one_status_when_it_is_stored() {
    let mut hall = Hall::with_writers(&[1]);
    hall.join_synced(2, Access::Write);
    let edits = [more(2, 0, "a"), more(2, 1, "b"), more(2, 2, "c")];
    hall.say(2, update(&edits[0]));
    hall.say(2, update(&edits[1]));
    let both = merged(&[&edits[0], &edits[1]]);
    assert_eq!(hall.flush(), [append(1, &both), many(&[1], update(&both))]);
    hall.edit(2, &edits[2]);
    // Nothing new in it, yet not everything in it is stored.
    assert_eq!(hall.say(2, Message::SyncStep2(both)), []);
    assert_eq!(hall.stored(1), [status(2, true, 2)]);
    assert_eq!(hall.stored(2), [status(2, true, 2)]);
    // Nothing new in it, and all is stored.
    assert_eq!(hall.edit(2, &edits[0]), [status(2, true, 1)]);
    assert_eq!(hall.say(2, Message::SyncStep2(Update::empty())), [status(2, true, 1)]);
    assert_eq!(hall.stored(2), []);
}

#[test]
fn what_another_session_has_sent_is_not_stored_for_being_known() {
    let mut hall = Hall::with_writers(&[1]);
    hall.join_synced(2, Access::Write);
    let edit = more(1, 0, "a");
    hall.say(1, update(&edit));
    assert_eq!(hall.say(2, update(&edit)), []);
    hall.flush();
    assert_eq!(hall.say(2, Message::SyncStep2(edit.clone())), []);
    assert_eq!(hall.stored(1), [status(2, true, 2), one(1, update(&edit))]);
}

#[test]
fn a_reader_is_told_that_nothing_was_taken_unless_there_was_nothing_to_take() {
    let mut hall = Hall::with_writers(&[1]);
    hall.join_synced(2, Access::Read);
    let edit = more(1, 0, "a");
    hall.edit(1, &edit);
    let refused = Output::Event(RoomEvent::EditRefused(SessionId(2)));
    for _ in 0..2 {
        assert_eq!(hall.edit(2, &more(2, 0, "x")), [refused.clone(), status(2, false, 1)]);
    }
    assert_eq!(hall.say(2, Message::SyncStep2(edit.clone())), []);
    assert_eq!(hall.stored(1), [one(1, update(&edit)), status(2, true, 1)]);
    assert_eq!(hall.room.replica(), &replica(&[&edit]));
}

#[test]
fn no_status_overtakes_the_answer_to_a_question() {
    let config = RoomConfig { whole_sync_bytes: 64, part_bytes: 32, ..RoomConfig::default() };
    let mut hall = Hall::with(config);
    hall.room.load(&[more(1, 0, &"x".repeat(200))]);
    hall.join_in(2, Access::Write, hocuspocus());
    let first = hall.say(2, Message::SyncStep1(vector(&[])));
    assert!(matches!(first.as_slice(), [Output::Part { message: Message::Update(_), .. }]), "{first:?}");
    hall.edit(2, &more(2, 0, "a"));
    assert_eq!(hall.stored(1), []);
    let last = std::iter::repeat_with(|| hall.drained(2)).take(50).find(|outputs| {
        assert_eq!(statuses(outputs), u32::from(outputs.len() > 1), "{outputs:?}");
        outputs.len() > 1
    });
    // Asked only with the answer, since its answer is the last that it waits for.
    let last = last.unwrap();
    let [asked, answered, told] = last.as_slice() else { panic!("{last:?}") };
    assert!(matches!(asked, Output::Transmit { message: Message::SyncStep1(_), .. }));
    assert!(matches!(answered, Output::Part { message: Message::SyncStep2(_), .. }));
    assert_eq!(told, &status(2, true, 1));
}

#[test]
fn what_waits_is_bounded_by_what_is_stored_and_not_by_messages() {
    let mut hall = Hall::with_writers(&[1]);
    hall.join_synced(2, Access::Write);
    hall.join_in(3, Access::Write, Dialect::YSweet);
    hall.say(3, Message::SyncStep2(Update::empty()));
    let edit = more(2, 0, "a");
    hall.edit(2, &edit);
    for _ in 0..1000 {
        hall.edit(2, &edit);
        hall.edit(3, &edit);
        hall.say(3, version(1));
    }
    assert_eq!(hall.room.confirmations.waiting_count(), 2);
    assert_eq!(hall.stored(1), [status(2, true, 1001), one(3, version(1))]);
}

#[test]
fn broadcasts_go_from_writers_to_the_others_whose_dialect_has_them() {
    let mut hall = Hall::with_writers(&[1]);
    for (session, access) in [(2, Access::Write), (3, Access::Read), (4, Access::Write)] {
        hall.join_synced(session, access);
    }
    let message = Message::Stateless("hi".into());
    hall.join_in(5, Access::Write, Dialect::Quire);
    hall.join_in(6, Access::Write, Dialect::YSweet);
    assert_eq!(hall.say(2, message.clone()), [many(&[3, 4, 5], message.clone())]);
    assert_eq!(hall.say(5, message.clone()), [many(&[2, 3, 4], message.clone())]);
    let refused = |session| Output::Event(RoomEvent::BroadcastRefused(SessionId(session)));
    assert_eq!(hall.say(3, message.clone()), [refused(3)]);
    assert!(hall.room.handle_broadcast("hi".into(), hall.now));
    assert_eq!(hall.outputs(), [many(&[2, 3, 4, 5], message.clone())]);
    assert_eq!(std::mem::take(&mut hall.told), ["somebody says hi"; 3]);
    // A burst of one, and then no more until some time has passed.
    let passed = (0..100).filter(|_| hall.say(4, message.clone()) != [refused(4)]).count();
    assert!((20..60).contains(&passed), "{passed}");
    hall.pass(1000);
    assert_ne!(hall.say(4, message.clone()), [refused(4)]);
}

#[test]
fn a_version_comes_back_when_all_is_stored_that_was_sent_before() {
    let mut hall = Hall::with_writers(&[1]);
    assert_eq!(hall.join_in(2, Access::Write, Dialect::YSweet), [one(2, Message::SyncStep1(vector(&[])))]);
    // It counts what may still be in the client's answer.
    assert_eq!(hall.say(2, version(0)), []);
    assert_eq!(hall.say(2, Message::SyncStep2(Update::empty())), [one(2, version(0))]);
    let edits = [more(2, 0, "a"), more(2, 1, "b")];
    hall.say(2, update(&edits[0]));
    assert_eq!(hall.say(2, version(1)), []);
    hall.flush();
    hall.edit(2, &edits[1]);
    assert_eq!(hall.say(2, version(2)), []);
    // It wants a sign of life.
    assert_eq!(hall.say(2, version(2)), [one(2, Message::Awareness(AwarenessUpdate::empty()))]);
    assert_eq!(hall.stored(1), []);
    assert_eq!(hall.stored(2), [one(2, version(2))]);
    assert_eq!(hall.say(2, version(2)), [one(2, version(2))]);
    // What others have sent does not hold it back.
    hall.edit(1, &more(1, 0, "x"));
    assert_eq!(hall.say(2, version(2)), [one(2, version(2))]);
}

#[test]
fn an_answer_that_brings_edits_is_stored_before_its_version_comes_back() {
    let mut hall = Hall::new();
    hall.join_in(2, Access::Write, Dialect::YSweet);
    hall.say(2, version(7));
    assert_eq!(hall.say(2, Message::SyncStep2(more(2, 0, "abc"))), []);
    assert_eq!(hall.flush(), [append(1, &more(2, 0, "abc"))]);
    assert_eq!(hall.stored(1), [one(2, version(7))]);
}

#[test]
fn the_version_of_a_reader_comes_back_until_it_edits() {
    let mut hall = Hall::new();
    hall.join_in(2, Access::Read, Dialect::YSweet);
    hall.say(2, Message::SyncStep2(Update::empty()));
    assert_eq!(hall.say(2, version(0)), [one(2, version(0))]);
    assert_eq!(hall.edit(2, &more(2, 0, "x")), [Output::Event(RoomEvent::EditRefused(SessionId(2)))]);
    assert_eq!(hall.say(2, version(1)), []);
    assert_eq!(hall.say(2, version(1)), [one(2, Message::Awareness(AwarenessUpdate::empty()))]);
}

#[test]
fn a_quire_client_is_confirmed_by_version_and_told_once_that_an_edit_is_not_taken() {
    let mut hall = Hall::with_writers(&[1]);
    for (session, access) in [(2, Access::Write), (3, Access::Read)] {
        hall.join_in(session, access, Dialect::Quire);
        hall.say(session, Message::SyncStep2(Update::empty()));
    }
    let edit = more(2, 0, "a");
    hall.edit(2, &edit);
    assert_eq!(hall.say(2, version(1)), []);
    assert_eq!(hall.stored(1), [one(2, version(1))], "and its edit does not come back");
    let refused = Output::Event(RoomEvent::EditRefused(SessionId(3)));
    let denied = Message::Denied("this document is read-only for you".into());
    assert_eq!(hall.edit(3, &more(3, 0, "x")), [refused.clone(), one(3, denied)]);
    assert_eq!(hall.edit(3, &more(3, 1, "y")), [refused]);
    assert_eq!(hall.say(3, version(1)), []);
}

#[test]
fn a_quire_client_is_told_once_that_nothing_can_be_stored_and_once_that_it_can_again() {
    let mut hall = Hall::with_writers(&[1]);
    for session in [2, 3] {
        hall.join_in(session, Access::Read, Dialect::Quire);
    }
    hall.edit(1, &more(1, 0, "a"));
    hall.room.handle_unstored();
    assert_eq!(hall.outputs(), [many(&[2, 3], Message::Storing(false))]);
    hall.room.handle_unstored();
    assert_eq!(hall.outputs(), []);
    let newcomer = hall.join_in(4, Access::Write, Dialect::Quire);
    assert_eq!(newcomer.last(), Some(&one(4, Message::Storing(false))));
    let other = hall.join_in(5, Access::Write, Dialect::YSweet);
    assert!(!other.contains(&one(5, Message::Storing(false))), "it has no such message");
    let told = many(&[2, 3, 4], Message::Storing(true));
    assert_eq!(hall.stored(1), [told, one(1, update(&more(1, 0, "a")))]);
    hall.edit(1, &more(1, 1, "b"));
    assert_eq!(hall.stored(2), [one(1, update(&more(1, 1, "b")))]);
}
