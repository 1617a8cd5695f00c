//! Who is present: the newest awareness state of each client id, and which session answers for it.
//!
//! A client id belongs to the session that brought it. Others cannot change or remove it: clients send back what
//! they received, so a message alone is no proof of ownership. Another session may take an id over at once if both
//! are known to be one person, never if they are known to be two; where nobody is known the owner is asked first
//! (it is sent the removal of its own state, to which every living client answers with a newer one) and loses the
//! id if it stays silent. The end of a session removes only what it still owns.
//!
//! **Repair.** After a reconnection a client announces itself with an unchanged clock, which peers ignore if they
//! have seen it go. So the first state that a session brings for an id is answered, to that session alone, with its
//! removal; the client then announces itself with a higher clock, which everybody takes.
//!
//! The other way round it is the same: who returns ignores the unchanged states of those who stayed. So they are asked
//! to announce themselves anew, too ([`Presence::call_roll`]).
//!
//! States are never stored. Source of the clocks' rules: the `awareness` module of y-protocols.

mod change;

pub use change::{PresenceChange, Present};

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::id::{ClientId, Clock, SessionId};
use crate::limits::Limits;
use crate::wire::awareness::{AwarenessEntry, AwarenessUpdate};

/// The least time between two roll calls, and how much of it each one present adds.
const ROLL_CALL: Duration = Duration::from_secs(1);
const ROLL_CALL_EACH: Duration = Duration::from_millis(50);

/// How presence is kept.
#[derive(Clone, Debug)]
pub(crate) struct PresenceConfig {
    /// A state not renewed for this long is removed. The time for which a removed id keeps its clock, too.
    pub(crate) timeout: Duration,
    /// How long the owner of a contested id has to answer.
    pub(crate) takeover: Duration,
    /// Ids one session may own.
    pub(crate) per_session: usize,
    /// Ids in all, removed ones included.
    pub(crate) per_room: usize,
}

impl PresenceConfig {
    pub(crate) fn new(limits: &Limits, timeout: Duration, takeover: Duration) -> Self {
        Self {
            timeout,
            takeover,
            per_session: limits.presence_per_session,
            per_room: limits.presence_per_room,
        }
    }
}

/// A session as presence sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Owner {
    pub(crate) session: SessionId,
    pub(crate) identity: Option<Arc<str>>,
}

/// A state and its clock.
#[derive(Clone, Debug, PartialEq, Eq)]
struct State {
    clock: Clock,
    json: Arc<str>,
}

/// What is known of one client id.
#[derive(Clone, Debug)]
enum Standing {
    /// Its owner keeps it alive.
    Present { state: State, owner: Owner, renewed: Instant },
    /// Another session claims it, and its owner has been asked.
    Contested { state: State, owner: Owner, renewed: Instant, claim: State, claimant: Owner, until: Instant },
    /// Removed. The clock stays, so that a state which comes late does not bring it back.
    Gone { clock: Clock, since: Instant },
}

impl Standing {
    fn clock(&self) -> Clock {
        match self {
            Self::Present { state, .. } | Self::Contested { state, .. } => state.clock,
            Self::Gone { clock, .. } => *clock,
        }
    }

    fn state(&self) -> Option<&State> {
        match self {
            Self::Present { state, .. } | Self::Contested { state, .. } => Some(state),
            Self::Gone { .. } => None,
        }
    }

    fn owner(&self) -> Option<&Owner> {
        match self {
            Self::Present { owner, .. } | Self::Contested { owner, .. } => Some(owner),
            Self::Gone { .. } => None,
        }
    }

    fn claimant(&self) -> Option<&Owner> {
        match self {
            Self::Contested { claimant, .. } => Some(claimant),
            Self::Present { .. } | Self::Gone { .. } => None,
        }
    }
}

/// What came of an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Nothing new, or not the sender's to say.
    Ignored,
    /// Taken, or waiting for the owner's answer.
    Taken,
    /// Beyond a limit, or an id of somebody else.
    Refused,
}

/// The presence of one room.
#[derive(Debug)]
pub(crate) struct Presence {
    config: PresenceConfig,
    ids: BTreeMap<ClientId, Standing>,
    /// Ids whose newest standing has not been sent out, each with the session that need not hear of it.
    changed: BTreeMap<ClientId, Option<SessionId>>,
    /// Removals to be sent to one session each, to be answered with a newer state.
    questions: Vec<(SessionId, ClientId, Clock)>,
    roll_call: RollCall,
    /// Ids whose owner has renewed its state. It is the client itself: a tab that only repeats what it heard from
    /// another would take a question for that one's end.
    proven: BTreeSet<ClientId>,
    /// No later than the first deadline of anything here.
    wake: Option<Instant>,
}

