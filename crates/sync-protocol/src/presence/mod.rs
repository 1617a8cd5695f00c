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
mod nodes;
mod ownership;

pub use change::{PresenceChange, PresenceEntry, Present};

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::id::{ClientId, Clock, Origin, SessionId};
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

/// A session, or another node for one of its own, as presence sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Owner {
    pub(crate) origin: Origin,
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

/// Ids that are to be announced anew.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Questions {
    /// By this node's sessions: the removal that each is to be sent.
    pub(crate) here: Vec<(SessionId, AwarenessUpdate)>,
    /// By those of other nodes.
    pub(crate) elsewhere: Vec<(ClientId, Clock)>,
}

/// The presence of one room.
#[derive(Debug)]
pub(crate) struct Presence {
    config: PresenceConfig,
    ids: BTreeMap<ClientId, Standing>,
    /// Ids whose newest standing has not been sent out, each with who need not hear of it.
    changed: BTreeMap<ClientId, Option<Origin>>,
    /// Of these, the ones that a session of this node owns, or did: other nodes are to hear of them.
    ours: BTreeSet<ClientId>,
    /// Removals to be sent to one session each, to be answered with a newer state.
    questions: Vec<(Origin, ClientId, Clock)>,
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
            ours: BTreeSet::new(),
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
                    self.ask(from.origin, entry.client, clock)
                }
                None => Verdict::Ignored,
            },
            Some(owner) if owner.origin == from.origin => self.renew(from, entry, now),
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
        let leaver = Origin::Session(session);
        for client in self.clients() {
            match self.ids.get(&client) {
                Some(Standing::Present { owner, .. } | Standing::Contested { owner, .. })
                    if owner.origin == leaver =>
                {
                    self.vacate(client, now);
                }
                Some(Standing::Contested { state, owner, renewed, claimant, .. })
                    if claimant.origin == leaver =>
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
        match (sources.len(), sources.first()) {
            (1, Some(Some(Origin::Session(only)))) => Some((update, Some(*only))),
            _ => Some((update, None)),
        }
    }

    /// The questions that are to be sent, each to one session, and those that other nodes are to ask.
    pub(crate) fn take_questions(&mut self) -> Questions {
        let Questions { mut here, mut elsewhere } = Questions::default();
        for (origin, client, clock) in std::mem::take(&mut self.questions) {
            match origin {
                Origin::Session(session) => {
                    let removal = AwarenessEntry { client, clock, state: None };
                    here.push((session, AwarenessUpdate::encode([removal])));
                }
                Origin::Node(_) => elsewhere.push((client, clock)),
            }
        }
        Questions { here, elsewhere }
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
                && (self.proven.contains(client) || matches!(owner.origin, Origin::Node(_)))
                && !self.changed.contains_key(client)
            {
                self.questions.push((owner.origin, *client, state.clock));
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
}

impl State {
    fn of(entry: &AwarenessEntry<'_>) -> Option<Self> {
        Some(Self { clock: entry.clock, json: entry.state?.into() })
    }
}

#[cfg(test)]
pub(crate) mod tests;
