//! What a node does with what it is brought: the part of the server's document task, its writer and its reader.

use std::time::Duration;

use quire_persistence::{DocumentStore as _, Epoch, Seq};
use quire_relay::{Message as Said, NodeId, Read, State, Topic};
use quire_sync_protocol::{Access, Message, Output, SessionId, SessionSetup, To, Update};

use crate::node::{Commit, Early, Open, Stage};
use crate::world::{Happening, World};

/// How long other nodes are waited for when a document is opened.
const ENTER: Duration = Duration::from_secs(1);

/// How long a document without sessions stays.
const IDLE: Duration = Duration::from_secs(2);

impl World {
    /// A client attaches to a node.
    pub(crate) fn join(&mut self, node: usize, client: usize, connection: u64) {
        let doc = self.doc_of(client);
        let session = SessionId(self.number());
        self.nodes[node].sessions.insert(session, (client, connection));
        if !self.nodes[node].open.contains_key(&doc) {
            self.open(node, doc);
        }
        self.bring(node, doc, Early::Joined { session });
    }

    /// A client's frame has come.
    pub(crate) fn arrive(&mut self, node: usize, client: usize, connection: u64, message: Message) {
        if let Some(session) = self.nodes[node].session(connection) {
            self.bring(node, self.doc_of(client), Early::Said { session, message });
        }
    }

    /// A connection has ended.
    pub(crate) fn lose(&mut self, node: usize, connection: u64) {
        if let Some(session) = self.nodes[node].session(connection)
            && let Some((client, _)) = self.nodes[node].sessions.remove(&session)
        {
            self.bring(node, self.doc_of(client), Early::Left { session });
        }
    }

    /// Something of another node is heard.
    pub(crate) fn heard(&mut self, node: usize, doc: usize, from: NodeId, message: Said) {
        let own = self.nodes[node].id;
        let Some(open) = self.nodes[node].open.get_mut(&doc) else { return };
        if let Said::Settled { to, question } = message {
            if let Stage::Asking(missing) = &mut open.stage
                && Some(to) == own
                && question == open.serial
            {
                *missing = missing.saturating_sub(1);
                if *missing == 0 {
                    self.load(node, doc);
                }
            }
            return;
        }
        self.bring(node, doc, Early::Heard { from, message });
    }

    /// Something may have been missed.
    pub(crate) fn missed(&mut self, node: usize, doc: usize) {
        if self.nodes[node].open.contains_key(&doc) {
            self.bring(node, doc, Early::Missed);
        }
    }

    fn open(&mut self, node: usize, doc: usize) {
        let Some(id) = self.nodes[node].id else { return };
        let (serial, topic) = (self.number(), Topic::Document(self.docs[doc].clone()));
        self.network.subscribe(id, &topic, self.now);
        self.nodes[node].open.insert(doc, Open::new(serial, topic));
        let life = self.nodes[node].life;
        if self.network.state(id) == State::Connected {
            self.after(ENTER, Happening::Waited { node, life, doc, serial });
        } else {
            self.load(node, doc);
        }
    }

    /// Everything about a document is heard from now on.
    pub(crate) fn subscribed(&mut self, node: usize, doc: usize) {
        let (now, Some(id)) = (self.now, self.nodes[node].id) else { return };
        let Some(open) = self.nodes[node].open.get_mut(&doc) else { return };
        if std::mem::replace(&mut open.is_subscribed, true) {
            return self.missed(node, doc);
        }
        if open.stage == Stage::Subscribing {
            let hello = Said::Hello { question: open.serial };
            match self.network.ask(id, &open.topic, &hello, now) {
                Some(0) | None => self.load(node, doc),
                Some(nodes) => open.stage = Stage::Asking(nodes),
            }
        }
    }

    pub(crate) fn waited(&mut self, node: usize, doc: usize, serial: u64) {
        let is_waiting = self.nodes[node].open.get(&doc).is_some_and(|open| {
            open.serial == serial && matches!(open.stage, Stage::Subscribing | Stage::Asking(_))
        });
        if is_waiting {
            self.load(node, doc);
        }
    }

    fn load(&mut self, node: usize, doc: usize) {
        let (latency, life) = (self.nodes[node].latency, self.nodes[node].life);
        let Some(open) = self.nodes[node].open.get_mut(&doc) else { return };
        open.stage = Stage::Loading;
        let serial = open.serial;
        self.after(latency, Happening::Loaded { node, life, doc, serial });
    }

