//! What a node will tell the others when it is stored.

use std::collections::VecDeque;

use bytes::Bytes;
use quire_sync_protocol::Ticket;

use crate::message::Message;

/// The most bytes of updates in one message. More is only announced, and read from the store by those who want it.
pub const EDITS_BYTES: usize = 512 << 10;

/// Updates of one document that this node has handed to its store, in the order of their tickets.
///
/// Others hear of them only when they are stored: so nothing that they build on them can be stored before.
#[derive(Debug, Default)]
pub struct Outgoing {
    waiting: VecDeque<(Ticket, Bytes)>,
}

impl Outgoing {
    /// Handed to the store.
    pub fn appended(&mut self, ticket: Ticket, update: Bytes) {
        self.waiting.push_back((ticket, update));
    }

    /// Everything up to this ticket is stored, the last of it at this seq, and the others right before it. Gives what the others are to be
    /// told: the message, with its first and last seq.
    pub fn stored(&mut self, ticket: Ticket, epoch: u64, last: u64) -> Option<(Message, u64, u64)> {
        let count = self.waiting.iter().take_while(|(waiting, _)| *waiting <= ticket).count();
        let updates: Vec<_> = self.waiting.drain(..count).map(|(_, update)| update).collect();
        if self.waiting.is_empty() {
            // A document is quiet for most of its life, and then keeps no room for more.
            self.waiting = VecDeque::new();
        }
        let first = last.checked_sub(updates.len() as u64)?.checked_add(1)?;
        if updates.is_empty() {
            return None;
        }
        let bytes: usize = updates.iter().map(Bytes::len).sum();
        let updates = if bytes > EDITS_BYTES { Vec::new() } else { updates };
        Some((Message::Edits { epoch, first, last, updates }, first, last))
    }

    /// Nothing that waits will be stored any more.
    pub fn clear(&mut self) {
        self.waiting = VecDeque::new();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_commit_is_one_message() {
        let mut outgoing = Outgoing::default();
        for ticket in 1..=3 {
            outgoing.appended(Ticket(ticket), Bytes::from(vec![u8::try_from(ticket).unwrap()]));
        }
        let updates = vec![Bytes::from_static(&[1]), Bytes::from_static(&[2])];
        let message = Message::Edits { epoch: 1, first: 8, last: 9, updates };
        assert_eq!(outgoing.stored(Ticket(2), 1, 9), Some((message, 8, 9)));
        assert_eq!(outgoing.stored(Ticket(2), 1, 9), None);
        let message =
            Message::Edits { epoch: 1, first: 12, last: 12, updates: vec![Bytes::from_static(&[3])] };
        assert_eq!(outgoing.stored(Ticket(3), 1, 12), Some((message, 12, 12)));
    }

    #[test]
    fn what_is_too_large_is_announced() {
        let mut outgoing = Outgoing::default();
        outgoing.appended(Ticket(1), Bytes::from(vec![0; EDITS_BYTES + 1]));
        let message = Message::Edits { epoch: 2, first: 1, last: 1, updates: Vec::new() };
        assert_eq!(outgoing.stored(Ticket(1), 2, 1), Some((message, 1, 1)));
    }
}
