//! The life of a document in memory, as a pure function.
//!
//! ```text
//! Loading --> Idle <--> Active        from any of Loading, Idle, Active, Retiring:
//!    |         |          ^             Deleted
//!    |         |          |             Drain    -> Draining -> Gone
//!    v         v          |             Panicked -> Rebuilding -> Loading   (the first time)
//!  Failed    Retiring ----+                      -> Failed(Quarantined)     (the second time)
//!              |
//!              v
//!             Gone
//! ```
//!
//! The document stays in the directory until `Gone`, `Deleted` or `Failed`. In `Retiring` and `Rebuilding` everything is made
//! durable first: whoever loads it next finds all of it in the store.

use std::time::{Duration, Instant};

use super::error::OpenError;

/// Where a document is in its life.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    /// It is being read from the store.
    Loading,
    /// It has sessions.
    Active,
    /// It has none, and stays until then.
    Idle {
        /// When it begins to retire.
        until: Instant,
    },
    /// It leaves memory as soon as everything is durable, if nobody wants it.
    Retiring,
    /// The server goes down: it has no sessions, takes none, and ends when everything is durable.
    Draining,
    /// Its memory met an error of ours and was thrown away. As soon as everything is durable it is loaded again.
    Rebuilding,
    /// What is stored has another history by now. Its sessions end, and it is loaded again.
    Outdated,
    /// It cannot be served.
    Failed(Failure),
    /// It was deleted: its sessions end, and it leaves memory.
    Deleted,
    /// It is no longer in memory.
    Gone,
}

/// Why a document cannot be served.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Failure {
    /// It could not be loaded. It leaves the directory, and the next to open it tries again.
    Load(OpenError),
    /// It met two errors of ours. It stays in the directory, so that nobody tries again; its bytes stay in the store.
    Quarantined,
}

/// What happens to a document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Event {
    /// The load succeeded.
    Loaded,
    /// The load failed.
    LoadFailed(OpenError),
    /// It has sessions.
    Occupied,
    /// It has none.
    Vacant,
    /// Time has passed.
    Tick,
    /// Others need the room that it takes.
    Pressed,
    /// Everything is durable.
    Settled,
    /// The directory has let it go.
    Released,
    /// The directory keeps it: somebody holds a handle, or has sent something.
    Wanted,
    /// An error of ours.
    Panicked,
    /// It is gone from the store.
    Deleted,
    /// The store takes nothing of this history any more.
    Outdated,
    /// The server goes down.
    Drain,
}

/// A document's place in its life. [`Life::on`] is all that moves it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Life {
    pub(crate) phase: Phase,
    /// It has met an error of ours before.
    rebuilt: bool,
    idle: Duration,
}

/// How soon a document that wanted to leave and was kept asks again, at the earliest.
const ASK_AGAIN: Duration = Duration::from_secs(1);

impl Life {
    /// The beginning. Without sessions the document stays for `idle`.
    pub(crate) fn new(idle: Duration) -> Self {
        Self { phase: Phase::Loading, rebuilt: false, idle }
    }

