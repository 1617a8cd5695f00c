//! Several clients around one room, over connections that lose, delay and break, and a store that is late.

use std::collections::VecDeque;

use super::peer::{Ids, Peer};
use super::*;
use crate::presence::tests::rng::Rng;

/// Edit histories of real clients, each as its updates.
fn histories() -> Vec<Vec<Update>> {
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/vectors/yjs-encodings.json");
    let vector: serde_json::Value = serde_json::from_slice(&std::fs::read(file).unwrap()).unwrap();
    let cases = vector["cases"].as_array().unwrap();
    let parse = |hex: &serde_json::Value| {
        let digits: Vec<_> = hex.as_str().unwrap().chars().map(|digit| digit.to_digit(16).unwrap()).collect();
        let bytes: Vec<_> =
            digits.chunks(2).map(|pair| u8::try_from(pair[0] << 4 | pair[1]).unwrap()).collect();
        Update::parse(bytes.into()).unwrap()
    };
    let updates = cases.iter().filter_map(|case| case["updates_v1"].as_array());
    updates.map(|updates| updates.iter().map(parse).collect()).collect()
}

struct World {
    seed: u64,
    rng: Rng,
    room: Room,
    now: Instant,
    peers: Vec<Peer>,
    sessions: u64,
    /// A history that the peers write between them.
    history: Vec<Update>,
    /// On the way to the disk.
    appended: VecDeque<(Ticket, Update)>,
    stored: Ids,
    asked: u32,
    /// All that the room gave out.
    log: Vec<Output>,
}

impl World {
    fn new(seed: u64, histories: &[Vec<Update>]) -> Self {
        let mut rng = Rng::new(seed);
        let config = RoomConfig {
            whole_sync_bytes: if rng.once_in(2) { 60 } else { 1 << 20 },
            part_bytes: 40,
            ..RoomConfig::default()
        };
        let mut peers: Vec<_> = (10..14).map(|client| Peer::new(client, Access::Write)).collect();
        peers.push(Peer::new(20, Access::Read));
        let history = histories[usize::try_from(rng.below(histories.len() as u64)).unwrap()].clone();
        Self {
            seed,
            rng,
            room: Room::new(config),
            now: Instant::now(),
            peers,
            sessions: 0,
            history,
            appended: VecDeque::new(),
            stored: Ids::default(),
            asked: 0,
            log: Vec::new(),
        }
    }

    fn peer(&mut self) -> usize {
        usize::try_from(self.rng.below(self.peers.len() as u64)).unwrap()
    }

    fn disconnect(&mut self, at: usize) {
        if let Some(session) = self.peers[at].session {
            self.room.handle_disconnect(session, self.now);
        }
        self.peers[at].disconnect();
    }

    fn connect(&mut self, at: usize) {
        self.disconnect(at);
        self.sessions += 1;
        let session = SessionId(self.sessions);
        self.peers[at].connect(session);
        let setup = SessionSetup::anonymous(self.peers[at].access);
        self.room.handle_connect(session, setup, self.now);
        self.carry_out();
    }

    /// Somebody does something.
    fn act(&mut self) {
        let at = self.peer();
        let writes = self.peers[at].access == Access::Write;
        match self.rng.below(12) {
            0 => self.connect(at),
            1 if self.rng.once_in(2) => self.disconnect(at),
            2 if writes && !self.history.is_empty() => {
                // In any order; some come twice.
                let which = usize::try_from(self.rng.below(self.history.len() as u64)).unwrap();
                let update = self.history[which].clone();
                if self.rng.once_in(2) {
                    self.history.swap_remove(which);
                }
                self.peers[at].write(update, false);
            }
            3 if self.peers[at].session.is_some() => {
                let known = self.peers[at].replica.state_vector();
                self.peers[at].up.push_back(Message::SyncStep1(known));
            }
            4 => self.lose(at),
            _ if writes => self.peers[at].edit(&mut self.rng),
            _ => {}
        }
    }

    /// The outbox of a session is full and is emptied, but for answers.
    fn lose(&mut self, at: usize) {
        let peer = &mut self.peers[at];
        let Some(session) = peer.session else { return };
        let parts_too = self.rng.once_in(2);
        let (mut kept, mut dropped) = (VecDeque::new(), Vec::new());
        for (message, keep) in peer.down.drain(..) {
            if keep && (!parts_too || matches!(message, Message::SyncStep2(_))) {
                kept.push_back((message, keep));
            } else {
                dropped.push(message);
            }
        }
        peer.down = kept;
        peer.draining = true;
        self.room.handle_lost(session, &dropped);
        self.carry_out();
    }

