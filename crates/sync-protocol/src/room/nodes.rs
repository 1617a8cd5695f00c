//! What other nodes bring into a room, and what they are told of it.
//!
//! Nodes share one store. An update of another node is stored already: it goes to the sessions, and neither into the log nor to other
//! nodes. What this node's own sessions bring is told to the others by the driver when it has been stored, so that nothing which
//! builds on it can be stored before it.

use std::sync::Arc;
use std::time::Instant;

use super::batch::Source;
use super::{Output, Room};
use crate::id::{ClientId, Clock, NodeId};
use crate::presence::PresenceEntry;
use crate::update::Update;

impl Room {
    /// An update that another node has stored. To be given in the order of the log, so that nobody is sent what builds on something that
    /// it lacks.
    pub fn handle_node_update(&mut self, update: &Update, _now: Instant) {
        if let Some(delta) = self.insert(update).delta {
            self.batch.add(Source::Node, delta, None);
        }
    }

    /// Another node tells who is present there.
    pub fn handle_node_presence(&mut self, node: NodeId, entries: &[PresenceEntry], now: Instant) {
        for entry in entries {
            self.presence.apply_node(node, entry, now);
        }
    }

    /// Another node asks that these ids be announced anew: somebody claims them there, or has returned and forgotten them.
    pub fn handle_announce(&mut self, ids: &[(ClientId, Clock)], _now: Instant) {
        self.presence.announce_anew(ids);
        self.emit_presence();
    }

    /// A broadcast that has been admitted at another node.
    pub fn handle_node_broadcast(&mut self, from: Option<Arc<str>>, text: Arc<str>, _now: Instant) {
        self.tell_all(None, &text);
        self.outputs.push_back(Output::Broadcast { from, text, is_ours: false });
    }

    /// Everybody whose session is at this node: for a node that has just opened the document.
    pub fn presence_here(&self) -> Vec<PresenceEntry> {
        self.presence.all_ours()
    }
}
