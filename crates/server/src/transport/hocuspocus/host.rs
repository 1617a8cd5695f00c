//! Opening documents for a connection.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use quire_sync_protocol::wire::hocuspocus::{Address, Token};
use quire_sync_protocol::{Access, Dialect, DocId, Limits};
use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::CancellationToken;
use tracing::warn;

use super::super::close::Close;
use super::super::life::Keepalive;
use super::super::quota::{Comes, Counted, Quotas};
use super::super::rate::Rates;
use crate::accept::Strangers;
use crate::auth::{self, CLOCK_SKEW, Caller, Gate, Pass, Permit, Right, Stamp};
use crate::doc::{Directory, JoinError, OpenError, Seat};
use crate::http::{ApiError, Refusal};

/// How long a document may take to be opened in one attempt.
const OPEN_WAIT: Duration = Duration::from_secs(20);

/// From one attempt to open a document to the next, which doubles.
const FIRST_PAUSE: Duration = Duration::from_secs(1);

/// The longest pause between two attempts.
const LONGEST_PAUSE: Duration = Duration::from_secs(16);

/// What a connection works with.
#[derive(Debug)]
pub(in crate::transport) struct Host {
    /// Who has made the connection, and what it showed.
    pub(in crate::transport) caller: Caller,
    pub(in crate::transport) directory: Directory,
    pub(in crate::transport) gate: Gate,
    pub(in crate::transport) limits: Limits,
    pub(in crate::transport) keepalive: Keepalive,
    pub(in crate::transport) quotas: Quotas,
    pub(in crate::transport) rates: Rates,
    /// Where a connection counts that has no document open.
    pub(in crate::transport) strangers: Strangers,
    pub(in crate::transport) stop: CancellationToken,
}

/// By what a document is to be opened.
#[derive(Debug)]
pub(super) enum Shown {
    /// A token, which is to be looked at.
    Token(Token),
    /// What a token has opened before: it may have been a ticket, which opens once.
    Permit(Permit),
}

/// How the opening of a document ended.
#[derive(Debug)]
pub(super) enum Opened {
    /// The client takes part, and counts.
    Seated(Seat, Entry, Counted),
    /// It may; it takes part already. What counts from now on.
    Checked(Entry),
    /// Nobody can say at present whether it may go on; so it does.
    Unchecked,
    /// It may not.
    Refused(Denial),
    /// Nobody can, until an operator has looked at it.
    Closed(Close),
    /// The client has left meanwhile.
    Left,
}

/// With what a client takes part.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) granted: Granted,
    pub(super) permit: Permit,
    /// What becomes of the permit.
    pub(super) pass: Pass,
    /// What is written into its presence.
    pub(super) stamp: Option<Stamp>,
}

/// What a token gives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Granted {
    pub(super) access: Access,
    /// Whether the others see that it is there.
    pub(super) presence: bool,
    /// Until when, if it ends.
    pub(super) until: Option<Instant>,
    /// The same as the token says it: another token has another.
    pub(super) expires: Option<SystemTime>,
}

/// Why a client may not take part.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Denial {
    /// For the client: a word for programs.
    pub(super) code: &'static str,
    /// For the log.
    pub(super) why: Cow<'static, str>,
    /// For the counters.
    pub(super) kind: Refusal,
}

impl Denial {
    /// What Hocuspocus says when a token does not open a document.
    pub(super) fn permission(why: impl Into<Cow<'static, str>>) -> Self {
        Self { code: "permission-denied", why: why.into(), kind: Refusal::NoRight }
    }

    /// The connection has as many documents as it may have.
    pub(super) fn too_many() -> Self {
        let why = "the connection has too many documents".into();
        Self { code: "too-many-documents", why, kind: Refusal::Bound }
    }

    /// There is no document of this name.
    fn bad_name(why: impl fmt::Display) -> Self {
        Self { code: "bad-document-name", why: why.to_string().into(), kind: Refusal::NoRight }
    }
}

/// Why nothing came of an attempt.
enum Failed {
    /// It would be the same again.
    Denied(Denial),
    /// Another may succeed.
    Passing,
}

impl From<ApiError> for Failed {
    fn from(error: ApiError) -> Self {
        match &error {
            // The client waits within the connection, where it costs least.
            ApiError::CannotAuthorize(_) | ApiError::TooOften => Self::Passing,
            ApiError::TooManyOf(_) => Self::Denied(Denial {
                code: "too-many-connections",
                why: error.for_log().into_owned().into(),
                kind: Refusal::Bound,
            }),
            other => Self::Denied(Denial {
                kind: other.refusal().unwrap_or(Refusal::NoRight),
                ..Denial::permission(other.for_log().into_owned())
            }),
        }
    }
}

