//! What a room says that is worth a log line or a count.

use quire_sync_protocol::RoomEvent;

use super::{Counters, Desk};

impl Desk {
    pub(super) fn note(&mut self, event: RoomEvent) {
        let counters = &self.shared.counters;
        match event {
            RoomEvent::EditRefused(session) => {
                Counters::add(&counters.edits_refused, 1);
                if self.fanout.note_refusal(session) {
                    tracing::warn!(doc = %self.doc, %session, "edits are refused: of a viewer, or for want of room in the document");
                }
            }
            RoomEvent::Asked(session) => {
                Counters::add(&counters.gaps_asked, 1);
                tracing::debug!(doc = %self.doc, %session, "asked for content that others build on");
            }
            RoomEvent::PresenceRefused(session) => {
                Counters::add(&counters.presence_refused, 1);
                if self.fanout.note_refusal(session) {
                    tracing::warn!(doc = %self.doc, %session, "presence entries are refused");
                }
            }
            RoomEvent::BroadcastRefused(session) => {
                Counters::add(&counters.broadcasts_refused, 1);
                if self.fanout.note_refusal(session) {
                    tracing::warn!(doc = %self.doc, %session, "broadcasts are refused");
                }
            }
            RoomEvent::Behind(session) => {
                Counters::add(&counters.resyncs, 1);
                tracing::debug!(doc = %self.doc, %session, "an outbox was full, a diff will make up for it");
            }
            // Dealt with where it comes out: it ends the session.
            RoomEvent::OfDeadEpoch(_) => {}
        }
    }
}
