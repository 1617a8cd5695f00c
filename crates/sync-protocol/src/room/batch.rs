//! What is new since the last flush, and its way out.

use std::time::Instant;

use super::{Output, Room};
use crate::id::SessionId;
use crate::replica::Replica;
use crate::update::Update;
use crate::wire::Message;

/// Where something new came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Source {
    /// A session, which gets it back when it is stored.
    Session(SessionId),
    /// A session's answer, which may hold what others have written and what a server before this one has lost. Not only its
    /// sender but everybody gets it when it is stored: to its author it says so.
    Answer(SessionId),
    /// The server itself.
    Server,
    /// Another node, which has stored it.
    Node,
}

impl Source {
    /// The session that waits to get it back.
    pub(super) fn session(self) -> Option<SessionId> {
        match self {
            Self::Session(session) | Self::Answer(session) => Some(session),
            Self::Server | Self::Node => None,
        }
    }
}

/// What is new since the last flush, by source in the order of first arrival.
#[derive(Debug, Default)]
pub(super) struct Batch {
    groups: Vec<Group>,
}

/// What one source brought.
#[derive(Debug)]
struct Group {
    source: Source,
    /// The new parts.
    deltas: Vec<Update>,
    /// Its sender waits to get it back.
    echoes: bool,
    /// All of it, where some was known: it is this that comes back.
    sent: Option<Vec<Update>>,
}

impl Batch {
    /// Whether there is nothing that is to be stored.
    pub(super) fn is_stored(&self) -> bool {
        self.groups.iter().all(|group| group.source == Source::Node)
    }

    /// What came from this session.
    pub(super) fn of(&self, session: SessionId) -> impl Iterator<Item = &Update> {
        let groups = self.groups.iter().filter(move |group| group.source.session() == Some(session));
        groups.flat_map(|group| &group.deltas)
    }

    /// What came in answers of other sessions.
    pub(super) fn answers_of_others(&self, session: SessionId) -> impl Iterator<Item = &Update> {
        let answers = self
            .groups
            .iter()
            .filter(move |group| matches!(group.source, Source::Answer(from) if from != session));
        answers.flat_map(|group| &group.deltas)
    }

    /// All of it.
    pub(super) fn deltas(&self) -> impl Iterator<Item = &Update> {
        self.groups.iter().flat_map(|group| &group.deltas)
    }

    /// Something new. `echo` is what its sender waits to get back.
    pub(super) fn add(&mut self, source: Source, delta: Update, echo: Option<&Update>) {
        let known = self.groups.iter().position(|group| group.source == source);
        let at = known.unwrap_or_else(|| {
            self.groups.push(Group { source, deltas: Vec::new(), echoes: echo.is_some(), sent: None });
            self.groups.len() - 1
        });
        let Some(group) = self.groups.get_mut(at) else { return };
        if let Some(echo) = echo {
            if delta != *echo && group.sent.is_none() {
                group.sent = Some(group.deltas.clone());
            }
            if let Some(all) = &mut group.sent {
                all.push(echo.clone());
            }
        }
        group.deltas.push(delta);
    }
}

impl Room {
    /// Ends a batch: what is new is merged and goes out once, to the store and to the other sessions. Everybody gets an edit at once but
    /// its sender, who gets it when it is stored; and an answer when it is stored. What other nodes have stored goes to the sessions alone.
    pub fn flush(&mut self, _now: Instant) {
        let groups = std::mem::take(&mut self.batch.groups);
        let mut unstored = Vec::with_capacity(groups.len());
        let mut edits = Vec::with_capacity(groups.len());
        let mut answers = Vec::new();
        let mut echoes = Vec::with_capacity(groups.len());
        for group in groups {
            let delta = merge(group.deltas);
            match group.source {
                Source::Session(session) | Source::Answer(session) if group.echoes => {
                    echoes.push((session, group.sent.map_or_else(|| delta.clone(), merge)));
                }
                Source::Session(_) | Source::Answer(_) | Source::Server | Source::Node => {}
            }
            match group.source {
                Source::Answer(session) => answers.push((session, delta.clone())),
                Source::Session(_) | Source::Server | Source::Node => {
                    edits.push((group.source, delta.clone()));
                }
            }
            if group.source != Source::Node {
                unstored.push(delta);
            }
        }
        if !unstored.is_empty() {
            let ticket = self.confirmations.appended(echoes);
            self.outputs.push_back(Output::Append { ticket, update: merge(unstored) });
            for (session, delta) in answers {
                self.confirmations.hold(ticket, session, delta);
            }
        }
        if !edits.is_empty() {
            let all = merge(edits.iter().map(|(_, delta)| delta.clone()).collect());
            self.spread(&edits, &all);
        }
        self.emit_presence();
    }

    /// Sessions that sent nothing get everything in one message; a sender gets what the others sent, one message
    /// each, and nothing of its own: that would tell it that its edit is stored.
    fn spread(&mut self, deltas: &[(Source, Update)], all: &Update) {
        let senders: Vec<_> = deltas.iter().filter_map(|(source, _)| source.session()).collect();
        self.broadcast(&senders, Message::Update(all.clone()));
        if deltas.len() == 1 {
            return;
        }
        for (source, delta) in deltas {
            let others = senders.iter().copied().filter(|sender| *source != Source::Session(*sender));
            let live =
                others.filter(|sender| self.sessions.get(sender).is_some_and(|session| session.is_live()));
            let to: Vec<_> = live.collect();
            if !to.is_empty() {
                let message = Message::Update(delta.clone());
                self.outputs.push_back(Output::Transmit { to: super::To::Many(to), message });
            }
        }
    }
}

/// One update that says what these say.
fn merge(mut updates: Vec<Update>) -> Update {
    if updates.len() > 1 {
        let mut all = Replica::new();
        for update in &updates {
            all.insert(update);
        }
        return all.encode();
    }
    updates.pop().unwrap_or(Update::empty())
}