impl Host {
    /// Finds out what the client may, opens the document and takes part. What fails and may pass is tried again, since the
    /// client, which waits, would not do so by itself. Ends early when the client has `left`.
    pub(super) async fn open(
        self: Arc<Self>,
        address: Address,
        shown: Shown,
        left: CancellationToken,
    ) -> Opened {
        let opening = async {
            let mut pause = FIRST_PAUSE;
            // Looked at once: a ticket is used up by that.
            let mut shown = shown;
            loop {
                match timeout(OPEN_WAIT, self.try_open(&address, &mut shown)).await {
                    Ok(Ok(opened)) => return opened,
                    Ok(Err(Failed::Denied(denial))) => return Opened::Refused(denial),
                    Ok(Err(Failed::Passing)) => {}
                    Err(_) => warn!(%address, "the document was not opened within {} s", OPEN_WAIT.as_secs()),
                }
                sleep(pause).await;
                pause = (2 * pause).min(LONGEST_PAUSE);
            }
        };
        left.run_until_cancelled(opening).await.unwrap_or(Opened::Left)
    }

    /// Looks at another token of a client that takes part. One who knows the answer has to be there: otherwise nothing
    /// changes, and the client may try again.
    pub(super) async fn check(
        self: Arc<Self>,
        address: Address,
        token: Token,
        left: CancellationToken,
    ) -> Opened {
        let checking = async {
            let admitted = async {
                let doc = name(&address)?;
                let permit = self.permit(&doc, &token).await?;
                Ok(self.entry(&doc, permit))
            };
            match admitted.await {
                Ok(entry) => Opened::Checked(entry),
                Err(Failed::Denied(denial)) => Opened::Refused(denial),
                Err(Failed::Passing) => Opened::Unchecked,
            }
        };
        left.run_until_cancelled(checking).await.unwrap_or(Opened::Left)
    }

    async fn try_open(&self, address: &Address, shown: &mut Shown) -> Result<Opened, Failed> {
        let doc = name(address)?;
        let permit = match shown {
            Shown::Token(token) => self.permit(&doc, token).await?,
            Shown::Permit(permit) => self.gate.again(permit, &doc)?,
        };
        *shown = Shown::Permit(permit.clone());
        let user = permit.identity().subject.as_ref();
        let counted = self.quotas.enter(self.caller.peer.ip(), user, Some(&doc), Comes::Anew, Instant::now());
        if matches!(counted, Err(ApiError::TooOften)) {
            Refusal::Bound.count(self.directory.counters());
        }
        let counted = counted?;
        let handle = match self.directory.open(&doc).await {
            Ok(handle) => handle,
            Err(OpenError::Draining) => return std::future::pending().await,
            Err(error @ (OpenError::Unavailable(_) | OpenError::Internal | OpenError::NoRoom)) => {
                warn!(%doc, %error, "the document cannot be opened, trying again");
                return Err(Failed::Passing);
            }
            Err(error @ OpenError::Damaged(_)) => {
                warn!(%doc, %error, "the document cannot be opened");
                return Ok(Opened::Closed(Close::Damaged));
            }
            Err(OpenError::Quarantined) => return Ok(Opened::Closed(Close::Quarantined)),
            Err(OpenError::Deleted) => return Ok(Opened::Closed(Close::Deleted)),
        };
        match handle.join(permit.setup(Dialect::Hocuspocus(address.clone()))).await {
            Ok(seat) => Ok(Opened::Seated(seat, self.entry(&doc, permit), counted)),
            Err(JoinError::Draining) => std::future::pending().await,
            // Full are only those without a session.
            Err(JoinError::Rebuilding | JoinError::Full) => Err(Failed::Passing),
            Err(JoinError::Quarantined) => Ok(Opened::Closed(Close::Quarantined)),
            Err(JoinError::Deleted) => Ok(Opened::Closed(Close::Deleted)),
            Err(JoinError::DeadEpoch) => Ok(Opened::Closed(Close::DeadEpoch)),
        }
    }

    /// What a token opens. Without one, what the request for the connection showed counts.
    async fn permit(&self, doc: &DocId, token: &Token) -> Result<Permit, Failed> {
        let caller = match auth::Token::new(token.reveal()) {
            Some(token) => Cow::Owned(self.caller.with_token(Some(token))),
            None => Cow::Borrowed(&self.caller),
        };
        let permit = self.gate.check(&caller, doc, Right::Read).await;
        if let Err(error @ ApiError::CannotAuthorize(_)) = &permit {
            warn!(%doc, "a token cannot be looked at: {}", error.for_log());
        }
        Ok(permit?)
    }

    fn entry(&self, doc: &DocId, permit: Permit) -> Entry {
        let expires = permit.identity().expires;
        // As long as other connections: clocks may differ.
        let until = expires.and_then(|expires| {
            let ends = expires.checked_add(CLOCK_SKEW).unwrap_or(expires);
            Instant::now().checked_add(ends.duration_since(SystemTime::now()).unwrap_or_default())
        });
        let rights = permit.rights();
        Entry {
            granted: Granted { access: rights.right.access(), presence: rights.presence, until, expires },
            pass: self.gate.enter(&permit, doc),
            stamp: self.gate.stamp(permit.identity()),
            permit,
        }
    }
}

fn name(address: &Address) -> Result<DocId, Failed> {
    DocId::new(address.document()).map_err(|error| Failed::Denied(Denial::bad_name(error)))
}
