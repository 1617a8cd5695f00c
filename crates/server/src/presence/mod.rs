//! People: who is in a document, who types there, who is online, and when somebody was last seen.
//!
//! All of it follows from awareness, as the room of a document keeps it: a person is there while one of its client ids is, so a
//! person in several tabs is one, and one whose old connection ends late stays. The tasks of documents write ([`Board`]), whoever
//! asks by HTTP reads ([`Whereabouts`]). Nothing is stored.

mod board;
pub(crate) mod elsewhere;
mod glance;
mod lingering;
mod people;
mod person;
mod whereabouts;

pub(crate) use board::Board;
pub(crate) use people::People;
pub(crate) use person::PersonKey;
pub(crate) use whereabouts::{Attendance, Sighting, Whereabouts};

use std::time::{Instant, SystemTime, UNIX_EPOCH};

/// A moment, by the clock that measures and by the one that people read.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Moment {
    pub(crate) now: Instant,
    /// Milliseconds since 1970.
    pub(crate) wall: u64,
}

impl Moment {
    /// This moment.
    pub(crate) fn now() -> Self {
        Self::at(Instant::now())
    }

    /// This moment, which the measuring clock calls `now`.
    pub(crate) fn at(now: Instant) -> Self {
        let wall = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Self { now, wall: u64::try_from(wall.as_millis()).unwrap_or(u64::MAX) }
    }
}
