//! What this node hears.

use std::sync::{Arc, Weak};
use std::time::Duration;

use quire_persistence::UserId;
use quire_relay::{Event, Events, Message, NodeId, State, Topic};
use quire_sync_protocol::DocId;
use tokio::time::{sleep, timeout};

use super::Shared;
use super::topics::Task;
use crate::doc::{Command, Counters};
use crate::presence::elsewhere::Question;

/// How often it is looked whether the server still exists.
const STILL_THERE: Duration = Duration::from_secs(1);

/// Of very many documents that may have missed something, so many are told at a time, and then no more for a moment.
const TOLD_AT_ONCE: usize = 256;
const TELLING_PAUSE: Duration = Duration::from_millis(20);

/// Listens until the server is gone.
pub(super) async fn run(shared: Weak<Shared>, mut events: Events) {
    loop {
        let event = timeout(STILL_THERE, events.next()).await;
        let Some(shared) = shared.upgrade() else { return };
        if let Ok(event) = event {
            handle(&shared, event);
        }
    }
}

fn handle(shared: &Arc<Shared>, event: Event) {
    match event {
        Event::Heard { topic: Topic::Document(doc), from, message } => hear(shared, &doc, from, message),
        Event::Heard { topic: Topic::User(user), from: _, message } => {
            if let (Some(user), Message::Rung { event, says }) = (UserId::new(&user), message) {
                shared.users.ring(&user, Some((&event, &says)));
            }
        }
        Event::Heard { topic: Topic::Cluster, from, message } => hear_all(shared, from, message),
        Event::Subscribed(Topic::Document(doc)) => {
            if shared.topics.subscribed(&doc) {
                missed(shared, &doc);
            }
        }
        Event::Missed(Topic::Document(doc)) => missed(shared, &doc),
        Event::Subscribed(Topic::User(user)) | Event::Missed(Topic::User(user)) => {
            if let Some(user) = UserId::new(&user) {
                shared.users.ring(&user, None);
            }
        }
        Event::Subscribed(Topic::Cluster) | Event::Missed(Topic::Cluster) => {}
        Event::MissedAny => {
            shared.users.missed();
            tokio::spawn(tell_all(Arc::clone(shared)));
        }
        Event::State(State::Connected) => {
            shared.note_state(&State::Connected);
            tracing::info!("connected to other servers");
        }
        Event::State(State::Apart { why }) => {
            shared.note_state(&State::Apart { why: Arc::clone(&why) });
            tracing::warn!(%why, "cut off from other servers; edits reach them through the store until the connection is back");
        }
    }
}

fn hear(shared: &Shared, doc: &DocId, from: NodeId, message: Message) {
    if let Message::Settled { to, question } = message {
        if to == shared.relay.node() {
            shared.pending.answered(question, None);
        }
        return;
    }
    let Some(Task { mailbox, knows }) = shared.topics.task(doc) else { return };
    Counters::add(&shared.counters.nodes_heard, 1);
    match mailbox.space_now(message.weight()) {
        // A task that is gone has missed nothing.
        Some(space) => drop(mailbox.send(Command::Heard { from, message, space })),
        None => note_missed(shared, &Task { mailbox, knows }),
    }
}

/// What concerns no document.
fn hear_all(shared: &Shared, from: NodeId, message: Message) {
    match message {
        Message::Question { question, says } => {
            let answer = shared.addresses.answer(shared.relay.node(), &says);
            let answer = answer.or_else(|| Question::answer(&says, &shared.whereabouts)).unwrap_or_default();
            let answer = Message::Answer { to: from, question, says: answer.into() };
            shared.publish(&Topic::Cluster, &answer);
        }
        Message::Answer { to, question, says } if to == shared.relay.node() => {
            shared.pending.answered(question, Some(says));
        }
        Message::Answer { .. }
        | Message::Alive { .. }
        | Message::Revoked
        | Message::Rung { .. }
        | Message::Edits { .. }
        | Message::Presence(_)
        | Message::Announce(_)
        | Message::Broadcast { .. }
        | Message::Hello { .. }
        | Message::Settled { .. }
        | Message::Ended { .. } => {}
    }
}

fn missed(shared: &Shared, doc: &DocId) {
    if let Some(task) = shared.topics.task(doc) {
        note_missed(shared, &task);
    }
}

fn note_missed(shared: &Shared, task: &Task) {
    if task.missed() {
        Counters::add(&shared.counters.nodes_missed, 1);
    }
}

/// Anything may have been missed.
async fn tell_all(shared: Arc<Shared>) {
    let tasks = shared.topics.open();
    for tasks in tasks.chunks(TOLD_AT_ONCE) {
        for (_, task) in tasks {
            note_missed(&shared, task);
        }
        sleep(TELLING_PAUSE).await;
    }
}
