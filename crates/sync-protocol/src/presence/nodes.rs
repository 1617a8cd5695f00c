//! Presence of other nodes' sessions.
//!
//! What another node says has been settled there: of two sessions that claim an id it has asked the present owner, through that one's
//! node if need be. So a newer state of it is taken as it is, an older one is a message that comes late, and only the node that answers
//! for an id may say that it has gone. A node that has died says nothing more: its people go when their states are not renewed.

use std::time::Instant;

use super::{Owner, Presence, PresenceEntry, Standing, State};
use crate::id::{ClientId, Clock, NodeId, Origin};

impl Presence {
    /// Takes what another node says of a client id.
    pub(crate) fn apply_node(&mut self, node: NodeId, entry: &PresenceEntry, now: Instant) {
        let from = Origin::Node(node);
        let standing = self.ids.get(&entry.client);
        let (known, owner) = match standing {
            Some(standing) => (standing.clock(), standing.owner().map(|owner| owner.origin)),
            None => (0, None),
        };
        match &entry.state {
            Some(json) if entry.clock > known => {
                if standing.is_none() && self.ids.len() >= self.config.per_room && !self.forget_oldest() {
                    return;
                }
                let owner = Owner { origin: from, identity: entry.identity.clone() };
                let state = State { clock: entry.clock, json: json.clone() };
                self.proven.remove(&entry.client);
                self.set(entry.client, Standing::Present { state, owner, renewed: now });
                self.change(entry.client, Some(from), from);
            }
            None if owner == Some(from) && entry.clock >= known => {
                self.vacate(entry.client, now);
                if let Some(Standing::Gone { clock, .. }) = self.ids.get_mut(&entry.client) {
                    *clock = entry.clock;
                }
            }
            Some(_) | None => {}
        }
    }

    /// Another node asks that these ids be announced anew. The ones that a session here owns are: the client is shown its own
    /// removal, no older than what is known of it.
    pub(crate) fn announce_anew(&mut self, ids: &[(ClientId, Clock)]) {
        for (client, clock) in ids {
            if let Some(Standing::Present { state, owner, .. }) = self.ids.get(client)
                && matches!(owner.origin, Origin::Session(_))
                && self.proven.contains(client)
                && *clock >= state.clock
            {
                self.questions.push((owner.origin, *client, *clock));
            }
        }
    }

    /// What other nodes are to hear: the newest standing of every id of this node that has changed since the last call. To be called before
    /// [`Self::take_changes`].
    pub(crate) fn take_ours(&mut self) -> Vec<PresenceEntry> {
        let ours = std::mem::take(&mut self.ours);
        ours.iter().filter_map(|client| self.entry(*client)).collect()
    }

    /// Everybody whose session is at this node.
    pub(crate) fn all_ours(&self) -> Vec<PresenceEntry> {
        let is_ours = |standing: &Standing| {
            standing.owner().is_some_and(|owner| matches!(owner.origin, Origin::Session(_)))
        };
        let ours = self.ids.iter().filter(|(_, standing)| is_ours(standing));
        ours.filter_map(|(client, _)| self.entry(*client)).collect()
    }

