//! The one question that every way of authorization answers: who is this, and what may they do?

use std::fmt;
use std::sync::Arc;
use std::time::SystemTime;

use futures_util::future::BoxFuture;
use quire_sync_protocol::DocId;

use super::caller::Caller;
use super::grants::Grants;

/// Tells who sent a request. The answer holds for the request alone, or for the connection that it opens until the
/// identity expires or is revoked.
pub(crate) trait Authorizer: fmt::Debug + Send + Sync {
    /// Who this is, by the credentials of the request; or why that is not known. `doc` is what the request is about, for
    /// those who answer for one document at a time; the grants decide all the same.
    ///
    /// Cancel safe.
    fn authorize<'a>(
        &'a self,
        caller: &'a Caller,
        doc: Option<&'a DocId>,
    ) -> BoxFuture<'a, Result<Identity, Refusal>>;
}

/// Somebody who is known, or an anonymous somebody with rights.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Identity {
    /// The user: the same text is the same person. `None` for whoever comes without a name.
    pub(crate) subject: Option<Arc<str>>,
    /// What others are shown.
    pub(crate) display: Display,
    /// When it ends, if it does.
    pub(crate) expires: Option<SystemTime>,
    /// What it may do.
    pub(crate) grants: Grants,
    /// Whether it may post notifications, whatever else it may do.
    pub(crate) may_notify: bool,
    /// When its credentials were made, if they say so: a revocation ends what is older.
    pub(crate) issued: Option<SystemTime>,
    /// The key that signed its credentials, if it has a name.
    pub(crate) key: Option<Arc<str>>,
}

impl Identity {
    /// Somebody without a name.
    pub(crate) fn anonymous(grants: Grants) -> Self {
        Self {
            subject: None,
            display: Display::default(),
            expires: None,
            grants,
            may_notify: false,
            issued: None,
            key: None,
        }
    }
}

/// What others are shown of a user.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Display {
    pub(crate) name: Option<Arc<str>>,
    pub(crate) color: Option<Arc<str>>,
}

/// Why nobody is known by these credentials. For the log; the client hears that it is refused and no more.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Refusal {
    /// There are none.
    #[error("there is no token")]
    NoCredentials,
    /// They are not what they should be.
    #[error("{0}")]
    Bad(&'static str),
    /// They name a key or an algorithm that is not accepted. Holds what, shortened and made printable.
    #[error("{what} {found:?} is not accepted")]
    Unaccepted {
        /// Key, algorithm, audience or issuer.
        what: &'static str,
        /// What the token says.
        found: String,
    },
    /// The claims cannot be read. Holds where and why, without their values.
    #[error("the claims cannot be read: {0}")]
    Claims(String),
    /// They have ended.
    #[error("the token has expired {} s ago", .0.as_secs())]
    Expired(std::time::Duration),
    /// They are from the future.
    #[error("the token is not valid for another {} s", .0.as_secs())]
    NotYet(std::time::Duration),
    /// Somebody took them back.
    #[error("what it gave was taken back")]
    Revoked,
    /// Whoever would know cannot be asked. Holds why.
    #[error("it cannot be found out who this is: {0}")]
    Unavailable(String),
}

/// A text of a stranger for the log: short and without control characters.
pub(crate) fn printable(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(64).collect()
}
