//! To whom a client id belongs: brought, renewed, contested, vacated.

use std::time::Instant;

use super::{Owner, Presence, Standing, State, Verdict};
use crate::id::{ClientId, Clock, Origin};
use crate::wire::awareness::AwarenessEntry;

impl Presence {
    /// A session brings a client id that nobody owns.
    pub(super) fn bring(&mut self, from: &Owner, entry: &AwarenessEntry<'_>, now: Instant) -> Verdict {
        let Some(state) = State::of(entry) else { return Verdict::Ignored };
        let has_place = self.ids.contains_key(&entry.client) || self.ids.len() < self.config.per_room;
        if !self.may_own_more(from) || !(has_place || self.forget_oldest()) {
            return Verdict::Refused;
        }
        self.own(entry.client, state, from.clone(), now);
        Verdict::Taken
    }

    /// The owner speaks.
    pub(super) fn renew(&mut self, from: &Owner, entry: &AwarenessEntry<'_>, now: Instant) -> Verdict {
        let Some(standing) = self.ids.get(&entry.client) else { return Verdict::Ignored };
        match State::of(entry) {
            Some(state) if entry.clock > standing.clock() => {
                self.set(entry.client, Standing::Present { state, owner: from.clone(), renewed: now });
                self.change(entry.client, Some(from.origin), from.origin);
                self.proven.insert(entry.client);
                Verdict::Taken
            }
            None if entry.clock >= standing.clock() => {
                let contested = matches!(standing, Standing::Contested { .. });
                self.vacate(entry.client, now);
                if !contested {
                    self.set(entry.client, Standing::Gone { clock: entry.clock, since: now });
                    self.change(entry.client, Some(from.origin), from.origin);
                }
                Verdict::Taken
            }
            _ => Verdict::Ignored,
        }
    }

    /// A session speaks for a client id that another one owns.
    pub(super) fn contest(
        &mut self,
        owner: &Owner,
        from: &Owner,
        entry: &AwarenessEntry<'_>,
        now: Instant,
    ) -> Verdict {
        let Some(standing) = self.ids.get(&entry.client) else { return Verdict::Ignored };
        // A removal is for the owner to say; a claimant withdraws with it.
        if let (None, Standing::Contested { state, owner, renewed, claim, claimant, .. }) =
            (entry.state, standing)
            && claimant.origin == from.origin
            && entry.clock >= claim.clock
        {
            let (state, owner, renewed) = (state.clone(), owner.clone(), *renewed);
            self.set(entry.client, Standing::Present { state, owner, renewed });
            return Verdict::Taken;
        }
        // Not newer: somebody repeats what it heard.
        let Some(claim) = State::of(entry).filter(|claim| claim.clock > standing.clock()) else {
            return Verdict::Ignored;
        };
        match (&owner.identity, &from.identity) {
            (Some(one), Some(other)) if one == other => {
                if !self.may_own_more(from) {
                    return Verdict::Refused;
                }
                self.own(entry.client, claim, from.clone(), now);
                return Verdict::Taken;
            }
            (None, None) => {}
            _ => return Verdict::Refused,
        }
        match standing.clone() {
            Standing::Present { state, owner, renewed } => {
                if !self.may_own_more(from) {
                    return Verdict::Refused;
                }
                self.questions.push((owner.origin, entry.client, state.clock));
                let (claimant, until) = (from.clone(), now + self.config.takeover);
                let contested = Standing::Contested { state, owner, renewed, claim, claimant, until };
                self.set(entry.client, contested);
                Verdict::Taken
            }
            // Of several that claim it the newest state counts: with it the living client has returned last.
            Standing::Contested { state, owner, renewed, claim: earlier, claimant, until }
                if claim.clock > earlier.clock =>
            {
                if claimant.origin != from.origin && !self.may_own_more(from) {
                    return Verdict::Refused;
                }
                let claimant = from.clone();
                let contested = Standing::Contested { state, owner, renewed, claim, claimant, until };
                self.set(entry.client, contested);
                Verdict::Taken
            }
            Standing::Contested { .. } | Standing::Gone { .. } => Verdict::Ignored,
        }
    }

    /// The owner has gone: whoever claims the id gets it, otherwise it is removed.
    pub(super) fn vacate(&mut self, client: ClientId, now: Instant) {
        match self.ids.get(&client) {
            Some(Standing::Contested { claim, claimant, .. }) => {
                let (claim, claimant) = (claim.clone(), claimant.clone());
                self.own(client, claim, claimant, now);
            }
            Some(Standing::Present { state, owner, .. }) => {
                let (clock, origin) = (state.clock, owner.origin);
                self.set(client, Standing::Gone { clock, since: now });
                self.change(client, None, origin);
            }
            Some(Standing::Gone { .. }) | None => {}
        }
    }

    /// Makes room for the living: forgets who has been gone for longest. Everybody must have heard of it.
    pub(super) fn forget_oldest(&mut self) -> bool {
        let gone = self.ids.iter().filter_map(|(client, standing)| match standing {
            Standing::Gone { since, .. } if !self.changed.contains_key(client) => Some((*since, *client)),
            Standing::Gone { .. } | Standing::Present { .. } | Standing::Contested { .. } => None,
        });
        let oldest = gone.min();
        oldest.is_some_and(|(_, client)| self.ids.remove(&client).is_some())
    }

    fn own(&mut self, client: ClientId, state: State, owner: Owner, now: Instant) {
        self.questions.push((owner.origin, client, state.clock));
        self.proven.remove(&client);
        self.change(client, Some(owner.origin), owner.origin);
        self.set(client, Standing::Present { state, owner, renewed: now });
    }

    /// The standing of an id has changed, by the word of `source`; it is, or was, `owner` that answers for it.
    pub(super) fn change(&mut self, client: ClientId, source: Option<Origin>, owner: Origin) {
        self.changed.insert(client, source);
        match owner {
            Origin::Session(_) => self.ours.insert(client),
            Origin::Node(_) => self.ours.remove(&client),
        };
    }

    /// Sends a session the removal of a client id. It answers if the id is its own.
    pub(super) fn ask(&mut self, origin: Origin, client: ClientId, clock: Clock) -> Verdict {
        self.questions.push((origin, client, clock));
        Verdict::Ignored
    }

    fn may_own_more(&self, owner: &Owner) -> bool {
        // What it claims may become its own without a further word.
        let holders =
            self.ids.values().flat_map(|standing| [standing.owner(), standing.claimant()]).flatten();
        holders.filter(|holder| holder.origin == owner.origin).count() < self.config.per_session
    }
}