    fn entry(&self, client: ClientId) -> Option<PresenceEntry> {
        let standing = self.ids.get(&client)?;
        let identity = standing.owner().and_then(|owner| owner.identity.clone());
        let state = standing.state().map(|state| state.json.clone());
        Some(PresenceEntry { client, clock: standing.clock(), state, identity })
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::PresenceConfig;
    use super::*;
    use crate::id::SessionId;
    use crate::limits::Limits;
    use crate::wire::awareness::AwarenessEntry;

    const A: NodeId = NodeId(1);
    const B: NodeId = NodeId(2);

    fn presence() -> Presence {
        let (timeout, takeover) = (Duration::from_secs(30), Duration::from_secs(2));
        Presence::new(PresenceConfig::new(&Limits::default(), timeout, takeover))
    }

    fn client(number: u64) -> ClientId {
        ClientId::new(number).unwrap()
    }

    fn says(number: u64, clock: Clock, state: Option<&str>) -> PresenceEntry {
        PresenceEntry { client: client(number), clock, state: state.map(Into::into), identity: None }
    }

    fn speak(presence: &mut Presence, session: u64, entry: &PresenceEntry, now: Instant) {
        let from = Owner { origin: Origin::Session(SessionId(session)), identity: entry.identity.clone() };
        let entry =
            AwarenessEntry { client: entry.client, clock: entry.clock, state: entry.state.as_deref() };
        presence.apply(&from, &entry, now);
    }

    fn seen(presence: &Presence) -> Vec<(u64, Clock)> {
        let present = presence.standings().filter(|entry| entry.state.is_some());
        present.map(|entry| (entry.client.value(), entry.clock)).collect()
    }

    #[test]
    fn only_what_is_of_this_node_is_told_to_others() {
        let (mut presence, now) = (presence(), Instant::now());
        presence.apply_node(A, &says(7, 1, Some("{}")), now);
        assert_eq!((presence.take_ours(), presence.take_changes().is_some()), (vec![], true));
        speak(&mut presence, 1, &says(8, 1, Some("{}")), now);
        assert_eq!(presence.take_ours(), [says(8, 1, Some("{}"))]);
        presence.leave(SessionId(1), now);
        assert_eq!(presence.take_ours(), [says(8, 1, None)]);
        assert_eq!(seen(&presence), [(7, 1)]);
        assert_eq!(presence.all_ours(), []);
        presence.expire(now + Duration::from_secs(31));
        assert_eq!((presence.take_ours(), seen(&presence)), (vec![], vec![]));
    }

    #[test]
    fn who_has_moved_to_another_node_does_not_go_with_the_old_session() {
        let (mut presence, now) = (presence(), Instant::now());
        speak(&mut presence, 1, &says(7, 3, Some("{}")), now);
        presence.apply_node(B, &says(7, 4, Some("{}")), now);
        presence.leave(SessionId(1), now);
        assert_eq!(seen(&presence), [(7, 4)]);
        // Nor by what the other node says too late, or a third one.
        presence.apply_node(B, &says(7, 3, Some("{}")), now);
        presence.apply_node(A, &says(7, 9, None), now);
        assert_eq!(seen(&presence), [(7, 4)]);
        presence.apply_node(B, &says(7, 4, None), now);
        assert_eq!(seen(&presence), []);
    }

    #[test]
    fn a_claim_on_an_id_of_another_node_asks_there_and_waits() {
        let (mut presence, now) = (presence(), Instant::now());
        presence.apply_node(A, &says(7, 3, Some("{}")), now);
        presence.take_questions();
        speak(&mut presence, 1, &says(7, 4, Some("{\"mine\":1}")), now);
        assert_eq!(presence.take_questions().elsewhere, [(client(7), 3)]);
        // The living client at node A has answered.
        presence.apply_node(A, &says(7, 5, Some("{}")), now);
        presence.expire(now + Duration::from_secs(3));
        assert_eq!((seen(&presence), presence.take_ours()), (vec![(7, 5)], vec![]));
        // Nobody answers: the claim holds.
        speak(&mut presence, 1, &says(7, 6, Some("{\"mine\":1}")), now);
        presence.expire(now + Duration::from_secs(3));
        assert_eq!(presence.take_ours(), [says(7, 6, Some("{\"mine\":1}"))]);
    }

    #[test]
    fn the_owner_is_asked_for_another_node() {
        let (mut presence, now) = (presence(), Instant::now());
        speak(&mut presence, 1, &says(7, 2, Some("{}")), now);
        speak(&mut presence, 1, &says(7, 3, Some("{}")), now);
        presence.apply_node(A, &says(8, 3, Some("{}")), now);
        presence.take_questions();
        presence.announce_anew(&[(client(7), 3), (client(8), 3), (client(9), 3)]);
        let questions = presence.take_questions();
        assert_eq!((questions.here.len(), questions.elsewhere), (1, vec![]));
    }
}
