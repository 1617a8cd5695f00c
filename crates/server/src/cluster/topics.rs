//! The documents that this node hears of.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use quire_sync_protocol::DocId;
use tokio::sync::watch;

use crate::doc::{Command, Mailbox};

/// The documents that this node hears of.
#[derive(Debug, Default)]
pub(super) struct Topics(Mutex<Table>);

#[derive(Debug, Default)]
struct Table {
    documents: HashMap<DocId, Document>,
    last: u64,
}

/// A document that this node hears of.
#[derive(Debug)]
struct Document {
    members: usize,
    /// Its task, if it is open.
    task: Option<(u64, Task)>,
    subscribed: watch::Sender<bool>,
}

/// The task of a document.
#[derive(Clone, Debug)]
pub(super) struct Task {
    pub(super) mailbox: Mailbox,
    pub(super) knows: Arc<Knowledge>,
}

/// What the task of a document knows, for those who look at the store on its behalf.
#[derive(Debug, Default)]
pub(super) struct Knowledge {
    /// The epoch that is open.
    pub(super) epoch: AtomicU64,
    /// The seq up to which nothing lacks.
    pub(super) reached: AtomicU64,
    /// It has been told that it may have missed something, and has not come to it yet.
    pub(super) is_told: AtomicBool,
}

/// What became of an entry.
#[derive(Debug)]
pub(super) struct Entry {
    /// Which one it is.
    pub(super) number: u64,
    /// Becomes true when everything is heard.
    pub(super) subscribed: watch::Receiver<bool>,
}

impl Topics {
    /// One more member for a document. `subscribe` is called for the first one, before anybody else can enter or leave.
    pub(super) fn enter(&self, doc: &DocId, task: Option<Task>, subscribe: impl FnOnce()) -> Entry {
        let mut table = self.lock();
        table.last += 1;
        let number = table.last;
        let document = table.documents.entry(doc.clone()).or_insert_with(|| Document {
            members: 0,
            task: None,
            subscribed: watch::Sender::new(false),
        });
        document.members += 1;
        if let Some(task) = task {
            document.task = Some((number, task));
        }
        if document.members == 1 {
            subscribe();
        }
        Entry { number, subscribed: document.subscribed.subscribe() }
    }

    /// A member has gone. `unsubscribe` is called for the document's last one, before anybody else can enter or leave.
    pub(super) fn leave(&self, doc: &DocId, number: u64, unsubscribe: impl FnOnce()) {
        let mut table = self.lock();
        let Some(document) = table.documents.get_mut(doc) else { return };
        document.members -= 1;
        if document.task.as_ref().is_some_and(|(task, _)| *task == number) {
            document.task = None;
        }
        if document.members == 0 {
            table.documents.remove(doc);
            unsubscribe();
        }
    }

    /// Everything about a document is heard from now on. `true` if this was so before: then something may have been missed.
    pub(super) fn subscribed(&self, doc: &DocId) -> bool {
        let table = self.lock();
        table.documents.get(doc).is_some_and(|document| document.subscribed.send_replace(true))
    }

    /// The task of a document, if it is open.
    pub(super) fn task(&self, doc: &DocId) -> Option<Task> {
        self.lock().documents.get(doc)?.task.as_ref().map(|(_, task)| task.clone())
    }

    /// The documents that are open.
    pub(super) fn open(&self) -> Vec<(DocId, Task)> {
        let table = self.lock();
        let tasks = table.documents.iter().filter_map(|(doc, document)| {
            let (_, task) = document.task.as_ref()?;
            Some((doc.clone(), task.clone()))
        });
        tasks.collect()
    }

    fn lock(&self) -> MutexGuard<'_, Table> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Task {
    /// Tells it that it may have missed something, unless it has been told and has not come to it yet.
    pub(super) fn missed(&self) -> bool {
        let is_told = self.knows.is_told.swap(true, Ordering::AcqRel);
        // A task that is gone has missed nothing.
        !is_told && self.mailbox.send(Command::Missed).is_ok()
    }
}