    pub(crate) fn loaded(&mut self, node: usize, doc: usize, serial: u64) {
        let stored = self.store.load(&self.docs[doc]).expect("it is in memory");
        let Some(open) = self.nodes[node].open.get_mut(&doc).filter(|open| open.serial == serial) else {
            return;
        };
        open.stage = Stage::Live;
        if let Some(stored) = stored {
            let updates: Vec<_> = stored.snapshot.into_iter().chain(stored.updates).collect();
            let updates: Vec<_> =
                updates.into_iter().map(|bytes| Update::parse(bytes).expect("an update")).collect();
            open.room.load(&updates);
            open.gossip = quire_relay::Gossip::new(stored.epoch.0, stored.seq.0);
        }
        let early = std::mem::take(&mut open.early);
        for what in early {
            self.bring(node, doc, what);
        }
        self.settle(node, doc);
    }

    /// Something for a document comes: it is handled, or waits until the document is loaded.
    fn bring(&mut self, node: usize, doc: usize, what: Early) {
        let now = self.now;
        let Some(open) = self.nodes[node].open.get_mut(&doc) else { return };
        if open.stage != Stage::Live {
            return open.early.push(what);
        }
        match what {
            Early::Joined { session } => {
                open.room.handle_connect(session, SessionSetup::anonymous(Access::Write), now);
            }
            Early::Said { session, message } => open.room.handle_message(session, message, now),
            Early::Left { session } => open.room.handle_disconnect(session, now),
            Early::Heard { from, message } => open.gossip.heard(&mut open.room, from, message, now),
            Early::Missed => open.gossip.missed(now),
        }
        self.settle(node, doc);
    }

    /// A batch ends: what has come of it is carried out.
    fn settle(&mut self, node: usize, doc: usize) {
        let now = self.now;
        self.carry_out(node, doc);
        let Some(open) = self.nodes[node].open.get_mut(&doc) else { return };
        if open.room.poll_timeout().is_some_and(|at| at <= now) {
            open.room.handle_timeout(now);
        }
        open.room.flush(now);
        self.carry_out(node, doc);
        let (id, life, latency) = (self.nodes[node].id, self.nodes[node].life, self.nodes[node].latency);
        let (Some(open), Some(id)) = (self.nodes[node].open.get_mut(&doc), id) else { return };
        open.gossip.flushed(&open.room, now);
        while let Some(message) = open.gossip.poll_message() {
            self.network.publish(id, &open.topic, &message, now);
        }
        let serial = open.serial;
        let read = open.gossip.poll_read(now);
        let idle = (open.room.sessions() == 0).then_some(now + IDLE);
        let wake = [open.room.poll_timeout(), open.gossip.wake(), idle].into_iter().flatten().min();
        let wake = wake.filter(|wake| open.wake != Some(*wake));
        open.wake = wake.or(open.wake);
        if let Some(wake) = wake {
            self.at(wake.max(now), Happening::Wake { node, life, doc, serial });
        }
        if let Some(after) = read {
            self.after(latency, Happening::Read { node, life, doc, serial, after });
        }
        self.commit(node);
    }

    fn carry_out(&mut self, node: usize, doc: usize) {
        let now = self.now;
        while let Some(open) = self.nodes[node].open.get_mut(&doc)
            && let Some(output) = open.room.poll_output()
        {
            open.gossip.note(&output);
            match output {
                Output::Append { ticket, update } => open.waiting.push_back((ticket, update)),
                Output::Transmit { to: To::One(session), message } => self.tell(node, session, &message),
                Output::Transmit { to: To::Many(sessions), message } => {
                    for session in sessions {
                        self.tell(node, session, &message);
                    }
                }
                Output::Part { to, message } => {
                    open.room.handle_drained(to, now);
                    self.tell(node, to, &message);
                }
                Output::PublishPresence(_)
                | Output::Announce(_)
                | Output::Broadcast { .. }
                | Output::Presence(_)
                | Output::Event(_) => {}
            }
        }
    }

