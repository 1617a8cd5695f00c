//! The advisory locks of a store in its database.
//!
//! Their keys are pairs of numbers, of which the first says whose they are; other programs that use advisory locks in the same
//! database would have to take just these.

/// "Quir", as a number.
const QUIRE: i32 = 0x5175_6972;

/// "Quis", as a number.
const COMPACTION: i32 = 0x5175_6973;

/// What is locked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Lock {
    /// The schema, while it is changed.
    Schema,
    /// The use of the database: exclusively by a server that wants it alone, shared by those that share it. Held by a connection of
    /// its own, as long as that lives.
    Usage,
    /// Writing: shared by transactions that write, exclusively by who begins a new term.
    Writing,
    /// The compaction of the document of this number. Two numbers may have the same key; then one of them waits for its next turn.
    Compaction(u64),
}

impl Lock {
    pub(super) fn key(self) -> (i32, i32) {
        match self {
            Self::Schema => (QUIRE, 1),
            Self::Usage => (QUIRE, 2),
            Self::Writing => (QUIRE, 3),
            Self::Compaction(number) => (COMPACTION, i32::try_from(number & 0x7fff_ffff).unwrap_or_default()),
        }
    }
}
