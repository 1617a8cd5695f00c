//! Who is where, over all documents.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ops::Bound;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::task::{Context, Poll};

use quire_sync_protocol::DocId;
use serde_json::json;

use super::Moment;
use super::lingering::{LINGER, Lingering};
use super::people::{Move, People};
use super::person::PersonKey;
use crate::doc::{Counters, DocHandle};
use crate::stream::{After, Cursor, Feed, Next, Reader, Source, tag};
use crate::transport::Close;

/// People who have left that are remembered. Of more, those who left first are forgotten.
const REMEMBERED: usize = 100_000;

/// Who is where. Cheap to clone; all clones are the same.
#[derive(Clone, Debug)]
pub(crate) struct Whereabouts(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    /// Bytes of events that are kept for each document.
    log_bytes: usize,
    counters: Arc<Counters>,
    documents: Mutex<HashMap<DocId, Weak<Held>>>,
    persons: Mutex<Persons>,
    lingering: Lingering,
}

/// The people in one document, for as long as somebody is there, or listens. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Attendance {
    held: Arc<Held>,
    /// The document, kept open.
    handle: Option<Arc<DocHandle>>,
}

#[derive(Debug)]
struct Held {
    feed: Feed<People>,
    doc: DocId,
    whereabouts: Whereabouts,
}

/// Where somebody is, or was.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Sighting {
    /// The documents it is in.
    pub(crate) docs: Vec<DocId>,
    /// When it left a document, and which: the last time.
    pub(crate) last: Option<(u64, DocId)>,
}

#[derive(Debug, Default)]
struct Persons {
    here: BTreeMap<PersonKey, BTreeSet<DocId>>,
    /// In the order of leaving.
    left: BTreeMap<(u64, PersonKey), DocId>,
    /// When each left.
    left_at: HashMap<PersonKey, u64>,
}

impl Whereabouts {
    /// `log_bytes`: bytes of events that are kept for each document, for those who are slow or come back.
    pub(crate) fn new(log_bytes: usize, counters: Arc<Counters>) -> Self {
        let (documents, persons) = (Mutex::default(), Mutex::default());
        Self(Arc::new(Shared { log_bytes, counters, documents, persons, lingering: Lingering::default() }))
    }

    /// Lets go of documents that nobody has come back to, for as long as it is polled; of all of them, for good, when it is
    /// dropped. Without it they stay.
    pub(crate) async fn let_go(self) {
        let all = LetGo(&self.0.lingering);
        loop {
            tokio::time::sleep(LINGER).await;
            all.0.turn();
        }
    }

    /// The people in this document, whether it is in memory or not.
    pub(crate) fn of(&self, doc: &DocId) -> Attendance {
        let mut documents = self.0.documents.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(found) = documents.get(doc).and_then(Weak::upgrade) {
            return Attendance { held: found, handle: None };
        }
        let (log_bytes, counters) = (self.0.log_bytes, Arc::clone(&self.0.counters));
        let feed = Feed::new(People::default(), tag(), log_bytes, counters);
        let held = Arc::new(Held { feed, doc: doc.clone(), whereabouts: self.clone() });
        documents.insert(doc.clone(), Arc::downgrade(&held));
        Attendance { held, handle: None }
    }

    /// Ends what listeners hear of this document. Who comes later hears of the next one of the name.
    pub(super) fn end(&self, doc: &DocId, why: Close) {
        let held = self.0.documents.lock().unwrap_or_else(PoisonError::into_inner).remove(doc);
        if let Some(held) = held.and_then(|held| held.upgrade()) {
            held.feed.end(why);
        }
        self.0.lingering.forget(doc);
    }

