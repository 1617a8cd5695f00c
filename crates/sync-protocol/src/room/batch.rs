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
}

impl Source {
    /// The session that waits to get it back.
    pub(super) fn session(self) -> Option<SessionId> {
        match self {
            Self::Session(session) | Self::Answer(session) => Some(session),
            Self::Server => None,
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
    /// All of it, where some was known: it is this that a sender waits to get back.
    sent: Option<Vec<Update>>,
}

impl Batch {
    pub(super) fn is_empty(&self) -> bool {
        self.groups.is_empty()
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

    pub(super) fn add(&mut self, source: Source, delta: Update, sent: &Update) {
        let partial = delta != *sent;
        let known = self.groups.iter().position(|group| group.source == source);
        let at = known.unwrap_or_else(|| {
            self.groups.push(Group { source, deltas: Vec::new(), sent: None });
            self.groups.len() - 1
        });
        let Some(group) = self.groups.get_mut(at) else { return };
        if partial && group.sent.is_none() {
            group.sent = Some(group.deltas.clone());
        }
        if let Some(all) = &mut group.sent {
            all.push(sent.clone());
        }
        group.deltas.push(delta);
    }
}

impl Room {
    /// Ends a batch: what is new is merged and goes out once, to the store, to the other sessions and to the other
    /// nodes. Everybody gets an edit at once but its sender, who gets it when it is stored; and an answer when it is stored.
    pub fn flush(&mut self, _now: Instant) {
        let groups = std::mem::take(&mut self.batch.groups);
        let mut deltas = Vec::with_capacity(groups.len());
        let mut sent = Vec::with_capacity(groups.len());
        for group in groups {
            let delta = merge(group.deltas);
            sent.push((group.source, group.sent.map_or_else(|| delta.clone(), merge)));
            deltas.push((group.source, delta));
        }
        if let Some(all) = merge_all(&deltas) {
            let ticket = self.confirmations.appended(sent);
            self.outputs.push_back(Output::Append { ticket, update: all.clone() });
            let mut edits = Vec::with_capacity(deltas.len());
            for (source, delta) in deltas {
                match source {
                    Source::Answer(session) => self.confirmations.hold(ticket, session, delta),
                    Source::Session(_) | Source::Server => edits.push((source, delta)),
                }
            }
            if let Some(merged) = merge_all(&edits) {
                self.spread(&edits, &merged);
            }
            self.outputs.push_back(Output::Publish { update: all });
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

fn merge_all(deltas: &[(Source, Update)]) -> Option<Update> {
    match deltas {
        [] => None,
        [(_, only)] => Some(only.clone()),
        several => Some(merge(several.iter().map(|(_, delta)| delta.clone()).collect())),
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
