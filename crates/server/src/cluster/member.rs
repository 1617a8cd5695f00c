//! One document's membership among nodes.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use quire_relay::{Message, State, Topic};
use quire_sync_protocol::DocId;
use tokio::time::timeout;

use super::topics::{Entry, Knowledge, Task};
use super::{Cluster, ENTER};
use crate::doc::Mailbox;

/// While it exists, this node hears of the document.
#[derive(Debug)]
pub(crate) struct Member {
    cluster: Cluster,
    topic: Topic,
    doc: DocId,
    entry: Entry,
    knows: Arc<Knowledge>,
}

impl Member {
    pub(super) fn new(cluster: &Cluster, doc: &DocId, mailbox: Option<Mailbox>) -> Self {
        let knows = Arc::<Knowledge>::default();
        let task = mailbox.map(|mailbox| Task { mailbox, knows: Arc::clone(&knows) });
        let topic = Topic::Document(doc.clone());
        let entry = cluster.0.topics.enter(doc, task, || cluster.0.relay.subscribe(&topic));
        Self { cluster: cluster.clone(), topic, doc: doc.clone(), entry, knows }
    }

    /// Waits until everything that is said of the document is heard, and until the nodes that have it open have stored what their clients had
    /// brought and told who is present. Whoever then reads the store lacks nothing. Waits for no longer than a second, and not at all
    /// while the relay does not work. Cancel safe.
    pub(crate) async fn enter(&self) {
        let shared = &self.cluster.0;
        if shared.relay.state() != State::Connected {
            return;
        }
        let entering = async {
            let mut subscribed = self.entry.subscribed.clone();
            // The sender is there as long as this member.
            let _ = subscribed.wait_for(|subscribed| *subscribed).await;
            let question = shared.pending.ask();
            let hello = Message::Hello { question: question.number };
            if let Some(nodes) = shared.relay.ask(&self.topic, &hello).await {
                question.answered(nodes).await;
            }
        };
        if timeout(ENTER, entering).await.is_err() {
            tracing::debug!(doc = %self.doc, "other servers were not heard in time");
        }
    }

    /// Tells the other nodes that have the document open.
    pub(crate) fn publish(&self, message: &Message) {
        self.cluster.0.publish(&self.topic, message);
    }

    /// The task has the document of this epoch up to this seq.
    pub(crate) fn reached(&self, epoch: u64, seq: u64) {
        self.knows.epoch.store(epoch, Ordering::Relaxed);
        self.knows.reached.store(seq, Ordering::Relaxed);
    }

    /// The task has come to hear that it may have missed something.
    pub(crate) fn note_missed(&self) {
        self.knows.is_told.store(false, Ordering::Release);
    }
}

impl Drop for Member {
    fn drop(&mut self) {
        let relay = &self.cluster.0.relay;
        self.cluster.0.topics.leave(&self.doc, self.entry.number, || relay.unsubscribe(&self.topic));
    }
}
