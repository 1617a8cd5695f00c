//! The laws of Quire's protocol and store, held against any bytes.
//!
//! Each of [`frames()`], [`hocuspocus()`], [`ysweet()`], [`items()`], [`updates()`], [`awareness()`], [`room()`], [`records()`] and [`envelope()`] takes bytes, makes of them what a peer or a
//! device could have handed in, and panics where a law is broken. The fuzz targets in `fuzz/` are shells over them; the
//! tests of this crate replay what the fuzzer has found worth keeping, in `corpus/`. [`vectors`] gives the recorded
//! updates and frames of `tests/vectors`; [`redis`] starts real servers.
//!
//! **An id has one content** only if clients are honest. Bytes made up may say two things of one id; the first that comes
//! then wins, and what depends on the order of arrival is compared by ids only.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "all of this crate is test: it fails by panicking"
)]

mod awareness;
pub mod corpus;
mod dialects;
mod envelopes;
mod frames;
pub mod ids;
pub mod pieces;
#[cfg(unix)]
pub mod postgres;
mod records;
pub mod redis;
mod room;
mod updates;
pub mod vectors;

pub use awareness::awareness;
pub use dialects::{hocuspocus, items, ysweet};
pub use envelopes::envelope;
pub use frames::frames;
pub use records::records;
pub use room::room;
pub use updates::{accepted, updates};

/// What takes the bytes of a fuzz target.
pub type Target = fn(&[u8]);

/// All fuzz targets by name.
pub const TARGETS: [(&str, Target); 9] = [
    ("frames", frames),
    ("hocuspocus", hocuspocus),
    ("ysweet", ysweet),
    ("items", items),
    ("updates", updates),
    ("awareness", awareness),
    ("room", room),
    ("records", records),
    ("envelope", envelope),
];