    pub(crate) fn wake(&mut self, node: usize, doc: usize, serial: u64) {
        let now = self.now;
        let is_committing =
            self.nodes[node].committing.as_ref().is_some_and(|batch| batch.contains_key(&doc));
        let Some(open) = self.nodes[node].open.get_mut(&doc).filter(|open| open.serial == serial) else {
            return;
        };
        if open.stage != Stage::Live {
            return;
        }
        let is_due = open.wake.is_some_and(|wake| wake <= now);
        if is_due {
            open.wake = None;
        }
        let is_idle = open.room.sessions() == 0 && open.waiting.is_empty() && !is_committing;
        if is_idle && is_due {
            let topic = open.topic.clone();
            self.nodes[node].open.remove(&doc);
            if let Some(id) = self.nodes[node].id {
                self.network.unsubscribe(id, &topic);
            }
            return;
        }
        self.settle(node, doc);
    }

    // --- The store ---

    fn commit(&mut self, node: usize) {
        if self.nodes[node].committing.is_some() {
            return;
        }
        let mut batch = Commit::new();
        for (doc, open) in &mut self.nodes[node].open {
            if !open.waiting.is_empty() {
                batch.insert(*doc, open.waiting.drain(..).collect());
            }
        }
        if !batch.is_empty() {
            let wait = self.nodes[node].latency + self.dice.ms(0, 10);
            let life = self.nodes[node].life;
            self.nodes[node].committing = Some(batch);
            self.after(wait, Happening::Committed { node, life });
        }
    }

    pub(crate) fn committed(&mut self, node: usize) {
        let Some(batch) = self.nodes[node].committing.take() else { return };
        if self.nodes[node].fails {
            // It is not known whether anything has been stored.
            if self.dice.percent(50) {
                self.append(&batch);
            }
            let life = self.nodes[node].life;
            self.nodes[node].committing = Some(batch);
            let wait = self.dice.ms(50, 400);
            return self.after(wait, Happening::Committed { node, life });
        }
        let seqs = self.append(&batch);
        for (doc, updates) in batch {
            let now = self.now;
            if let (Some(open), Some((ticket, _)), Some(seq)) =
                (self.nodes[node].open.get_mut(&doc), updates.last(), seqs.get(&doc))
            {
                open.room.handle_stored(*ticket, now);
                open.gossip.stored(&mut open.room, *ticket, *seq, now);
                self.settle(node, doc);
            }
        }
        self.commit(node);
    }

    pub(crate) fn read(&mut self, node: usize, doc: usize, serial: u64, after: u64) {
        let now = self.now;
        let read = if self.nodes[node].fails {
            Read::Failed
        } else {
            match self.store.tail(&self.docs[doc], Epoch::FIRST, Seq(after)) {
                Ok(tail) => Read::Parts {
                    seq: tail.seq.0,
                    parts: tail
                        .parts
                        .into_iter()
                        .map(|part| Update::parse(part).expect("an update"))
                        .collect(),
                },
                // Nobody has written anything yet.
                Err(_) => Read::Parts { seq: after, parts: Vec::new() },
            }
        };
        let Some(open) = self.nodes[node].open.get_mut(&doc).filter(|open| open.serial == serial) else {
            return;
        };
        open.gossip.read(&mut open.room, read, now);
        self.settle(node, doc);
    }

    pub(crate) fn begin_checks(&mut self, node: usize) {
        let life = self.nodes[node].life;
        self.after(Duration::from_secs(5), Happening::Check { node, life });
    }

    /// Looks how far the store is.
    pub(crate) fn look(&mut self, node: usize) {
        let now = self.now;
        let docs: Vec<_> = self.nodes[node]
            .open
            .iter()
            .filter(|(_, open)| open.stage == Stage::Live)
            .map(|(doc, _)| *doc)
            .collect();
        for doc in docs {
            let info = self.store.info(&self.docs[doc]).expect("it is in memory");
            let Some(open) = self.nodes[node].open.get_mut(&doc) else { continue };
            open.gossip.head(info.map(|info| (info.epoch.0, info.seq.0)), now);
            self.settle(node, doc);
        }
        let is_apart = self.nodes[node].id.is_some_and(|id| self.network.state(id) != State::Connected);
        let (wait, life) = (if is_apart { 1 } else { 5 }, self.nodes[node].life);
        self.after(Duration::from_secs(wait), Happening::Check { node, life });
    }
}
