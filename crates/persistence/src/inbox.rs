//! Inboxes: notifications for users, kept until they are read, pushed out by newer ones, or expired.

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;

use crate::error::StoreError;

/// The name of a user: 1 to 255 bytes of UTF-8 without control characters. Cheap to clone.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct UserId(Arc<str>);

impl UserId {
    /// `None` if it is no name that a user can have.
    pub fn new(name: &str) -> Option<Self> {
        let is_one = (1..=255).contains(&name.len()) && !name.chars().any(char::is_control);
        is_one.then(|| Self(name.into()))
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for UserId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The most bytes of a notification's [body](Posting::body).
pub const BODY_BYTES: usize = 4 << 10;

/// The most bytes of a [key](Posting::key).
pub const KEY_BYTES: usize = 255;

/// A notification on its way into an inbox. Times are milliseconds since 1970.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Posting {
    /// Of two with the same key the second is taken for a repetition of the first, as long as that is kept. At most
    /// [`KEY_BYTES`].
    pub key: Option<Arc<str>>,
    /// When it was posted.
    pub posted: u64,
    /// From when on nobody wants to know of it.
    pub expires: u64,
    /// What it says. At most [`BODY_BYTES`]; the store does not look inside.
    pub body: Bytes,
}

/// What became of a posting.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Posted {
    /// Of the inbox: see [`Inbox::tag`].
    pub tag: u32,
    /// The place of the notification in it.
    pub number: u64,
    /// It is no repetition.
    pub is_new: bool,
    /// Notifications that nobody had read, and that had to go for it.
    pub evicted: u64,
}

/// A notification in an inbox. Times are milliseconds since 1970.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notification {
    /// Its place: each has a larger one than those before.
    pub number: u64,
    /// When it was posted.
    pub posted: u64,
    /// From when on it counts as gone.
    pub expires: u64,
    /// Whether its user has said so.
    pub is_read: bool,
    /// What it says.
    pub body: Bytes,
}

/// What is known of an inbox beside its notifications.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Inbox {
    /// Chosen when the inbox was made. An inbox of another tag is another one, and numbers in it mean something else.
    pub tag: u32,
    /// The number that was given last; 0 before the first.
    pub last: u64,
    /// The last number that was pushed out unexpired; 0 if none was. Who knows of none behind an earlier one has missed some.
    pub evicted: u64,
    /// All up to this number are read; behind it, each says so itself.
    pub read_up_to: u64,
}

/// Which notifications are read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Marks {
    /// All up to this number.
    UpTo(u64),
    /// These.
    These(Vec<u64>),
}

/// A durable store of inboxes, one for each user. Calls block, and may run at the same time from many threads; what changes an
/// inbox is synced to the device when it returns.
pub trait Inboxes: Send + Sync + fmt::Debug {
    /// Puts a notification into an inbox, which comes into being with its first one and then takes `tag`. At most `keep` stay
    /// in it: expired ones go first, then the oldest. After an error it is not known whether it is in; with a key it can be
    /// posted again without harm.
    fn post(&self, user: &UserId, posting: &Posting, keep: usize, tag: u32) -> Result<Posted, StoreError>;

    /// The inbox, and at most `limit` of what is in it behind `after`, in the order of numbers, without what has expired at `now`.
    /// `None` if nothing was ever posted. Fewer than `limit` means that the end is reached.
    fn inbox(
        &self,
        user: &UserId,
        after: u64,
        limit: usize,
        now: u64,
    ) -> Result<Option<(Inbox, Vec<Notification>)>, StoreError>;

    /// Notes that these are read. Numbers of which there is nothing are passed over.
    fn mark_read(&self, user: &UserId, marks: &Marks) -> Result<(), StoreError>;

    /// Lets go of what has expired at `now`, in all inboxes. Gives how many. To be called now and then.
    fn expire(&self, now: u64) -> Result<u64, StoreError>;
}
