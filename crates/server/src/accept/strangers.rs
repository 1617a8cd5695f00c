//! Connections of which nobody knows yet whose they are.
//!
//! Anyone can open connections and say nothing, or say it slowly. So there is a place for so many of them, and when all are
//! taken the one that has been there for longest goes. Who is let in leaves the place at once: however many strangers there are,
//! they cost nobody else a connection.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use tokio_util::sync::CancellationToken;

use crate::doc::Counters;

/// The strangers. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Strangers {
    state: Arc<Mutex<VecDeque<Weak<Place>>>>,
    most: usize,
    counters: Arc<Counters>,
}

/// A stranger's place, taken for as long as this is held.
#[derive(Debug)]
pub(crate) struct Place {
    go: CancellationToken,
}

impl Strangers {
    pub(crate) fn new(most: usize, counters: Arc<Counters>) -> Self {
        Self { state: Arc::default(), most: most.max(1), counters }
    }

    /// A place for one more. The one that has been here for longest goes if there is none left.
    pub(crate) fn enter(&self) -> Arc<Place> {
        let place = Arc::new(Place { go: CancellationToken::new() });
        let mut places = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if places.len() >= self.most {
            places.retain(|place| place.strong_count() > 0);
        }
        while places.len() >= self.most {
            let Some(oldest) = places.pop_front() else { break };
            if let Some(oldest) = oldest.upgrade() {
                oldest.go.cancel();
                Counters::add(&self.counters.strangers_evicted, 1);
            }
        }
        places.push_back(Arc::downgrade(&place));
        place
    }
}

impl Place {
    /// Waits until this one has to go. Cancel safe.
    pub(crate) async fn must_go(&self) {
        self.go.cancelled().await;
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;

    use super::*;

    #[test]
    fn the_oldest_goes_and_who_was_let_in_does_not_count() {
        let counters = Arc::<Counters>::default();
        let strangers = Strangers::new(2, Arc::clone(&counters));
        let first = strangers.enter();
        let known = strangers.enter();
        drop(known);
        let second = strangers.enter();
        assert!(first.must_go().now_or_never().is_none());
        let third = strangers.enter();
        assert!(first.must_go().now_or_never().is_some());
        assert!(second.must_go().now_or_never().is_none() && third.must_go().now_or_never().is_none());
        assert_eq!(counters.strangers_evicted.load(std::sync::atomic::Ordering::Relaxed), 1);
    }
}