    /// Tells those who listen to this document something that is not stored.
    pub(crate) fn broadcast(&self, doc: &DocId, from: Option<&str>, text: &str) {
        let held = {
            let documents = self.0.documents.lock().unwrap_or_else(PoisonError::into_inner);
            documents.get(doc).and_then(Weak::upgrade)
        };
        if let Some(held) = held {
            let says = json!({ "from": from.map(|user| format!("user:{user}")), "payload": text });
            held.feed.update(|_, news| news.push("broadcast", says.to_string()));
        }
    }

    /// Notes who has come to a document and who has left it.
    pub(super) fn note(&self, doc: &DocId, moves: &[Move], at: Moment) {
        if moves.is_empty() {
            return;
        }
        let mut persons = self.persons();
        for one in moves {
            match one {
                Move::Came(PersonKey::Client(_)) | Move::Left(PersonKey::Client(_)) => {}
                Move::Came(person) => persons.came(person, doc),
                Move::Left(person) => persons.left(person, doc, at.wall),
            }
        }
    }

    /// Where somebody is, or was.
    pub(crate) fn sighting(&self, person: &PersonKey) -> Sighting {
        let persons = self.persons();
        let docs = persons.here.get(person).map(|docs| docs.iter().cloned().collect()).unwrap_or_default();
        let last = persons.left_at.get(person).and_then(|at| {
            let doc = persons.left.get(&(*at, person.clone()))?;
            Some((*at, doc.clone()))
        });
        Sighting { docs, last }
    }

    /// At most `limit` of those who are online, behind `after`, in the order of their keys, each with its documents.
    pub(crate) fn online(&self, after: Option<&PersonKey>, limit: usize) -> Vec<(PersonKey, Vec<DocId>)> {
        let persons = self.persons();
        let from = after.map_or(Bound::Unbounded, Bound::Excluded);
        let behind = persons.here.range::<PersonKey, _>((from, Bound::Unbounded));
        behind.take(limit).map(|(person, docs)| (person.clone(), docs.iter().cloned().collect())).collect()
    }

    fn persons(&self) -> std::sync::MutexGuard<'_, Persons> {
        self.0.persons.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Persons {
    fn came(&mut self, person: &PersonKey, doc: &DocId) {
        self.here.entry(person.clone()).or_default().insert(doc.clone());
    }

    fn left(&mut self, person: &PersonKey, doc: &DocId, wall: u64) {
        if let Some(docs) = self.here.get_mut(person) {
            docs.remove(doc);
            if docs.is_empty() {
                self.here.remove(person);
            }
        }
        if let Some(before) = self.left_at.insert(person.clone(), wall) {
            self.left.remove(&(before, person.clone()));
        }
        self.left.insert((wall, person.clone()), doc.clone());
        if self.left.len() > REMEMBERED
            && let Some(((_, forgotten), _)) = self.left.pop_first()
        {
            self.left_at.remove(&forgotten);
        }
    }
}

impl Attendance {
    /// Who is there, with what has changed of late.
    pub(crate) fn feed(&self) -> &Feed<People> {
        &self.held.feed
    }

    /// The same, and keeps the document open.
    #[must_use]
    pub(crate) fn holding(mut self, handle: Option<DocHandle>) -> Self {
        self.handle = handle.map(Arc::new);
        self
    }

    /// Listens to what changes.
    pub(crate) fn listen(self, after: After) -> Listening {
        Listening { reader: self.held.feed.reader(after), attendance: self }
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        let shared = Arc::clone(&self.whereabouts.0);
        let mut documents = shared.documents.lock().unwrap_or_else(PoisonError::into_inner);
        // Somebody may have made another one in between.
        if documents.get(&self.doc).is_some_and(|held| held.strong_count() == 0) {
            documents.remove(&self.doc);
        }
    }
}

/// Lets go of everything that lingers when it is dropped.
struct LetGo<'a>(&'a Lingering);

impl Drop for LetGo<'_> {
    fn drop(&mut self) {
        self.0.close();
    }
}

/// Somebody who listens to who comes and goes. Who comes back soon misses nothing.
#[derive(Debug)]
pub(crate) struct Listening {
    reader: Reader<People>,
    attendance: Attendance,
}