/// When everybody is asked to announce itself anew. See [`Presence::call_roll`].
#[derive(Clone, Copy, Debug)]
enum RollCall {
    /// Whenever somebody returns.
    Open,
    /// Not before this time, and nobody has returned since the last one.
    Rest(Instant),
    /// At this time.
    Due(Instant),
}

impl Presence {
    pub(crate) fn new(config: PresenceConfig) -> Self {
        Self {
            config,
            ids: BTreeMap::new(),
            changed: BTreeMap::new(),
            questions: Vec::new(),
            roll_call: RollCall::Open,
            proven: BTreeSet::new(),
            wake: None,
        }
    }

    /// Takes one entry of an awareness message.
    pub(crate) fn apply(&mut self, from: &Owner, entry: &AwarenessEntry<'_>, now: Instant) -> Verdict {
        let Some(standing) = self.ids.get(&entry.client) else {
            // An unknown client counts as clock 0, as it does in y-protocols.
            return match entry.state {
                Some(_) if entry.clock > 0 => {
                    let verdict = self.bring(from, entry, now);
                    // It may have been here before, so long ago that its id is forgotten.
                    if entry.clock > 1 {
                        self.call_roll(now);
                    }
                    verdict
                }
                _ => Verdict::Ignored,
            };
        };
        match standing.owner() {
            None => match entry.state {
                Some(_) if entry.clock > standing.clock() => {
                    let verdict = self.bring(from, entry, now);
                    self.call_roll(now);
                    verdict
                }
                // A client that has returned with an old clock: peers would ignore it, so would we, but it is asked
                // to come again with a newer one. Others only repeat what they heard before.
                Some(_) => {
                    let clock = standing.clock();
                    self.ask(from.session, entry.client, clock)
                }
                None => Verdict::Ignored,
            },
            Some(owner) if owner.session == from.session => self.renew(from, entry, now),
            Some(owner) => {
                let owner = owner.clone();
                self.contest(&owner, from, entry, now)
            }
        }
    }

    /// Whether an entry shows somebody, or something of somebody, who is not known.
    pub(crate) fn is_news(&self, entry: &AwarenessEntry<'_>) -> bool {
        entry.state.is_some() && self.ids.get(&entry.client).is_none_or(|known| entry.clock > known.clock())
    }

    /// Removes what this session still owns.
    pub(crate) fn leave(&mut self, session: SessionId, now: Instant) {
        for client in self.clients() {
            match self.ids.get(&client) {
                Some(Standing::Present { owner, .. } | Standing::Contested { owner, .. })
                    if owner.session == session =>
                {
                    self.vacate(client, now);
                }
                Some(Standing::Contested { state, owner, renewed, claimant, .. })
                    if claimant.session == session =>
                {
                    let (state, owner, renewed) = (state.clone(), owner.clone(), *renewed);
                    self.set(client, Standing::Present { state, owner, renewed });
                }
                _ => {}
            }
        }
    }

    /// Removes what has not been renewed, forgets what has been gone for long, decides contests whose time is up.
    pub(crate) fn expire(&mut self, now: Instant) {
        for client in self.clients() {
            match self.ids.get(&client).map(|standing| (standing, self.deadline(standing))) {
                Some((standing, deadline)) if deadline <= now => match standing {
                    Standing::Present { .. } | Standing::Contested { .. } => self.vacate(client, now),
                    Standing::Gone { .. } => drop(self.ids.remove(&client)),
                },
                _ => {}
            }
        }
        match self.roll_call {
            RollCall::Due(at) if at <= now => self.ask_everybody(now),
            RollCall::Rest(at) if at <= now => self.roll_call = RollCall::Open,
            RollCall::Due(_) | RollCall::Rest(_) | RollCall::Open => {}
        }
        self.wake = self.ids.values().map(|standing| self.deadline(standing)).min();
        if let RollCall::Due(at) = self.roll_call {
            self.wake_at(at);
        }
    }

    /// When [`Self::expire`] is to be called; it may then find that there is nothing to do yet.
    pub(crate) fn wake(&self) -> Option<Instant> {
        self.wake
    }

