//! A document's dealings with other nodes.

use std::time::Instant;

use bytes::Bytes;
use quire_persistence::{Epoch, Seq};
use quire_relay::{Gossip, Message, NodeId, Read};
use quire_sync_protocol::Room;

use super::{Command, Counters, Desk};
use crate::cluster::Member;
use crate::doc::mailbox::TailRead;

/// A document's part in a cluster.
#[derive(Debug)]
pub(crate) struct Part {
    pub(super) member: Member,
    pub(super) gossip: Gossip,
    /// The store no longer has the document.
    is_deleted: bool,
}

impl Part {
    pub(super) fn new(member: Member) -> Self {
        Self { member, gossip: Gossip::new(Epoch::FIRST.0, 0), is_deleted: false }
    }

    /// A room was loaded.
    pub(super) fn restart(&mut self, epoch: Epoch, seq: Option<Seq>) {
        self.gossip = Gossip::new(epoch.0, seq.unwrap_or_default().0);
        self.is_deleted = false;
    }
}

impl Desk {
    /// The document's membership in a cluster, if there is one.
    pub(crate) fn member(&self) -> Option<&Member> {
        self.part.as_ref().map(|part| &part.member)
    }

    /// Whether another node has deleted the document.
    pub(crate) fn is_deleted_elsewhere(&self) -> bool {
        self.part.as_ref().is_some_and(|part| part.is_deleted)
    }

    /// The document has been deleted: other nodes are told.
    pub(crate) fn tell_deleted(&self) {
        if let Some(part) = &self.part {
            part.member.publish(&Message::Ended { epoch: self.ledger.epoch().0 });
        }
    }

    pub(super) fn hear(&mut self, room: &mut Room, from: NodeId, message: Message, now: Instant) {
        let Some(part) = &mut self.part else { return };
        let is_content = match &message {
            Message::Edits { updates, .. } => {
                self.ledger.grew(updates.iter().map(Bytes::len).sum());
                true
            }
            _ => false,
        };
        part.gossip.heard(room, from, message, now);
        // Who watches the content does not care who comes and goes.
        if is_content {
            self.note_change();
        }
    }

    pub(super) fn miss(&mut self, now: Instant) {
        let Some(part) = &mut self.part else { return };
        part.member.note_missed();
        part.gossip.missed(now);
    }

    pub(super) fn take_read(&mut self, room: &mut Room, read: TailRead, now: Instant) {
        let Some(part) = &mut self.part else { return };
        let has_content = read.bytes() > 0;
        let read = match read {
            TailRead::Tail { seq, parts } => {
                self.ledger.grew(parts.iter().map(|part| part.bytes().len()).sum());
                Read::Parts { seq: seq.0, parts }
            }
            TailRead::Failed => Read::Failed,
            TailRead::Deleted => {
                part.is_deleted = true;
                return;
            }
            TailRead::OtherEpoch(epoch) => return self.ledger.outdated(epoch),
        };
        part.gossip.read(room, read, now);
        if has_content {
            self.note_change();
        }
    }

    /// A batch is done: other nodes are told what has come of it, and the log is read if something lacks.
    pub(super) fn tell_nodes(&mut self, room: &Room, now: Instant) {
        let Some(part) = &mut self.part else { return };
        if part.gossip.flushed(room, now) {
            self.ledger.hurry();
        }
        while let Some(message) = part.gossip.poll_message() {
            part.member.publish(&message);
        }
        part.member.reached(self.ledger.epoch().0, part.gossip.reached());
        if let Some(after) = part.gossip.poll_read(now) {
            Counters::add(&self.shared.counters.tail_reads, 1);
            let (reader, mailbox) = (self.shared.reader.clone(), self.mailbox.clone());
            let (doc, epoch) = (self.doc.clone(), self.ledger.epoch());
            tokio::spawn(async move {
                let read = reader.tail(doc, epoch, Seq(after)).await;
                // A task that is gone needs none.
                let _ = mailbox.send(Command::Read(read));
            });
        }
    }
}
