//! What a document task does between two awaits: a batch of commands goes into the room, what comes out is carried out.
//!
//! A batch is what is queued, within a budget, so that a burst of typing becomes one append, one encoding and one
//! message to each reader. While too much waits for the store, commands that bring content are put aside, in order,
//! together with the mailbox space they hold, so that their senders wait; all else goes on.

mod cluster;
mod events;
mod without_room;

use std::collections::VecDeque;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Instant;

use quire_persistence::{Epoch, Seq};
use quire_sync_protocol::{DocId, Message, Output, Room, RoomEvent, SessionId, To};
use tokio::sync::{oneshot, watch};

use self::cluster::Part;
use super::counters::Counters;
use super::directory::Shared;
use super::error::{ChangeError, CloseReason, JoinError};
use super::fanout::Fanout;
use super::handle::Seat;
use super::ledger::Ledger;
use super::mailbox::{Command, Mailbox};
use super::queue::Receiver;
use super::size::Size;
use crate::presence::Board;
use crate::shards::Shard;
use crate::store::writer::Written;

/// Commands that are handled together.
#[derive(Debug, Default)]
pub(crate) struct Batch {
    commands: Vec<Command>,
    /// Those that bring content are put aside.
    is_gated: bool,
}

impl Batch {
    /// One command that waits for nothing.
    pub(crate) fn of(command: Command) -> Self {
        Self { commands: vec![command], is_gated: false }
    }

    pub(crate) fn len(&self) -> usize {
        self.commands.len()
    }
}

/// All that a document task has beside its room; a room that met an error of ours leaves it whole.
#[derive(Debug)]
pub(crate) struct Desk {
    shared: Arc<Shared>,
    doc: DocId,
    mailbox: Mailbox,
    /// Where the task runs.
    shard: Shard,
    fanout: Fanout,
    ledger: Ledger,
    /// Where it stands who is there.
    board: Board,
    size: Size,
    /// Commands put aside. Those that bring content hold mailbox space, the others' senders wait or are gone.
    aside: VecDeque<Command>,
    /// Who has asked for the document to be deleted.
    deletions: Vec<oneshot::Sender<Result<(), ChangeError>>>,
    /// Counts the changes of the present room's content, once somebody has asked to watch it: it takes half a kilobyte.
    changes: Option<watch::Sender<u64>>,
    /// The document's part in a cluster.
    part: Option<Box<Part>>,
}

impl Desk {
    pub(crate) fn new(shared: &Arc<Shared>, doc: &DocId, mailbox: Mailbox, shard: Shard) -> Self {
        let member = shared.cluster.as_ref().map(|cluster| cluster.member(doc, &mailbox));
        let report = mailbox.clone();
        let log = shared.writer.log(doc.clone(), shard.index(), move |written| {
            // A task that is gone waits for nothing.
            let _ = report.send(match written {
                Written::Durable(durable) => Command::Durable(durable),
                Written::Failed => Command::Unstored,
                Written::Outdated(epoch) => Command::Outdated(epoch),
            });
        });
        Self {
            doc: doc.clone(),
            mailbox,
            shard,
            fanout: Fanout::new(shared.config.outbox_bytes, Arc::clone(&shared.counters)),
            ledger: Ledger::new(log),
            board: Board::new(&shared.whereabouts, doc),
            size: Size::new(Arc::clone(shared)),
            aside: VecDeque::new(),
            deletions: Vec::new(),
            changes: None,
            part: member.map(|member| Box::new(Part::new(member))),
            shared: Arc::clone(shared),
        }
    }

    /// A room was loaded, from this many updates. If they may be many or large for a log, the compactor has a look: the
    /// document may have been stored by a life that did not come to it.
    pub(crate) fn restart(&mut self, epoch: Epoch, seq: Option<Seq>, bytes: usize, updates: usize) {
        self.ledger.restart(epoch, seq, bytes);
        self.size.restart();
        if let Some(part) = &mut self.part {
            part.restart(epoch, seq);
        }
        let policy = &self.shared.config.compaction;
        if updates as u64 > policy.updates || updates > 1 && bytes as u64 > policy.bytes {
            self.shared.compactor.ask(&self.doc);
        }
    }

