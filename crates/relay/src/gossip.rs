//! One document's part in the cluster, as a pure state machine beside its room.
//!
//! The driver of a [`Room`] tells it what the room gave out, what the store has stored and what other nodes have said, and after
//! each batch of that takes what is to be published ([`Gossip::poll_message`]) and whether the log is to be read
//! ([`Gossip::poll_read`]). What other nodes have stored goes into the room from here.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use bytes::Bytes;
use quire_sync_protocol::{NodeId, Output, Room, Ticket, Update};

use crate::follower::Follower;
use crate::message::Message;
use crate::outgoing::Outgoing;

/// The number of a question whose answers nobody waits for.
pub const NOBODY_WAITS: u64 = 0;

/// The most questions that wait for edits to be stored. Who asked gets no answer to more, and waits no longer than it would for them.
const QUESTIONS: usize = 64;

/// How long after it has asked who is present a node does not ask again, whatever it misses: answers can be missed, too.
const ASK_AGAIN: Duration = Duration::from_secs(2);

/// What became of a read of the log.
#[derive(Debug)]
pub enum Read {
    /// These updates, in this order, hold everything from where the read began up to `seq`.
    Parts {
        /// The seq.
        seq: u64,
        /// The updates.
        parts: Vec<Update>,
    },
    /// The store could not be read. It is tried again.
    Failed,
}

/// The document's part in the cluster, from the moment it is loaded.
#[derive(Debug)]
pub struct Gossip {
    epoch: u64,
    follower: Follower,
    outgoing: Outgoing,
    /// The last append.
    appended: Ticket,
    /// The last append that is stored.
    stored: Ticket,
    /// Who has asked what, and the append that is to be stored before the answer.
    questions: VecDeque<(Ticket, NodeId, u64)>,
    /// Questions of the present batch.
    asked: Vec<(NodeId, u64)>,
    messages: VecDeque<Message>,
    /// From when on it may be asked again who is present.
    ask_at: Option<Instant>,
    /// It is to be asked.
    is_unsure: bool,
}

impl Gossip {
    /// The document was loaded, in this epoch and as of this seq.
    pub fn new(epoch: u64, seq: u64) -> Self {
        Self {
            epoch,
            follower: Follower::new(seq),
            outgoing: Outgoing::default(),
            appended: Ticket::default(),
            stored: Ticket::default(),
            questions: VecDeque::new(),
            asked: Vec::new(),
            messages: VecDeque::new(),
            ask_at: None,
            is_unsure: false,
        }
    }

    /// The seq up to which nothing lacks.
    pub fn reached(&self) -> u64 {
        self.follower.reached()
    }

    /// The room gave this out. What concerns other nodes is noted; the driver carries out the rest.
    pub fn note(&mut self, output: &Output) {
        match output {
            Output::Append { ticket, update } => {
                self.appended = *ticket;
                self.outgoing.appended(*ticket, update.bytes().clone());
            }
            Output::PublishPresence(entries) => self.messages.push_back(Message::Presence(entries.clone())),
            Output::Announce(ids) => self.messages.push_back(Message::Announce(ids.clone())),
            Output::Broadcast { from, text, is_ours: true } => {
                self.messages.push_back(Message::Broadcast { from: from.clone(), text: text.clone() });
            }
            Output::Broadcast { is_ours: false, .. }
            | Output::Transmit { .. }
            | Output::Part { .. }
            | Output::Presence(_)
            | Output::Event(_) => {}
        }
    }

    /// Everything up to this ticket is stored, the last of it at this seq and the rest right before it. Says whether the room was given
    /// what others have stored, which had waited for this.
    pub fn stored(&mut self, room: &mut Room, ticket: Ticket, seq: u64, now: Instant) -> bool {
        self.stored = ticket;
        let Some((message, first, last)) = self.outgoing.stored(ticket, self.epoch, seq) else {
            return false;
        };
        self.messages.push_back(message);
        let ready = self.follower.stored(first, last, now);
        take(room, &ready, now);
        !ready.is_empty()
    }

