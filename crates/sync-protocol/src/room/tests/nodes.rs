//! What comes from other nodes.

use super::*;
use crate::id::NodeId;

const NODE: NodeId = NodeId(5);

fn entry(clock: u64, state: Option<&str>) -> PresenceEntry {
    let client = ClientId::new(7).unwrap();
    PresenceEntry { client, clock, state: state.map(Into::into), identity: Some("ada".into()) }
}

#[test]
fn what_another_node_has_stored_goes_to_sessions_and_not_to_the_log() {
    let mut hall = Hall::with_writers(&[1, 2]);
    let (theirs, ours) = (more(9, 0, "abc"), more(8, 0, "x"));
    hall.room.handle_node_update(&theirs, hall.now);
    assert_eq!(hall.flush(), [many(&[1, 2], update(&theirs))]);
    assert!(hall.room.is_settled());
    // Together with an edit of a session: only that is logged, and its author does not get it back yet.
    let more_of_theirs = more(9, 3, "d");
    hall.room.handle_node_update(&more_of_theirs, hall.now);
    hall.say(1, Message::Update(ours.clone()));
    let outputs = hall.flush();
    assert_eq!(outputs.first(), Some(&append(1, &ours)));
    let got = |session: u64| -> Vec<Update> {
        let to_it = outputs.iter().filter_map(|output| match output {
            Output::Transmit { to, message: Message::Update(update) } if to.includes(SessionId(session)) => {
                Some(update.clone())
            }
            _ => None,
        });
        to_it.collect()
    };
    assert_eq!(got(1), std::slice::from_ref(&more_of_theirs));
    assert_eq!(replica(&got(2).iter().collect::<Vec<_>>()), replica(&[&more_of_theirs, &ours]));
}

#[test]
fn an_edit_that_another_node_has_stored_is_confirmed_at_once() {
    let mut hall = Hall::with_writers(&[1]);
    let edit = more(9, 0, "abc");
    hall.room.handle_node_update(&edit, hall.now);
    hall.say(1, Message::Update(edit.clone()));
    // Getting it back is what tells its author.
    assert_eq!(hall.flush(), [many(&[1], update(&edit))]);
    assert!(hall.room.is_settled());
}

#[test]
fn who_is_at_another_node_is_seen_here_and_not_told_back() {
    let mut hall = Hall::with_writers(&[1]);
    hall.room.handle_node_presence(NODE, &[entry(1, Some("{}"))], hall.now);
    assert_eq!(hall.flush().len(), 1);
    assert_eq!(hall.people, [(7, Some(Origin::Node(NODE)))]);
    assert_eq!((&hall.published, hall.room.presence_here()), (&vec![], vec![]));
    hall.room.handle_node_presence(NODE, &[entry(1, None)], hall.now);
    assert_eq!(hall.flush().len(), 1);
    assert_eq!(hall.people.last(), Some(&(7, None)));
}

#[test]
fn who_returns_has_those_at_other_nodes_announced_anew() {
    let mut hall = Hall::with_writers(&[1]);
    hall.room.handle_node_presence(NODE, &[entry(4, Some("{}"))], hall.now);
    hall.flush();
    let present = AwarenessEntry { client: ClientId::new(8).unwrap(), clock: 3, state: Some("{}") };
    hall.say(1, Message::Awareness(AwarenessUpdate::encode([present])));
    let outputs = hall.flush();
    assert!(outputs.contains(&Output::Announce(vec![(ClientId::new(7).unwrap(), 4)])), "{outputs:?}");
}