    /// Waits for commands.
    pub(crate) fn poll_batch(&mut self, cx: &mut Context<'_>, queue: &mut Receiver<Command>) -> Poll<Batch> {
        let waits = queue.poll_waiting(cx).is_ready();
        if !waits && self.aside.is_empty() {
            return Poll::Pending;
        }
        let batch = self.waiting_batch(queue);
        if batch.commands.is_empty() { Poll::Pending } else { Poll::Ready(batch) }
    }

    /// What waits right now, within the budget.
    pub(crate) fn waiting_batch(&mut self, queue: &mut Receiver<Command>) -> Batch {
        let config = &self.shared.config;
        let is_gated = self.ledger.is_full(config.unsaved_bytes, config.unsaved_bytes_of_all);
        let (mut bytes, mut messages) = (0, 0);
        // Mostly it is one.
        let mut commands = Vec::with_capacity(1);
        while commands.is_empty() || bytes < config.batch_bytes && messages < config.batch_messages {
            let put_aside = if is_gated { None } else { self.aside.pop_front() };
            let Some(command) = put_aside.or_else(|| queue.try_recv()) else { break };
            bytes += command.content_bytes();
            messages += command.message_count();
            commands.push(command);
        }
        Batch { commands, is_gated }
    }

    /// About how many bytes the room will touch for this batch.
    pub(crate) fn weight(&self, batch: &Batch) -> usize {
        let whole = |command: &Command| match command {
            Command::Join { .. } | Command::Written { .. } | Command::Snapshot { .. } => self.ledger.bytes(),
            Command::Deliver { messages, .. } => {
                let asks = messages.iter().any(|message| matches!(message, Message::SyncStep1(_)));
                if asks { self.ledger.bytes() } else { 0 }
            }
            Command::Read(read) => read.bytes(),
            Command::Rights { .. }
            | Command::Leave { .. }
            | Command::Apply { .. }
            | Command::Broadcast { .. }
            | Command::Changes { .. }
            | Command::Made
            | Command::Delete { .. }
            | Command::Durable(_)
            | Command::Unstored
            | Command::Outdated(_)
            | Command::Heard { .. }
            | Command::Missed
            | Command::Head(_) => 0,
        };
        batch.commands.iter().map(|command| command.content_bytes() + whole(command)).sum()
    }

    /// Puts a batch into the room and carries out what comes out.
    pub(crate) fn process(&mut self, room: &mut Room, batch: Batch, now: Instant) {
        Counters::add(&self.shared.counters.batches, 1);
        for command in batch.commands {
            if batch.is_gated && command.brings_content() {
                self.aside.push_back(command);
            } else {
                self.handle(room, command, now);
                self.carry_out(room, now);
            }
        }
        if room.poll_timeout().is_some_and(|at| at <= now) {
            room.handle_timeout(now);
            self.carry_out(room, now);
        }
        room.flush(now);
        self.carry_out(room, now);
        self.board.tick(now);
        self.size.watch(&mut self.ledger, room, now);
        self.carry_out(room, now);
        self.ledger.flushed();
        self.tell_nodes(room, now);
        if self.ledger.take_compaction(now) {
            self.shared.compactor.ask(&self.doc);
        }
    }

