//! Documents that were listened to a moment ago.
//!
//! Between two polls nobody listens, and neither does anybody while a stream is resumed. What is told meanwhile is kept for those
//! who come back, so the events of a document are kept for a while after its last listener has gone, be nobody else there.

use std::collections::HashMap;
use std::mem::{replace, take};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use quire_sync_protocol::DocId;

use super::Attendance;

/// The events of a document are kept so long for those who come back; at most twice as long.
pub(super) const LINGER: Duration = Duration::from_secs(30);

/// Documents that are kept so, of the last [`LINGER`]. Who comes back to another one gets its state, as after a longer time.
const DOCUMENTS: usize = 1024;

/// Keeps what listeners leave behind. Something has to [`turn`](Self::turn) it once in every [`LINGER`].
#[derive(Debug, Default)]
pub(super) struct Lingering(Mutex<Kept>);

#[derive(Debug, Default)]
struct Kept {
    /// Left since the last turn.
    young: HashMap<DocId, Attendance>,
    /// Left in the turn before.
    old: HashMap<DocId, Attendance>,
    /// Nobody will come back.
    is_closed: bool,
}

impl Lingering {
    /// Keeps this, if there is room for it.
    pub(super) fn keep(&self, doc: &DocId, attendance: Attendance) {
        let mut kept = self.lock();
        let has_room = kept.young.len() < DOCUMENTS || kept.young.contains_key(doc);
        let before = if has_room && !kept.is_closed {
            kept.young.insert(doc.clone(), attendance)
        } else {
            Some(attendance)
        };
        // An attendance that goes takes locks of its own.
        drop((kept, before));
    }

    /// Keeps nothing of this document any more.
    pub(super) fn forget(&self, doc: &DocId) {
        let mut kept = self.lock();
        let gone = (kept.young.remove(doc), kept.old.remove(doc));
        drop(kept);
        drop(gone);
    }

    /// Lets go of what was kept for a whole turn.
    pub(super) fn turn(&self) {
        let mut kept = self.lock();
        let young = take(&mut kept.young);
        let gone = replace(&mut kept.old, young);
        drop(kept);
        drop(gone);
    }

    /// Lets go of everything, and keeps nothing from now on.
    pub(super) fn close(&self) {
        let gone = replace(&mut *self.lock(), Kept { is_closed: true, ..Kept::default() });
        drop(gone);
    }

    fn lock(&self) -> MutexGuard<'_, Kept> {
        // Nothing that can panic runs while it is half changed.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::super::Whereabouts;
    use super::*;

    #[test]
    fn what_is_kept_is_bounded_and_goes_after_two_turns() {
        let whereabouts = Whereabouts::new(1000, Arc::default());
        let lingering = Lingering::default();
        let doc = |number: usize| DocId::new(&number.to_string()).unwrap();
        for number in 0..DOCUMENTS + 10 {
            lingering.keep(&doc(number), whereabouts.of(&doc(number)));
        }
        assert_eq!(lingering.lock().young.len(), DOCUMENTS);
        lingering.keep(&doc(0), whereabouts.of(&doc(0)));
        lingering.turn();
        lingering.keep(&doc(0), whereabouts.of(&doc(0)));
        lingering.turn();
        assert!(lingering.lock().young.is_empty());
        assert_eq!(lingering.lock().old.len(), 1);
        lingering.turn();
        assert!(lingering.lock().old.is_empty());
        lingering.close();
        lingering.keep(&doc(0), whereabouts.of(&doc(0)));
        assert!(lingering.lock().young.is_empty());
    }
}