impl Drop for Listening {
    fn drop(&mut self) {
        let Held { feed, doc, whereabouts } = &*self.attendance.held;
        if !feed.has_ended() {
            whereabouts.0.lingering.keep(doc, self.attendance.clone());
        }
    }
}

impl Source for Listening {
    fn poll_event(&mut self, cx: &mut Context<'_>) -> Poll<Next> {
        self.reader.poll_event(cx)
    }

    fn place(&self) -> Cursor {
        self.reader.place()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn doc(name: &str) -> DocId {
        DocId::new(name).unwrap()
    }

    fn ada() -> PersonKey {
        PersonKey::Known("ada".into())
    }

    #[test]
    fn somebody_is_seen_in_every_document_and_remembered_behind_the_last() {
        let whereabouts = Whereabouts::new(1000, Arc::default());
        let at = |wall| Moment { now: std::time::Instant::now(), wall };
        whereabouts.note(&doc("a"), &[Move::Came(ada()), Move::Came(PersonKey::Client(1))], at(1));
        whereabouts.note(&doc("b"), &[Move::Came(ada())], at(2));
        assert_eq!(whereabouts.sighting(&ada()), Sighting { docs: vec![doc("a"), doc("b")], last: None });
        assert_eq!(whereabouts.online(None, 10).len(), 1);
        assert_eq!(whereabouts.online(Some(&ada()), 10), []);
        whereabouts.note(&doc("a"), &[Move::Left(ada())], at(3));
        whereabouts.note(&doc("b"), &[Move::Left(ada())], at(4));
        assert_eq!(whereabouts.sighting(&ada()), Sighting { docs: vec![], last: Some((4, doc("b"))) });
        assert_eq!(whereabouts.online(None, 10), []);
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let mut persons = Persons::default();
        for number in 0..REMEMBERED as u64 + 10 {
            persons.left(&PersonKey::Claimed(number.to_string().into()), &doc("a"), number);
        }
        assert_eq!((persons.left.len(), persons.left_at.len()), (REMEMBERED, REMEMBERED));
        assert!(!persons.left_at.contains_key(&PersonKey::Claimed("9".into())));
    }

    #[test]
    fn a_document_is_kept_while_somebody_is_there_or_listens() {
        let whereabouts = Whereabouts::new(1000, Arc::default());
        let listening = whereabouts.of(&doc("a")).listen(After::Beginning);
        let again = whereabouts.of(&doc("a"));
        assert_eq!(again.feed().snapshot().id, Some(listening.place()));
        drop((listening, again));
        drop(LetGo(&whereabouts.0.lingering));
        assert!(whereabouts.0.documents.lock().unwrap().is_empty());
    }

    #[test]
    fn who_comes_back_hears_what_was_told_meanwhile() {
        let whereabouts = Whereabouts::new(1000, Arc::default());
        let mut listening = whereabouts.of(&doc("a")).listen(After::Beginning);
        let next = |listening: &mut Listening| match listening
            .poll_event(&mut Context::from_waker(std::task::Waker::noop()))
        {
            Poll::Ready(Next::Event(event)) => Some(event.name),
            Poll::Ready(Next::End(_)) | Poll::Pending => None,
        };
        assert_eq!(next(&mut listening), Some("presence"));
        let place = listening.place();
        drop(listening);
        whereabouts.0.lingering.turn();
        whereabouts.broadcast(&doc("a"), None, "nobody listens");
        let mut again = whereabouts.of(&doc("a")).listen(After::Place(place));
        assert_eq!((next(&mut again), next(&mut again)), (Some("broadcast"), None));
        // Of a document that was deleted nothing is kept.
        whereabouts.end(&doc("a"), Close::Deleted);
        let gone = Arc::downgrade(&again.attendance.held);
        drop(again);
        assert!(gone.upgrade().is_none());
    }
}