    fn handle(&mut self, room: &mut Room, command: Command, now: Instant) {
        match command {
            Command::Join { setup, reply } => {
                let session = self.shared.next_session();
                tracing::debug!(doc = %self.doc, %session, access = ?setup.access, "joined");
                Counters::add(&self.shared.counters.joins, 1);
                let outbox = self.fanout.add(session, setup.dialect.clone());
                room.handle_connect(session, setup, now);
                // A seat whose caller has gone is dropped here, and so leaves.
                let shard = self.shared.shards.for_editor(&self.shard, self.fanout.len());
                let _ = reply.send(Ok(Seat::new(session, outbox, self.mailbox.clone(), shard)));
            }
            Command::Deliver { session, messages, space: _space } => {
                #[cfg(test)]
                super::tests::break_if_asked(&messages);
                if self.fanout.contains(session) {
                    Counters::add(&self.shared.counters.messages, messages.len());
                    for message in messages {
                        room.handle_message(session, message, now);
                        self.carry_out(room, now);
                    }
                }
            }
            Command::Written { session } => {
                if self.fanout.contains(session) {
                    room.handle_drained(session, now);
                }
            }
            Command::Rights { session, access, presence } => {
                if self.fanout.contains(session) {
                    tracing::debug!(doc = %self.doc, %session, ?access, presence, "other rights");
                    room.handle_rights(session, access, presence, now);
                }
            }
            Command::Leave { session, done } => {
                if self.fanout.remove(session) {
                    tracing::debug!(doc = %self.doc, %session, "left");
                    room.handle_disconnect(session, now);
                    self.carry_out(room, now);
                }
                if let Some(done) = done {
                    // The caller may have gone.
                    let _ = done.send(());
                }
            }
            Command::Apply { update, space: _space, reply } => {
                if room.is_of_dead_epoch(&update) {
                    // The caller may have gone.
                    let _ = reply.send(Err(JoinError::DeadEpoch));
                    return;
                }
                if room.is_full_for(&update) {
                    Counters::add(&self.shared.counters.edits_refused, 1);
                    // The caller may have gone.
                    let _ = reply.send(Err(JoinError::Full));
                    return;
                }
                let ticket = room.handle_update(&update, now);
                self.ledger.wait(ticket, reply);
            }
            Command::Snapshot { known, reply } => {
                let is_known = self.ledger.is_known();
                // The caller may have gone.
                let _ = reply.send(is_known.then(|| room.replica().diff(&known)));
            }
            Command::Broadcast { text, reply } => {
                // The caller may have gone.
                let _ = reply.send(room.handle_broadcast(text, now));
            }
            Command::Changes { reply } => {
                let changes = self.changes.get_or_insert_with(|| watch::Sender::new(0));
                // The caller may have gone.
                let _ = reply.send(changes.subscribe());
            }
            Command::Made => self.ledger.note_stored(),
            Command::Delete { reply } => self.deletions.push(reply),
            Command::Durable(durable) => {
                self.ledger.settle(durable);
                room.handle_stored(durable.ticket, now);
                if let Some(part) = &mut self.part
                    && part.gossip.stored(room, durable.ticket, durable.seq.0, now)
                {
                    self.note_change();
                }
            }
            Command::Unstored => room.handle_unstored(),
            Command::Outdated(epoch) => self.ledger.outdated(epoch),
            Command::Heard { from, message, space: _space } => self.hear(room, from, message, now),
            Command::Missed => self.miss(now),
            Command::Head(head) => {
                if let Some(part) = &mut self.part {
                    part.gossip.head(head, now);
                }
            }
            Command::Read(read) => self.take_read(room, read, now),
        }
    }

    fn carry_out(&mut self, room: &mut Room, now: Instant) {
        while let Some(output) = room.poll_output() {
            if let Some(part) = &mut self.part {
                part.gossip.note(&output);
            }
            match output {
                Output::Append { ticket, update } => {
                    self.ledger.append(ticket, &update, now + self.shared.config.compaction.after);
                    self.note_change();
                }
                Output::Transmit { to, message } => {
                    for (session, dropped) in self.fanout.send(&to, &message) {
                        self.lost(room, session, &dropped, now);
                    }
                }
                Output::Part { to, message } => {
                    let overflow = self.fanout.send(&To::One(to), &message);
                    match overflow.into_iter().next() {
                        Some((session, dropped)) => self.lost(room, session, &dropped, now),
                        None => self.await_drain(room, to, now),
                    }
                }
                // Noted above, if there are other nodes.
                Output::PublishPresence(_) | Output::Announce(_) => {}
                Output::Broadcast { from, text, is_ours: _ } => {
                    Counters::add(&self.shared.counters.broadcasts, 1);
                    self.shared.whereabouts.broadcast(&self.doc, from.as_deref(), &text);
                }
                Output::Presence(changes) => self.board.apply(&changes, now),
                Output::Event(RoomEvent::OfDeadEpoch(session)) => {
                    Counters::add(&self.shared.counters.edits_refused, 1);
                    tracing::warn!(doc = %self.doc, %session, "a client brings a deleted document of the same name");
                    if self.fanout.close(session, CloseReason::DeadEpoch) {
                        room.handle_disconnect(session, now);
                    }
                }
                Output::Event(event) => self.note(event),
            }
        }
    }

