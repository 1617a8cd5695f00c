//! Opening documents for a connection.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use http::HeaderMap;
use quire_sync_protocol::wire::hocuspocus::{Address, Token};
use quire_sync_protocol::{Access, Dialect, DocId, Limits, SessionSetup};
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;
use tracing::warn;

use super::super::close::Close;
use super::super::life::Keepalive;
use crate::auth::Policy;
use crate::doc::{Directory, JoinError, OpenError, Seat};

/// How long a document may take to be opened in one attempt.
const OPEN_WAIT: Duration = Duration::from_secs(20);

/// From one attempt to open a document to the next, which doubles.
const FIRST_PAUSE: Duration = Duration::from_secs(1);

/// The longest pause between two attempts.
const LONGEST_PAUSE: Duration = Duration::from_secs(16);

/// What a connection works with.
#[derive(Debug)]
pub(in crate::transport) struct Host {
    pub(in crate::transport) peer: SocketAddr,
    pub(in crate::transport) directory: Directory,
    pub(in crate::transport) policy: Policy,
    pub(in crate::transport) headers: HeaderMap,
    pub(in crate::transport) query: String,
    pub(in crate::transport) limits: Limits,
    pub(in crate::transport) keepalive: Keepalive,
    pub(in crate::transport) stop: CancellationToken,
}

/// How the opening of a document ended.
#[derive(Debug)]
pub(super) enum Opened {
    /// The client takes part.
    Seated(Seat, Access),
    /// It may, with this right; it takes part already.
    Checked(Access),
    /// It may not.
    Refused(Denial),
    /// Nobody can, until an operator has looked at it.
    Closed(Close),
    /// The client has left meanwhile.
    Left,
}

/// Why a client may not take part. Holds the reason for the client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Denial(pub(super) &'static str);

impl Denial {
    /// What Hocuspocus says when a token does not open a document.
    pub(super) const PERMISSION: Self = Self("permission-denied");
    /// The name is none that a document can have.
    pub(super) const BAD_NAME: Self = Self("bad-document-name");
    /// The connection has as many documents as it may have.
    pub(super) const TOO_MANY: Self = Self("too-many-documents");
}

/// An attempt failed, and another may not.
struct Passing;

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
                    Ok(Err(Passing)) => {}
                    Err(_) => warn!(%address, "the document was not opened within {} s", OPEN_WAIT.as_secs()),
                }
                sleep(pause).await;
                pause = (2 * pause).min(LONGEST_PAUSE);
            }
        };
        left.run_until_cancelled(opening).await.unwrap_or(Opened::Left)
    }

    /// Looks at another token of a client that takes part.
    pub(super) async fn check(
        self: Arc<Self>,
        address: Address,
        token: Token,
        left: CancellationToken,
    ) -> Opened {
        let checking = async {
            match self.admit(&address, &token) {
                Ok((_, setup)) => Opened::Checked(setup.access),
                Err(denial) => Opened::Refused(denial),
            }
        };
        left.run_until_cancelled(checking).await.unwrap_or(Opened::Left)
    }

    async fn try_open(&self, address: &Address, token: &Token) -> Result<Opened, Passing> {
        let (doc, setup) = match self.admit(address, token) {
            Ok(admitted) => admitted,
            Err(denial) => return Ok(Opened::Refused(denial)),
        };
        let access = setup.access;
        let handle = match self.directory.open(&doc).await {
            Ok(handle) => handle,
            Err(OpenError::Draining) => return std::future::pending().await,
            Err(error @ (OpenError::Unavailable(_) | OpenError::Internal)) => {
                warn!(%doc, %error, "the document cannot be opened, trying again");
                return Err(Passing);
            }
            Err(error @ OpenError::Damaged(_)) => {
                warn!(%doc, %error, "the document cannot be opened");
                return Ok(Opened::Closed(Close::Damaged));
            }
            Err(OpenError::Quarantined) => return Ok(Opened::Closed(Close::Quarantined)),
        };
        match handle.join(setup).await {
            Ok(seat) => Ok(Opened::Seated(seat, access)),
            Err(JoinError::Draining) => std::future::pending().await,
            Err(JoinError::Rebuilding) => Err(Passing),
            Err(JoinError::Quarantined) => Ok(Opened::Closed(Close::Quarantined)),
        }
    }

    /// What a token opens at an address. Without one, what the request for the connection showed counts.
    fn admit(&self, address: &Address, _token: &Token) -> Result<(DocId, SessionSetup), Denial> {
        let doc = DocId::new(address.document()).map_err(|_| Denial::BAD_NAME)?;
        let access = self.policy.access(&self.headers, &self.query, &doc);
        let dialect = Dialect::Hocuspocus(address.clone());
        Ok((doc, SessionSetup { access, identity: None, dialect }))
    }
}