    /// Another node has said something about the document.
    pub fn heard(&mut self, room: &mut Room, from: NodeId, message: Message, now: Instant) {
        match message {
            Message::Edits { epoch, first, last, updates } => {
                if epoch == self.epoch {
                    let ready = self.follower.heard(first, last, updates, now);
                    take(room, &ready, now);
                } else if epoch > self.epoch {
                    // The store says what has become of this one.
                    self.follower.missed(now);
                }
            }
            Message::Presence(entries) => room.handle_node_presence(from, &entries, now),
            Message::Announce(ids) => room.handle_announce(&ids, now),
            Message::Broadcast { from, text } => room.handle_node_broadcast(from, text, now),
            Message::Hello { question } => {
                self.tell_presence(room);
                if question != NOBODY_WAITS {
                    self.asked.push((from, question));
                }
            }
            Message::Ended { epoch } if epoch >= self.epoch => self.follower.missed(now),
            // What is over already, and what concerns no document or no open one.
            Message::Ended { .. }
            | Message::Settled { .. }
            | Message::Rung { .. }
            | Message::Revoked
            | Message::Alive { .. }
            | Message::Question { .. }
            | Message::Answer { .. } => {}
        }
    }

    /// Something may have been missed: of the log, which is read, and of presence, which is asked for and told anew.
    pub fn missed(&mut self, now: Instant) {
        self.follower.missed(now);
        self.is_unsure = true;
    }

    fn tell_presence(&mut self, room: &Room) {
        let present = room.presence_here();
        if !present.is_empty() {
            self.messages.push_back(Message::Presence(present));
        }
    }

    /// The store has the document at this epoch, up to this seq; `None`: it has none of this name.
    pub fn head(&mut self, head: Option<(u64, u64)>, now: Instant) {
        match head {
            Some((epoch, seq)) if epoch == self.epoch => self.follower.head(seq, now),
            // Not before there was something to be stored.
            None if self.reached() == 0 => {}
            Some(_) | None => self.follower.missed(now),
        }
    }

    /// A batch ends and the room was flushed: questions are answered when what the room has appended by now is stored. Says whether the
    /// store should hurry.
    pub fn flushed(&mut self, room: &Room, now: Instant) -> bool {
        if self.is_unsure && self.ask_at.is_none_or(|at| at <= now) {
            self.is_unsure = false;
            self.ask_at = Some(now + ASK_AGAIN);
            self.messages.push_back(Message::Hello { question: NOBODY_WAITS });
            self.tell_presence(room);
        }
        let appended = self.appended;
        self.questions.extend(self.asked.drain(..).map(|(node, question)| (appended, node, question)));
        self.questions.truncate(QUESTIONS);
        while let Some((ticket, to, question)) = self.questions.front().copied()
            && ticket <= self.stored
        {
            self.questions.pop_front();
            self.messages.push_back(Message::Settled { to, question });
        }
        !self.questions.is_empty()
    }

    /// What is to be published on the document's topic next.
    pub fn poll_message(&mut self) -> Option<Message> {
        let next = self.messages.pop_front();
        if self.messages.is_empty() {
            // A document is quiet for most of its life, and then keeps no room for more.
            self.messages = VecDeque::new();
        }
        next
    }

    /// Whether the log is to be read now, and behind which seq. It ends with [`Self::read`].
    pub fn poll_read(&mut self, now: Instant) -> Option<u64> {
        self.follower.poll_read(now)
    }

    /// The log was read.
    pub fn read(&mut self, room: &mut Room, read: Read, now: Instant) {
        let up_to = match read {
            Read::Parts { seq, parts } => {
                for part in &parts {
                    room.handle_node_update(part, now);
                }
                Some(seq)
            }
            Read::Failed => None,
        };
        let ready = self.follower.read(up_to, now);
        take(room, &ready, now);
    }

    /// When [`Self::flushed`] and [`Self::poll_read`] are to be called.
    pub fn wake(&self) -> Option<Instant> {
        let ask_at = self.ask_at.filter(|_| self.is_unsure);
        [self.follower.wake(), ask_at].into_iter().flatten().min()
    }
}

/// Takes updates that other nodes have stored. One that is none is left out, as it would be by whoever loads the document.
fn take(room: &mut Room, updates: &[Bytes], now: Instant) {
    for update in updates {
        match Update::parse(update.clone()) {
            Ok(update) => room.handle_node_update(&update, now),
            Err(error) => tracing::error!(%error, "another node has told of something that is no update"),
        }
    }
}
