//! A room, driven by hand and by chance.

mod catching_up;
mod confirming;
mod dead;
mod dialects;
mod edits;
mod nodes;
mod peer;
mod simulation;

use super::*;
use crate::id::{ClientId, Clock, Origin};
use crate::presence::PresenceEntry;
use crate::session::Access;
use crate::state_vector::StateVector;
use crate::wire::awareness::{AwarenessEntry, AwarenessUpdate};
use crate::wire::varint::{write_var_bytes, write_var_uint};

fn id(value: u64) -> ClientId {
    ClientId::new(value).unwrap()
}

fn vector(entries: &[(u64, Clock)]) -> StateVector {
    entries.iter().map(|(client, clock)| (id(*client), *clock)).collect()
}

/// What a client sends when it types, behind this unit or else at the front of the text `t`.
fn typed(client: u64, clock: Clock, text: &str, behind: Option<(u64, Clock)>) -> Update {
    let mut bytes = vec![1, 1];
    write_var_uint(&mut bytes, client);
    write_var_uint(&mut bytes, clock);
    match behind {
        Some((client, clock)) => {
            bytes.push(0x84);
            write_var_uint(&mut bytes, client);
            write_var_uint(&mut bytes, clock);
        }
        None => bytes.extend([4, 1, 1, b't']),
    }
    write_var_bytes(&mut bytes, text.as_bytes());
    bytes.push(0);
    Update::parse(bytes.into()).unwrap()
}

/// What a client sends when it goes on typing.
fn more(client: u64, clock: Clock, text: &str) -> Update {
    typed(client, clock, text, clock.checked_sub(1).map(|before| (client, before)))
}

/// What a client sends when it deletes.
fn deleted(client: u64, clock: Clock, count: u64) -> Update {
    let mut bytes = vec![0, 1];
    for number in [client, 1, clock, count] {
        write_var_uint(&mut bytes, number);
    }
    Update::parse(bytes.into()).unwrap()
}

fn replica(updates: &[&Update]) -> Replica {
    let mut replica = Replica::new();
    for update in updates {
        replica.insert(update);
    }
    replica
}

fn merged(updates: &[&Update]) -> Update {
    replica(updates).encode()
}

fn shown(client: u64, clock: Clock, state: Option<&str>) -> AwarenessUpdate {
    AwarenessUpdate::encode([AwarenessEntry { client: id(client), clock, state }])
}

/// A room and its clock.
struct Hall {
    room: Room,
    now: Instant,
    /// What was told of presence since it was last looked at: clients, and the session of each that is there.
    people: Vec<(u64, Option<Origin>)>,
    /// What other nodes are told of who is here.
    published: Vec<PresenceEntry>,
    /// The same for what was told to everybody.
    told: Vec<String>,
}

impl Hall {
    fn new() -> Self {
        Self::with(RoomConfig::default())
    }

    fn with(config: RoomConfig) -> Self {
        Self {
            room: Room::new(config),
            now: Instant::now(),
            people: Vec::new(),
            published: Vec::new(),
            told: Vec::new(),
        }
    }

    /// A room with these sessions, whose first words are over.
    fn with_writers(sessions: &[u64]) -> Self {
        let mut hall = Self::new();
        for session in sessions {
            hall.join(*session, Access::Write);
        }
        hall
    }

    fn join(&mut self, session: u64, access: Access) -> Vec<Output> {
        let setup = SessionSetup::anonymous(access);
        self.room.handle_connect(SessionId(session), setup, self.now);
        self.outputs()
    }

    fn say(&mut self, session: u64, message: Message) -> Vec<Output> {
        self.room.handle_message(SessionId(session), message, self.now);
        self.outputs()
    }

    fn flush(&mut self) -> Vec<Output> {
        self.room.flush(self.now);
        self.outputs()
    }

    /// An edit, alone in its batch.
    fn edit(&mut self, session: u64, update: &Update) -> Vec<Output> {
        let mut outputs = self.say(session, Message::Update(update.clone()));
        outputs.extend(self.flush());
        outputs
    }

    fn stored(&mut self, ticket: u64) -> Vec<Output> {
        self.room.handle_stored(Ticket(ticket), self.now);
        self.outputs()
    }

    fn drained(&mut self, session: u64) -> Vec<Output> {
        self.room.handle_drained(SessionId(session), self.now);
        self.outputs()
    }

    fn lost(&mut self, session: u64, dropped: &[Message]) -> Vec<Output> {
        self.room.handle_lost(SessionId(session), dropped);
        self.outputs()
    }

    fn pass(&mut self, milliseconds: u64) {
        self.now += Duration::from_millis(milliseconds);
    }