    /// Everybody who is present, if anybody is.
    pub(crate) fn everybody(&self) -> Option<AwarenessUpdate> {
        let mut entries = self.standings().filter(|entry| entry.state.is_some()).peekable();
        entries.peek().is_some().then(|| AwarenessUpdate::encode(entries))
    }

    /// Everybody who is present or has gone of late: for a session that has not heard all of it.
    pub(crate) fn catch_up(&self) -> AwarenessUpdate {
        AwarenessUpdate::encode(self.standings())
    }

    fn standings(&self) -> impl Iterator<Item = AwarenessEntry<'_>> {
        self.ids.iter().map(|(client, standing)| {
            let state = standing.state().map(|state| &*state.json);
            AwarenessEntry { client: *client, clock: standing.clock(), state }
        })
    }

    /// The newest standing of every id that has changed since the last call, and the session that need not hear of
    /// it, if all of it came from that one.
    pub(crate) fn take_changes(&mut self) -> Option<(AwarenessUpdate, Option<SessionId>)> {
        if self.changed.is_empty() {
            return None;
        }
        let changed = std::mem::take(&mut self.changed);
        let sources: BTreeSet<_> = changed.values().copied().collect();
        let entries = changed.keys().filter_map(|client| {
            let standing = self.ids.get(client)?;
            let state = standing.state().map(|state| &*state.json);
            Some(AwarenessEntry { client: *client, clock: standing.clock(), state })
        });
        let update = AwarenessUpdate::encode(entries);
        let only = if sources.len() == 1 { sources.into_iter().next().flatten() } else { None };
        Some((update, only))
    }

    /// The questions that are to be sent, each to one session.
    pub(crate) fn take_questions(&mut self) -> Vec<(SessionId, AwarenessUpdate)> {
        let removal =
            |client, clock| AwarenessUpdate::encode([AwarenessEntry { client, clock, state: None }]);
        let questions = std::mem::take(&mut self.questions);
        questions.into_iter().map(|(session, client, clock)| (session, removal(client, clock))).collect()
    }

    /// Somebody has returned. While it was away it forgot everybody else, but not their clocks,
    /// so it ignores their present states until they renew them. Everybody is asked to announce itself anew; in a
    /// large room not so often that this were more than the renewals there are anyway.
    fn call_roll(&mut self, now: Instant) {
        match self.roll_call {
            RollCall::Open => self.ask_everybody(now),
            RollCall::Rest(at) if at <= now => self.ask_everybody(now),
            RollCall::Rest(at) => {
                self.roll_call = RollCall::Due(at);
                self.wake_at(at);
            }
            RollCall::Due(_) => {}
        }
    }

    fn ask_everybody(&mut self, now: Instant) {
        let mut asked = 0;
        for (client, standing) in &self.ids {
            if let Standing::Present { state, owner, .. } = standing
                && self.proven.contains(client)
                && !self.changed.contains_key(client)
            {
                self.questions.push((owner.session, *client, state.clock));
                asked += 1;
            }
        }
        self.roll_call = RollCall::Rest(now + ROLL_CALL.max(ROLL_CALL_EACH * asked));
    }

    fn set(&mut self, client: ClientId, standing: Standing) {
        if matches!(standing, Standing::Gone { .. }) {
            self.proven.remove(&client);
        }
        self.wake_at(self.deadline(&standing));
        self.ids.insert(client, standing);
    }

    fn wake_at(&mut self, at: Instant) {
        self.wake = Some(self.wake.map_or(at, |wake| wake.min(at)));
    }

    fn clients(&self) -> Vec<ClientId> {
        self.ids.keys().copied().collect()
    }

    fn deadline(&self, standing: &Standing) -> Instant {
        match standing {
            Standing::Present { renewed, .. } => *renewed + self.config.timeout,
            Standing::Contested { renewed, until, .. } => (*renewed + self.config.timeout).min(*until),
            Standing::Gone { since, .. } => *since + self.config.timeout,
        }
    }

    /// A session brings a client id that nobody owns.
    fn bring(&mut self, from: &Owner, entry: &AwarenessEntry<'_>, now: Instant) -> Verdict {
        let Some(state) = State::of(entry) else { return Verdict::Ignored };
        let has_place = self.ids.contains_key(&entry.client) || self.ids.len() < self.config.per_room;
        if !self.may_own_more(from) || !(has_place || self.forget_oldest()) {
            return Verdict::Refused;
        }
        self.own(entry.client, state, from.clone(), now);
        Verdict::Taken
    }

    /// The owner speaks.
    fn renew(&mut self, from: &Owner, entry: &AwarenessEntry<'_>, now: Instant) -> Verdict {
        let Some(standing) = self.ids.get(&entry.client) else { return Verdict::Ignored };
        match State::of(entry) {
            Some(state) if entry.clock > standing.clock() => {
                self.set(entry.client, Standing::Present { state, owner: from.clone(), renewed: now });
                self.changed.insert(entry.client, Some(from.session));
                self.proven.insert(entry.client);
                Verdict::Taken
            }
            None if entry.clock >= standing.clock() => {
                let contested = matches!(standing, Standing::Contested { .. });
                self.vacate(entry.client, now);
                if !contested {
                    self.set(entry.client, Standing::Gone { clock: entry.clock, since: now });
                    self.changed.insert(entry.client, Some(from.session));
                }
                Verdict::Taken
            }
            _ => Verdict::Ignored,
        }
    }

    /// A session speaks for a client id that another one owns.
    fn contest(&mut self, owner: &Owner, from: &Owner, entry: &AwarenessEntry<'_>, now: Instant) -> Verdict {
        let Some(standing) = self.ids.get(&entry.client) else { return Verdict::Ignored };
        // A removal is for the owner to say; a claimant withdraws with it.
        if let (None, Standing::Contested { state, owner, renewed, claim, claimant, .. }) =
            (entry.state, standing)
            && claimant.session == from.session
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
                self.questions.push((owner.session, entry.client, state.clock));
                let (claimant, until) = (from.clone(), now + self.config.takeover);
                let contested = Standing::Contested { state, owner, renewed, claim, claimant, until };
                self.set(entry.client, contested);
                Verdict::Taken
            }
            // Of several that claim it the newest state counts: with it the living client has returned last.
            Standing::Contested { state, owner, renewed, claim: earlier, claimant, until }
                if claim.clock > earlier.clock =>
            {
                if claimant.session != from.session && !self.may_own_more(from) {
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
    fn vacate(&mut self, client: ClientId, now: Instant) {
        match self.ids.get(&client) {
            Some(Standing::Contested { claim, claimant, .. }) => {
                let (claim, claimant) = (claim.clone(), claimant.clone());
                self.own(client, claim, claimant, now);
            }
            Some(Standing::Present { state, .. }) => {
                let clock = state.clock;
                self.set(client, Standing::Gone { clock, since: now });
                self.changed.insert(client, None);
            }
            Some(Standing::Gone { .. }) | None => {}
        }
    }

    /// Makes room for the living: forgets who has been gone for longest. Everybody must have heard of it.
    fn forget_oldest(&mut self) -> bool {
        let gone = self.ids.iter().filter_map(|(client, standing)| match standing {
            Standing::Gone { since, .. } if !self.changed.contains_key(client) => Some((*since, *client)),
            Standing::Gone { .. } | Standing::Present { .. } | Standing::Contested { .. } => None,
        });
        let oldest = gone.min();
        oldest.is_some_and(|(_, client)| self.ids.remove(&client).is_some())
    }

    fn own(&mut self, client: ClientId, state: State, owner: Owner, now: Instant) {
        self.questions.push((owner.session, client, state.clock));
        self.proven.remove(&client);
        self.changed.insert(client, Some(owner.session));
        self.set(client, Standing::Present { state, owner, renewed: now });
    }

    /// Sends a session the removal of a client id. It answers if the id is its own.
    fn ask(&mut self, session: SessionId, client: ClientId, clock: Clock) -> Verdict {
        self.questions.push((session, client, clock));
        Verdict::Ignored
    }

    fn may_own_more(&self, session: &Owner) -> bool {
        // What it claims may become its own without a further word.
        let holders =
            self.ids.values().flat_map(|standing| [standing.owner(), standing.claimant()]).flatten();
        holders.filter(|holder| holder.session == session.session).count() < self.config.per_session
    }
}

impl State {
    fn of(entry: &AwarenessEntry<'_>) -> Option<Self> {
        Some(Self { clock: entry.clock, json: entry.state?.into() })
    }
}

#[cfg(test)]
pub(crate) mod tests;