    /// Some of what is under way arrives.
    fn tick(&mut self, everything: bool) {
        self.now += Duration::from_millis(100);
        for at in 0..self.peers.len() {
            let Some(session) = self.peers[at].session else { continue };
            while (everything || !self.rng.once_in(3))
                && let Some(message) = self.peers[at].up.pop_front()
            {
                self.room.handle_message(session, message, self.now);
                self.carry_out();
            }
            while (everything || !self.rng.once_in(3))
                && let Some((message, _)) = self.peers[at].down.pop_front()
            {
                let confirmed = self.peers[at].take(&message).without(&self.stored);
                let client = self.peers[at].client;
                let seed = self.seed;
                assert!(
                    confirmed.is_empty(),
                    "seed {seed}: {client} was told too early: {confirmed:?} by {message:?}"
                );
            }
            if self.peers[at].draining && self.peers[at].down.is_empty() {
                self.peers[at].draining = false;
                self.room.handle_drained(session, self.now);
                self.carry_out();
            }
        }
        if everything || self.rng.once_in(2) {
            self.room.flush(self.now);
            self.carry_out();
        }
        if everything || self.rng.once_in(6) {
            let count = if everything { u64::MAX } else { self.rng.below(4) };
            let mut last = None;
            for _ in 0..count {
                let Some((ticket, update)) = self.appended.pop_front() else { break };
                self.stored.unite(&Ids::of(&update));
                last = Some(ticket);
            }
            if let Some(ticket) = last {
                self.room.handle_stored(ticket, self.now);
                self.carry_out();
            }
        }
    }

    fn carry_out(&mut self) {
        while let Some(output) = self.room.poll_output() {
            self.log.push(output.clone());
            let (to, message, part) = match output {
                Output::Append { ticket, update } => {
                    self.appended.push_back((ticket, update));
                    continue;
                }
                Output::Event(RoomEvent::Asked(_)) => {
                    self.asked += 1;
                    continue;
                }
                Output::PublishPresence(_)
                | Output::Announce(_)
                | Output::Broadcast { .. }
                | Output::Presence(_)
                | Output::Event(_) => continue,
                Output::Transmit { to: To::One(session), message } => (vec![session], message, false),
                Output::Transmit { to: To::Many(sessions), message } => (sessions, message, false),
                Output::Part { to, message } => (vec![to], message, true),
            };
            for peer in &mut self.peers {
                if peer.session.is_some_and(|session| to.contains(&session)) {
                    peer.down.push_back((message.clone(), part));
                    peer.draining |= part;
                }
            }
        }
    }
}

fn run(seed: u64, histories: &[Vec<Update>]) -> World {
    let mut world = World::new(seed, histories);
    for _ in 0..200 {
        world.act();
        if world.rng.once_in(2) {
            world.tick(false);
        }
    }
    // What is left of the history is written, everybody comes back, and all arrives.
    for at in 0..world.peers.len() {
        if world.peers[at].session.is_none() {
            world.connect(at);
        }
    }
    for update in std::mem::take(&mut world.history) {
        world.peers[0].write(update, false);
    }
    for _ in 0..60 {
        world.tick(true);
    }
    world
}

#[test]
fn all_end_alike_and_nobody_is_told_too_early() {
    let histories = histories();
    assert!(histories.len() >= 20);
    let mut parts = 0;
    for seed in 0..400 {
        let world = run(seed, &histories);
        let room = world.room.replica();
        assert!(world.room.is_settled(), "seed {seed}");
        for peer in &world.peers {
            let client = peer.client;
            assert!(peer.up.is_empty() && peer.down.is_empty(), "seed {seed}: {client} is not done");
            let (theirs, ours) = (Ids::of(&peer.replica.encode()), Ids::of(&room.encode()));
            let (lacks, has) = (ours.without(&theirs), theirs.without(&ours));
            assert!(lacks.is_empty() && has.is_empty(), "seed {seed}: {client} lacks {lacks:?}, has {has:?}");
            assert!(&peer.replica == room, "seed {seed}: {client} holds something else");
            assert!(peer.unconfirmed.is_empty(), "seed {seed}: {client} waits for {:?}", peer.unconfirmed);
        }
        // What was appended is the document.
        let appended = world.log.iter().filter_map(|output| match output {
            Output::Append { update, .. } => Some(update),
            _ => None,
        });
        assert!(&replica(&appended.collect::<Vec<_>>()) == room, "seed {seed}: the log says otherwise");
        assert!(world.asked <= 150, "seed {seed}: {} questions", world.asked);
        parts += world.log.iter().filter(|output| matches!(output, Output::Part { .. })).count();
    }
    assert!(parts > 400 * 10, "only {parts} parts");
}

#[test]
fn the_same_inputs_give_the_same_outputs() {
    let histories = histories();
    for seed in 0..20 {
        assert!(run(seed, &histories).log == run(seed, &histories).log, "seed {seed}");
    }
}
