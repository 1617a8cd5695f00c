//! Which client ids are one person.

use std::fmt;
use std::sync::Arc;

/// A person. The same key is the same person.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum PersonKey {
    /// Who the token says it is.
    Known(Arc<str>),
    /// Who says so itself, where nobody knows: the awareness field `user.id`.
    Claimed(Arc<str>),
    /// Somebody who says nothing: one client id.
    Client(u64),
}

impl PersonKey {
    /// Reads what [`Display`](fmt::Display) has written.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        match text.split_once(':')? {
            ("user", user) => Some(Self::Known(user.into())),
            ("claimed", id) => Some(Self::Claimed(id.into())),
            ("client", client) => client.parse().ok().map(Self::Client),
            _ => None,
        }
    }
}

impl fmt::Display for PersonKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Known(user) => write!(f, "user:{user}"),
            Self::Claimed(id) => write!(f, "claimed:{id}"),
            Self::Client(client) => write!(f, "client:{client}"),
        }
    }
}