    /// Those who watch learn that the content has changed.
    fn note_change(&self) {
        if let Some(changes) = &self.changes {
            changes.send_modify(|count| *count += 1);
        }
    }

    /// A session's outbox was full and has been emptied.
    fn lost(&mut self, room: &mut Room, session: SessionId, dropped: &[Message], now: Instant) {
        room.handle_lost(session, dropped);
        self.await_drain(room, session, now);
    }

    fn await_drain(&mut self, room: &mut Room, session: SessionId, now: Instant) {
        if self.fanout.await_drain(session) {
            room.handle_drained(session, now);
        }
    }

    /// Ends all sessions and lets go of what the room took and did not hand on.
    pub(crate) fn end_sessions(&mut self, reason: CloseReason) {
        self.fanout.close_all(reason);
        match reason {
            CloseReason::Deleted => self.board.delete(),
            CloseReason::Restart
            | CloseReason::Rebuilding
            | CloseReason::Quarantined
            | CloseReason::DeadEpoch => self.board.clear(),
        }
        // Those who watch learn from its end that the room has ended.
        self.changes = None;
        self.ledger.abandon_rest();
        for command in std::mem::take(&mut self.aside) {
            self.defer(command);
        }
    }

    /// The document leaves memory.
    pub(crate) fn retire(&mut self) {
        if self.ledger.compaction_at().is_some() {
            self.shared.compactor.ask(&self.doc);
        }
    }

    /// Keeps a command for later: it comes after those that were put aside before.
    pub(crate) fn put_aside(&mut self, command: Command) {
        self.aside.push_back(command);
    }

    /// Whether somebody has asked for the document to be deleted.
    pub(crate) fn is_to_be_deleted(&self) -> bool {
        !self.deletions.is_empty()
    }

    /// Tells all who have asked for the deletion what came of it.
    pub(crate) fn answer_deletions(&mut self, outcome: &Result<(), ChangeError>) {
        for reply in self.deletions.drain(..) {
            // Who asked may have gone.
            let _ = reply.send(outcome.clone());
        }
    }

    /// Takes a command that was put aside, to turn it away.
    pub(crate) fn take_aside(&mut self) -> Option<Command> {
        self.aside.pop_front()
    }

    /// Whether no session is there.
    pub(crate) fn is_vacant(&self) -> bool {
        self.fanout.is_empty()
    }

    /// Whether commands are put aside.
    pub(crate) fn has_aside(&self) -> bool {
        !self.aside.is_empty()
    }

    /// Whether everything that came out of rooms is durable.
    pub(crate) fn is_settled(&self) -> bool {
        self.ledger.is_settled()
    }

    /// Whether the stored document has another history than the room.
    pub(crate) fn is_outdated(&self) -> bool {
        self.ledger.is_outdated()
    }

    /// When a batch is due without a command: to ask the compactor, to end somebody's typing, or to read what other nodes have stored.
    pub(crate) fn due(&self) -> Option<Instant> {
        let read = self.part.as_ref().and_then(|part| part.gossip.wake());
        [self.ledger.compaction_at(), self.board.wake(), read].into_iter().flatten().min()
    }
}
