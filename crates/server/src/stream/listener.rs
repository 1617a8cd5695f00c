//! Somebody who may listen, for as long as it may.

use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::auth::{Pass, PassEvent, Right};
use crate::doc::Counters;
use crate::seldom::Seldom;
use crate::transport::{Close, Place};

/// Somebody who listens. Counts as a connection for as long as it is held.
#[derive(Debug)]
pub(crate) struct Listener {
    /// Ready when listening is over, with the reason.
    pub(super) ending: Seldom<'static, Close>,
    /// See the setting `keepalive`.
    pub(super) keepalive: Duration,
    _listening: Listening,
    _place: Place,
}

/// Counts those who listen, for as long as it is held.
#[derive(Debug)]
struct Listening(Arc<Counters>);

impl Listening {
    fn new(counters: Arc<Counters>) -> Self {
        Counters::add(&counters.listeners, 1);
        Self(counters)
    }
}

impl Drop for Listening {
    fn drop(&mut self) {
        Counters::sub(&self.0.listeners, 1);
    }
}

impl Listener {
    /// By this pass, as long as it gives at least this right, and until `stop`.
    pub(crate) fn new(
        pass: Pass,
        needed: Right,
        place: Place,
        keepalive: Duration,
        stop: CancellationToken,
        counters: &Arc<Counters>,
    ) -> Self {
        let ending = Seldom::new(ending(pass, needed, stop, Arc::clone(counters)));
        Self { ending, keepalive, _listening: Listening::new(Arc::clone(counters)), _place: place }
    }
}

async fn ending(mut pass: Pass, needed: Right, stop: CancellationToken, counters: Arc<Counters>) -> Close {
    loop {
        let event = tokio::select! {
            biased;
            () = stop.cancelled() => return Close::Restart,
            event = pass.event() => event,
        };
        match event {
            PassEvent::Rights(rights) if rights.right >= needed => {}
            // A stream cannot be given another token.
            PassEvent::Expiring => {}
            PassEvent::Rights(_) | PassEvent::Revoked => {
                Counters::add(&counters.revoked, 1);
                return Close::Revoked;
            }
            PassEvent::Expired => {
                Counters::add(&counters.expired, 1);
                return Close::Expired;
            }
        }
    }
}
