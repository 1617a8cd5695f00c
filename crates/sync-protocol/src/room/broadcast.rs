//! Texts of the application for everybody in the document, which are not stored.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::{Output, Room, RoomEvent, To};
use crate::id::SessionId;
use crate::session::Access;
use crate::wire::Message;
use crate::wire::dialect::Dialect;

/// The pace of one session, and of a room as a whole: after a burst of [`BURST`], one in this time.
const EACH: Duration = Duration::from_millis(50);
const ALL: Duration = Duration::from_millis(5);

/// How many may come at once.
const BURST: u32 = 40;

/// Lets so many pass, and then one in a time.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Pace(Option<Instant>);

impl Pace {
    /// Whether one more may pass now.
    fn admits(&mut self, each: Duration, now: Instant) -> bool {
        let next = self.0.map_or(now, |next| next.max(now));
        let admits = next < now + each * BURST;
        if admits {
            self.0 = Some(next + each);
        }
        admits
    }
}

impl Room {
    /// A broadcast that comes from no session. `false` if there were too many of late, and it was dropped.
    pub fn handle_broadcast(&mut self, text: Arc<str>, now: Instant) -> bool {
        let admits = self.pace.admits(ALL, now);
        if admits {
            self.tell_all(None, &text);
            self.outputs.push_back(Output::Broadcast { from: None, text, is_ours: true });
        }
        admits
    }

    /// Hands a text of a session on, if it may write.
    pub(super) fn relay(&mut self, from: SessionId, text: Arc<str>, now: Instant) {
        let Some(session) = self.sessions.get_mut(&from) else { return };
        if session.access == Access::Read || !session.pace.admits(EACH, now) || !self.pace.admits(ALL, now) {
            return self.outputs.push_back(Output::Event(RoomEvent::BroadcastRefused(from)));
        }
        let identity = session.owner.identity.clone();
        self.tell_all(Some(from), &text);
        self.outputs.push_back(Output::Broadcast { from: identity, text, is_ours: true });
    }

    pub(super) fn tell_all(&mut self, from: Option<SessionId>, text: &Arc<str>) {
        let hears = |dialect: &Dialect| match dialect {
            Dialect::Hocuspocus(_) | Dialect::Quire => true,
            Dialect::YWebsocket | Dialect::YSweet => false,
        };
        let others =
            self.sessions.iter().filter(|(id, session)| Some(**id) != from && hears(&session.dialect));
        let to: Vec<_> = others.map(|(id, _)| *id).collect();
        if !to.is_empty() {
            let message = Message::Stateless(Arc::clone(text));
            self.outputs.push_back(Output::Transmit { to: To::Many(to), message });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_passes_and_then_one_in_a_time() {
        let (mut pace, now) = (Pace::default(), Instant::now());
        let passed = |pace: &mut Pace, now| (0..100).filter(|_| pace.admits(EACH, now)).count();
        assert_eq!(passed(&mut pace, now), BURST as usize);
        assert_eq!(passed(&mut pace, now + EACH), 1);
        assert_eq!(passed(&mut pace, now + EACH * 4), 3);
        assert_eq!(passed(&mut pace, now + EACH * 1000), BURST as usize);
    }
}
