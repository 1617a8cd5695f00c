//! A look at the store, now and then, for what this node should have heard.
//!
//! A relay cannot know all that it loses. So the store is asked how far the open documents are, many at a time; only a document that is behind
//! does anything about it.

use std::sync::atomic::Ordering;
use std::sync::{Arc, Weak};
use std::time::Duration;

use quire_persistence::Head;
use quire_relay::State;
use quire_sync_protocol::DocId;
use tokio::time::sleep;

use super::Shared;
use super::topics::Task;
use crate::doc::{Command, Counters};

/// The time between two looks: while the relay works, and while it does not, when this is how edits reach the other nodes.
const CALM: Duration = Duration::from_secs(5);
const APART: Duration = Duration::from_secs(1);

/// Documents that are asked about at a time.
const AT_ONCE: usize = 512;

/// Looks until the server is gone.
pub(super) async fn run(shared: Weak<Shared>) {
    let mut waited = Duration::ZERO;
    loop {
        sleep(APART).await;
        let Some(shared) = shared.upgrade() else { return };
        waited += APART;
        let is_due = match shared.relay.state() {
            State::Connected => waited >= CALM,
            State::Apart { .. } => true,
        };
        if is_due {
            look(&shared).await;
            waited = Duration::ZERO;
        }
    }
}

async fn look(shared: &Arc<Shared>) {
    let open = shared.topics.open();
    for some in open.chunks(AT_ONCE) {
        let docs: Vec<DocId> = some.iter().map(|(doc, _)| doc.clone()).collect();
        let store = Arc::clone(&shared.store);
        match tokio::task::spawn_blocking(move || store.heads(&docs)).await {
            Ok(Ok(heads)) => {
                for ((doc, task), head) in some.iter().zip(heads) {
                    match head {
                        Ok(head) => compare(shared, task, head),
                        Err(error) => {
                            tracing::error!(%doc, %error, "it cannot be told how far a document is");
                        }
                    }
                }
            }
            Ok(Err(error)) => return tracing::warn!(%error, "the store does not say how far documents are"),
            // Only if the runtime ends.
            Err(_) => return,
        }
    }
}

fn compare(shared: &Shared, task: &Task, head: Option<Head>) {
    let reached = task.knows.reached.load(Ordering::Relaxed);
    let epoch = task.knows.epoch.load(Ordering::Relaxed);
    let is_behind = match head {
        // Before its first batch a task knows of no epoch, and lacks nothing yet.
        Some(head) => epoch > 0 && (head.seq.0 > reached || head.epoch.0 != epoch),
        None => reached > 0,
    };
    if is_behind {
        Counters::add(&shared.counters.nodes_missed, 1);
        // A task that is gone lacks nothing.
        let _ = task.mailbox.send(Command::Head(head.map(|head| (head.epoch.0, head.seq.0))));
    }
}
