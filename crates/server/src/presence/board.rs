//! Where the task of a document writes who is there.

use std::time::Instant;

use quire_sync_protocol::{DocId, PresenceChange};

use super::Moment;
use super::people::Move;
use super::whereabouts::{Attendance, Whereabouts};
use crate::stream::News;
use crate::transport::Close;

/// One document's part of the [`Whereabouts`]. Its people have left when it is dropped.
#[derive(Debug)]
pub(crate) struct Board {
    whereabouts: Whereabouts,
    doc: DocId,
    /// Held while anybody is there.
    attendance: Option<Attendance>,
    /// When somebody's typing ends unless they give a sign of life.
    wake: Option<Instant>,
}

impl Board {
    pub(crate) fn new(whereabouts: &Whereabouts, doc: &DocId) -> Self {
        Self { whereabouts: whereabouts.clone(), doc: doc.clone(), attendance: None, wake: None }
    }

    /// Takes what the room says has changed.
    pub(crate) fn apply(&mut self, changes: &[PresenceChange], now: Instant) {
        let at = Moment::at(now);
        let attendance = match self.attendance.take() {
            Some(attendance) => attendance,
            None => self.whereabouts.of(&self.doc),
        };
        let (moves, wake, is_empty) = attendance.feed().update(|people, news| {
            let moves = people.apply(changes, at, news);
            (moves, people.wake(), people.is_empty())
        });
        self.whereabouts.note(&self.doc, &moves, at);
        self.wake = wake;
        self.attendance = (!is_empty).then_some(attendance);
    }

    /// Time has passed.
    pub(crate) fn tick(&mut self, now: Instant) {
        let Some(attendance) = self.attendance.as_ref().filter(|_| self.wake.is_some_and(|wake| wake <= now))
        else {
            return;
        };
        self.wake = attendance.feed().update(|people, news| {
            people.tick(Moment::at(now), news);
            people.wake()
        });
    }

    /// When to [`tick`](Self::tick) next.
    pub(crate) fn wake(&self) -> Option<Instant> {
        self.wake
    }

    /// The room is no more, and nobody is in it.
    pub(crate) fn clear(&mut self) {
        self.wake = None;
        let Some(attendance) = self.attendance.take() else { return };
        let at = Moment::now();
        let clear = |people: &mut super::People, news: &mut News| -> Vec<Move> { people.clear(at, news) };
        let moves = attendance.feed().update(clear);
        self.whereabouts.note(&self.doc, &moves, at);
    }
}

impl Board {
    /// The document was deleted: tells those who listen, too.
    pub(crate) fn delete(&mut self) {
        self.clear();
        self.whereabouts.end(&self.doc, Close::Deleted);
    }
}

impl Drop for Board {
    fn drop(&mut self) {
        self.clear();
    }
}
