//! Opening documents for a connection.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use quire_sync_protocol::wire::hocuspocus::{Address, Token};
use quire_sync_protocol::{Access, Dialect, DocId, Limits, SessionSetup};
use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::CancellationToken;
use tracing::warn;

use super::super::close::Close;
use super::super::life::Keepalive;
use crate::auth::{self, Caller, Gate, Pass, Right};
use crate::doc::{Directory, JoinError, OpenError, Seat};
use crate::http::ApiError;

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
    pub(in crate::transport) stop: CancellationToken,
}

/// How the opening of a document ended.
#[derive(Debug)]
pub(super) enum Opened {
    /// The client takes part.
    Seated(Seat, Granted, Pass),
    /// It may; it takes part already. With the pass that counts from now on, if it is another.
    Checked(Granted, Option<Pass>),
    /// It may not.
    Refused(Denial),
    /// Nobody can, until an operator has looked at it.
    Closed(Close),
    /// The client has left meanwhile.
    Left,
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
}

impl Denial {
    /// What Hocuspocus says when a token does not open a document.
    pub(super) fn permission(why: impl Into<Cow<'static, str>>) -> Self {
        Self { code: "permission-denied", why: why.into() }
    }

    /// The connection has as many documents as it may have.
    pub(super) fn too_many() -> Self {
        Self { code: "too-many-documents", why: "the connection has too many documents".into() }
    }
}

/// Why nothing came of an attempt.
enum Failed {
    /// It would be the same again.
    Denied(Denial),
    /// Another may succeed.
    Passing,
}

impl Host {
    /// Looks at a token, opens the document and takes part. What fails and may pass is tried again, since the client, which
    /// waits, would not do so by itself. Ends early when the client has `left`.
    pub(super) async fn open(
        self: Arc<Self>,
        address: Address,
        token: Token,
        left: CancellationToken,
    ) -> Opened {
        let opening = async {
            let mut pause = FIRST_PAUSE;
            loop {
                match timeout(OPEN_WAIT, self.try_open(&address, &token)).await {
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
        before: Granted,
    ) -> Opened {
        let checking = async {
            match self.admit(&address, &token).await {
                Ok((_, _, granted, pass)) => Opened::Checked(granted, Some(pass)),
                Err(Failed::Denied(denial)) => Opened::Refused(denial),
                Err(Failed::Passing) => Opened::Checked(before, None),
            }
        };
        left.run_until_cancelled(checking).await.unwrap_or(Opened::Left)
    }

    async fn try_open(&self, address: &Address, token: &Token) -> Result<Opened, Failed> {
        let (doc, setup, granted, pass) = self.admit(address, token).await?;
        let handle = match self.directory.open(&doc).await {
            Ok(handle) => handle,
            Err(OpenError::Draining) => return std::future::pending().await,
            Err(error @ (OpenError::Unavailable(_) | OpenError::Internal)) => {
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
        match handle.join(setup).await {
            Ok(seat) => Ok(Opened::Seated(seat, granted, pass)),
            Err(JoinError::Draining) => std::future::pending().await,
            Err(JoinError::Rebuilding) => Err(Failed::Passing),
            Err(JoinError::Quarantined) => Ok(Opened::Closed(Close::Quarantined)),
            Err(JoinError::Deleted) => Ok(Opened::Closed(Close::Deleted)),
            Err(JoinError::DeadEpoch) => Ok(Opened::Closed(Close::DeadEpoch)),
        }
    }

    /// What a token opens at an address. Without one, what the request for the connection showed counts.
    async fn admit(
        &self,
        address: &Address,
        token: &Token,
    ) -> Result<(DocId, SessionSetup, Granted, Pass), Failed> {
        let doc = DocId::new(address.document()).map_err(|error| {
            Failed::Denied(Denial { code: "bad-document-name", why: error.to_string().into() })
        })?;
        let caller = match auth::Token::new(token.reveal()) {
            Some(token) => Cow::Owned(self.caller.with_token(Some(token))),
            None => Cow::Borrowed(&self.caller),
        };
        match self.gate.check(&caller, &doc, Right::Read).await {
            Ok(permit) => {
                let setup = permit.setup(Dialect::Hocuspocus(address.clone()));
                let expires = permit.identity().expires;
                let until = expires.map(|expires| {
                    Instant::now() + expires.duration_since(SystemTime::now()).unwrap_or_default()
                });
                let granted = Granted { access: setup.access, presence: setup.presence, until, expires };
                let pass = self.gate.enter(&permit, &doc);
                Ok((doc, setup, granted, pass))
            }
            Err(error @ ApiError::CannotAuthorize(_)) => {
                warn!(%doc, "a token cannot be looked at: {}", error.for_log());
                Err(Failed::Passing)
            }
            Err(error) => Err(Failed::Denied(Denial::permission(error.for_log().into_owned()))),
        }
    }
}