    fn outputs(&mut self) -> Vec<Output> {
        let mut outputs = Vec::new();
        while let Some(output) = self.room.poll_output() {
            match output {
                Output::Presence(changes) => self.people.extend(
                    changes
                        .into_iter()
                        .map(|change| (change.client.value(), change.now.map(|present| present.origin))),
                ),
                Output::PublishPresence(entries) => self.published.extend(entries),
                Output::Broadcast { from, text, .. } => {
                    self.told.push(format!("{} says {text}", from.as_deref().unwrap_or("somebody")));
                }
                other => outputs.push(other),
            }
        }
        outputs
    }
}

fn one(session: u64, message: Message) -> Output {
    Output::Transmit { to: To::One(SessionId(session)), message }
}

fn many(sessions: &[u64], message: Message) -> Output {
    let to = To::Many(sessions.iter().copied().map(SessionId).collect());
    Output::Transmit { to, message }
}

fn part(session: u64, message: Message) -> Output {
    Output::Part { to: SessionId(session), message }
}

fn append(ticket: u64, update: &Update) -> Output {
    Output::Append { ticket: Ticket(ticket), update: update.clone() }
}

fn update(update: &Update) -> Message {
    Message::Update(update.clone())
}

#[test]
fn a_newcomer_is_asked_then_told_who_is_present_and_answered() {
    let mut hall = Hall::new();
    let stored = more(1, 0, "ab");
    hall.room.load(std::slice::from_ref(&stored));
    assert_eq!(hall.outputs(), []);
    assert_eq!(hall.join(1, Access::Write), [one(1, Message::SyncStep1(vector(&[(1, 2)])))]);
    hall.say(1, Message::Awareness(shown(7, 3, Some("1"))));
    hall.flush();
    assert_eq!(
        hall.join(2, Access::Read),
        [one(2, Message::SyncStep1(vector(&[(1, 2)]))), one(2, Message::Awareness(shown(7, 3, Some("1"))))]
    );
    // The answer is a part: the room must know when it has left.
    assert_eq!(hall.say(2, Message::SyncStep1(vector(&[]))), [part(2, Message::SyncStep2(stored))]);
    let presence = [one(2, Message::Awareness(shown(7, 3, Some("1"))))];
    assert_eq!(hall.say(2, Message::QueryAwareness), presence);
    assert_eq!(hall.say(2, Message::Denied("no".into())), []);
    assert_eq!(hall.drained(2), []);
    assert_eq!(hall.room.sessions(), 2);
    assert!(hall.room.is_settled());
}

#[test]
fn presence_goes_to_the_others_and_ends_with_its_session_or_its_time() {
    let mut hall = Hall::with_writers(&[1, 2, 3]);
    assert_eq!(hall.say(1, Message::Awareness(shown(7, 1, Some("1")))), []);
    assert_eq!(
        hall.flush(),
        [
            many(&[2, 3], Message::Awareness(shown(7, 1, Some("1")))),
            one(1, Message::Awareness(shown(7, 1, None))),
        ]
    );
    assert_eq!(std::mem::take(&mut hall.people), [(7, Some(Origin::Session(SessionId(1))))]);
    let due = hall.now + Duration::from_secs(30);
    assert_eq!(hall.room.poll_timeout(), Some(due));
    hall.pass(30_000);
    hall.room.handle_timeout(hall.now);
    assert_eq!(hall.outputs(), [many(&[1, 2, 3], Message::Awareness(shown(7, 1, None)))]);
    assert_eq!(std::mem::take(&mut hall.people), [(7, None)]);
    hall.say(1, Message::Awareness(shown(7, 2, Some("1"))));
    hall.flush();
    hall.room.handle_disconnect(SessionId(1), hall.now);
    assert_eq!(hall.outputs(), [many(&[2, 3], Message::Awareness(shown(7, 2, None)))]);
    assert_eq!(std::mem::take(&mut hall.people), [(7, Some(Origin::Session(SessionId(1)))), (7, None)]);
    hall.room.handle_disconnect(SessionId(1), hall.now);
    assert_eq!(hall.outputs(), []);
    // Too much of it is refused, with an event.
    let limit = hall.room.config.limits.presence_per_session as u64;
    let all = AwarenessUpdate::encode((100..=100 + limit).map(|client| AwarenessEntry {
        client: id(client),
        clock: 1,
        state: Some("1"),
    }));
    let refused = Output::Event(RoomEvent::PresenceRefused(SessionId(2)));
    assert_eq!(hall.say(2, Message::Awareness(all)), [refused]);
}

#[test]
fn a_message_of_nobody_is_passed_over() {
    let mut hall = Hall::with_writers(&[1]);
    assert_eq!(hall.edit(9, &more(1, 0, "a")), []);
    assert_eq!(hall.say(9, Message::SyncStep1(vector(&[]))), []);
    assert_eq!(hall.say(9, Message::QueryAwareness), []);
    assert_eq!(hall.lost(9, &[update(&more(1, 0, "a"))]), []);
    assert_eq!(hall.drained(9), []);
    assert!(hall.room.replica().is_empty());
}
