//! Who has come, gone or said something new: for those who want to know people, not messages.

use std::sync::Arc;

use super::Presence;
use crate::id::{ClientId, Clock, Origin};

/// What has become of one client id.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PresenceChange {
    /// The client id.
    pub client: ClientId,
    /// What stands for it now; `None` if it has gone.
    pub now: Option<Present>,
}

/// What stands for a client id that is present.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Present {
    /// Who answers for it.
    pub origin: Origin,
    /// Who that is, where it is known.
    pub identity: Option<Arc<str>>,
    /// What the client says of itself: its awareness state, as the JSON it sent.
    pub state: Arc<str>,
}

/// What one node tells others of a client id that a session of its own owns, or has owned.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PresenceEntry {
    /// The id.
    pub client: ClientId,
    /// Its awareness clock.
    pub clock: Clock,
    /// Its awareness state, as the JSON it sent; `None` if it has gone.
    pub state: Option<Arc<str>>,
    /// Who its session is, where that is known.
    pub identity: Option<Arc<str>>,
}

impl Presence {
    /// What will be [taken](Self::take_changes) next.
    pub(crate) fn changes(&self) -> Vec<PresenceChange> {
        let present = |client| {
            let standing = self.ids.get(client)?;
            let (state, owner) = (standing.state()?, standing.owner()?);
            let (origin, identity) = (owner.origin, owner.identity.clone());
            Some(Present { origin, identity, state: Arc::clone(&state.json) })
        };
        self.changed.keys().map(|client| PresenceChange { client: *client, now: present(client) }).collect()
    }
}
