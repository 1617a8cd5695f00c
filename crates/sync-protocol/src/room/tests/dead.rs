//! What belongs to a deleted document of the same name is refused, and nothing else is.

use super::*;

/// Clients 1 and 2 wrote in the dead document, 5 and 3 insertions.
fn hall() -> Hall {
    let mut hall = Hall::new();
    hall.room.load_dead(vector(&[(1, 5), (2, 3)]));
    hall.join(1, Access::Write);
    hall
}

#[test]
fn whatever_names_a_dead_client_is_refused_whole() {
    let refusal = [Output::Event(RoomEvent::OfDeadEpoch(SessionId(1)))];
    for (what, message) in [
        ("a state vector", Message::SyncStep1(vector(&[(7, 1), (2, 1)]))),
        ("content", Message::SyncStep2(more(1, 0, "ab"))),
        ("content that was written after the death", update(&more(1, 5, "c"))),
        ("a newcomer next to it", update(&typed(7, 0, "x", Some((2, 2))))),
        ("a deletion", update(&deleted(1, 0, 1))),
        ("some of it among other things", update(&merged(&[&more(7, 0, "x"), &more(2, 0, "y")]))),
    ] {
        let mut hall = hall();
        assert_eq!(hall.say(1, message), refusal, "{what}");
        assert_eq!(hall.flush(), [], "{what}");
        assert!(hall.room.replica().is_empty(), "{what}");
    }
}

#[test]
fn the_document_made_anew_takes_everything_else() {
    let mut hall = hall();
    let edit = more(7, 0, "x");
    assert_eq!(hall.say(1, Message::SyncStep1(vector(&[(7, 1)]))).len(), 1);
    assert_eq!(hall.edit(1, &edit), [append(1, &edit)]);
    assert!(!hall.room.is_of_dead_epoch(&deleted(7, 0, 1)));
    assert!(hall.room.is_of_dead_epoch(&deleted(2, 0, 1)));
}