    /// The life after an event. An event that means nothing in a phase leaves it as it is.
    #[expect(clippy::match_same_arms, reason = "a table, with one line for each transition")]
    pub(crate) fn on(self, event: Event, now: Instant) -> Self {
        let idle = |pause| Phase::Idle { until: now + pause };
        let phase = match (self.phase, event) {
            // These end in themselves.
            (phase @ (Phase::Gone | Phase::Deleted | Phase::Failed(_)), _) => phase,

            (Phase::Loading, Event::Loaded) => idle(self.idle),
            (Phase::Loading, Event::LoadFailed(error)) => Phase::Failed(Failure::Load(error)),

            (Phase::Idle { .. } | Phase::Retiring, Event::Occupied) => Phase::Active,
            (Phase::Active, Event::Vacant) => idle(self.idle),
            (Phase::Idle { until }, Event::Tick) if until <= now => Phase::Retiring,

            (Phase::Idle { .. }, Event::Pressed) => Phase::Retiring,

            (Phase::Retiring, Event::Wanted) => idle(self.idle.max(ASK_AGAIN)),
            (Phase::Retiring, Event::Released) => Phase::Gone,
            (Phase::Draining, Event::Settled) => Phase::Gone,
            (Phase::Rebuilding | Phase::Outdated, Event::Settled) => Phase::Loading,

            (phase @ (Phase::Draining | Phase::Rebuilding | Phase::Outdated), Event::Panicked) => phase,
            (_, Event::Panicked) if self.rebuilt => Phase::Failed(Failure::Quarantined),
            (_, Event::Panicked) => return Self { phase: Phase::Rebuilding, rebuilt: true, ..self },
            (Phase::Active | Phase::Idle { .. } | Phase::Retiring, Event::Outdated) => Phase::Outdated,
            (_, Event::Deleted) => Phase::Deleted,
            (_, Event::Drain) => Phase::Draining,

            (phase, _) => phase,
        };
        Self { phase, ..self }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const IDLE: Duration = Duration::from_secs(30);

    fn life(phase: Phase) -> Life {
        Life { phase, rebuilt: false, idle: IDLE }
    }

    #[test]
    fn transitions() {
        let now = Instant::now();
        let until = now + IDLE;
        let damaged = OpenError::Damaged("x".into());
        let failed = Phase::Failed(Failure::Load(damaged.clone()));
        let table = [
            (Phase::Loading, Event::Loaded, Phase::Idle { until }),
            (Phase::Loading, Event::LoadFailed(damaged), failed.clone()),
            (Phase::Loading, Event::Drain, Phase::Draining),
            (Phase::Idle { until }, Event::Occupied, Phase::Active),
            (Phase::Idle { until }, Event::Tick, Phase::Idle { until }),
            (Phase::Idle { until: now }, Event::Tick, Phase::Retiring),
            (Phase::Idle { until }, Event::Vacant, Phase::Idle { until }),
            (Phase::Idle { until }, Event::Settled, Phase::Idle { until }),
            (Phase::Idle { until }, Event::Drain, Phase::Draining),
            (Phase::Active, Event::Occupied, Phase::Active),
            (Phase::Active, Event::Vacant, Phase::Idle { until }),
            (Phase::Active, Event::Tick, Phase::Active),
            (Phase::Active, Event::Settled, Phase::Active),
            (Phase::Active, Event::Panicked, Phase::Rebuilding),
            (Phase::Active, Event::Drain, Phase::Draining),
            // Somebody came while the rest was being written: nothing is thrown away.
            (Phase::Retiring, Event::Occupied, Phase::Active),
            (Phase::Retiring, Event::Vacant, Phase::Retiring),
            // Durable alone is not enough, the directory has to agree.
            (Phase::Retiring, Event::Settled, Phase::Retiring),
            (Phase::Retiring, Event::Wanted, Phase::Idle { until }),
            (Phase::Retiring, Event::Released, Phase::Gone),
            (Phase::Retiring, Event::Drain, Phase::Draining),
            (Phase::Retiring, Event::Panicked, Phase::Rebuilding),
            (Phase::Rebuilding, Event::Settled, Phase::Loading),
            (Phase::Active, Event::Outdated, Phase::Outdated),
            (Phase::Retiring, Event::Outdated, Phase::Outdated),
            (Phase::Outdated, Event::Settled, Phase::Loading),
            (Phase::Outdated, Event::Drain, Phase::Draining),
            (Phase::Draining, Event::Outdated, Phase::Draining),
            (Phase::Rebuilding, Event::Drain, Phase::Draining),
            (Phase::Draining, Event::Settled, Phase::Gone),
            (Phase::Draining, Event::Occupied, Phase::Draining),
            (Phase::Draining, Event::Panicked, Phase::Draining),
            (Phase::Gone, Event::Occupied, Phase::Gone),
            (Phase::Active, Event::Deleted, Phase::Deleted),
            (Phase::Idle { until }, Event::Deleted, Phase::Deleted),
            (Phase::Deleted, Event::Settled, Phase::Deleted),
            (Phase::Deleted, Event::Drain, Phase::Deleted),
            (failed.clone(), Event::Loaded, failed),
        ];
        for (before, event, after) in table {
            assert_eq!(life(before.clone()).on(event.clone(), now).phase, after, "{before:?} on {event:?}");
        }
    }

    #[test]
    fn the_second_error_of_ours_quarantines() {
        let now = Instant::now();
        let mut life =
            life(Phase::Active).on(Event::Panicked, now).on(Event::Settled, now).on(Event::Loaded, now);
        assert_eq!(life.phase, Phase::Idle { until: now + IDLE });
        life = life.on(Event::Occupied, now);
        assert_eq!(life.clone().on(Event::Panicked, now).phase, Phase::Failed(Failure::Quarantined));
        // A load that fails is no error of ours.
        let unavailable = OpenError::Unavailable("x".into());
        let loading = Life { phase: Phase::Loading, ..life };
        assert_eq!(
            loading.on(Event::LoadFailed(unavailable.clone()), now).phase,
            Phase::Failed(Failure::Load(unavailable))
        );
    }

    #[test]
    fn a_document_that_is_kept_does_not_ask_all_the_time() {
        let now = Instant::now();
        let life = Life { idle: Duration::ZERO, ..life(Phase::Retiring) }.on(Event::Wanted, now);
        assert_eq!(life.phase, Phase::Idle { until: now + ASK_AGAIN });
    }
}
